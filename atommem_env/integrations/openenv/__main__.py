"""``python -m atommem_env.integrations.openenv``: serve an environment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from atommem_env.integrations import openenv
from atommem_env.integrations.openenv.guard import DEFAULT_IDLE
from atommem_env.runs.arguments import parse_argument, parse_env


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the environment that the command line names, until interrupted.

    Raises:
        SystemExit: when an argument is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m atommem_env.integrations.openenv",
        description="Serve an environment to OpenEnv clients. An episode is played over the web socket, /ws.",
    )
    parser.add_argument("--env", default="AtomMem-HotpotQA-v0", metavar="ID", help="default: %(default)s")
    parser.add_argument(
        "--arg", action="append", default=[], metavar="KEY=VALUE", help="an argument of gym.make; repeatable"
    )
    parser.add_argument("--protocol", default="atommem", metavar="NAME", help="default: %(default)s")
    parser.add_argument(
        "--prompt-mode", default="reset", choices=("reset", "append"), help="default: %(default)s"
    )
    parser.add_argument("--sessions", type=int, default=64, metavar="N", help="at once; default: %(default)s")
    parser.add_argument(
        "--idle",
        type=float,
        default=DEFAULT_IDLE,
        metavar="SECONDS",
        help="close a session that says nothing for so long; default: %(default)g",
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a page that may ask besides those of this machine, such as https://host; * for all; repeatable",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    options = parser.parse_args(argv)
    try:
        env, arguments = parse_env(options.env)
        arguments |= dict(parse_argument("--arg", text, "num_docs=50") for text in options.arg)
        app = openenv.make_app(
            env,
            protocol=options.protocol,
            prompt_mode=options.prompt_mode,
            sessions=options.sessions,
            idle=options.idle,
            origins=options.origin,
            **arguments,
        )
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    import uvicorn

    uvicorn.run(app, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
