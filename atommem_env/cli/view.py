"""``atommem view``: a run as one HTML page, written to a file or served on this machine."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from atommem_env.cli.common import (
    Debug,
    OnlyEnvs,
    OnlyPolicies,
    OnlyTask,
    Quiet,
    RecordedAddress,
    RunFolders,
    Trust,
    choose,
    command,
    use_working_folder,
)
from atommem_env.cli.console import say
from atommem_env.credit import CREDIT_SCORES
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import write_whole
from atommem_env.runs.progress import progress_bar
from atommem_env.runs.run import Run
from atommem_env.viewer.view import PageKey, view_page

HOST: Final = "127.0.0.1"
_MOST: Final = 3
_IDLE: Final = 30.0
"""Seconds that a connection may say nothing."""


@command("view")
def view_command(
    runs: RunFolders,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the page to this file.",
            metavar="FILE",
            show_default="view.html in the first run's folder",
        ),
    ] = None,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    task_index: OnlyTask = None,
    credit: Annotated[
        str | None,
        typer.Option(
            help="Show by how much this score changes when a write is refused, next to each write: "
            f"{', '.join(CREDIT_SCORES)}. The policies run again for it, many times.",
            metavar="SCORE",
            show_default="no values",
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help=f"Serve the page at http://{HOST}:PORT/ until Ctrl-C.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="The port of --serve; 0: a free one.", metavar="PORT", min=0, max=65535)
    ] = 8000,
    open: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    trust: Trust = False,
    base_url: RecordedAddress = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make one HTML page of one or many runs: their episodes in a table, and each step by step, two side by side.

    The page needs no network and no other file. It holds the questions and documents of the run's data.

    [dim]Examples:[/dim]

      atommem view runs/mine --open

      atommem view runs/mine --policy rag --policy memagent --out rag-memagent.html

      atommem view runs/mine --policy rag --task-index 3 --credit em

      atommem view runs/a runs/b --out both.html

      atommem view runs/mine --serve --port 8000
    """
    if trust:
        use_working_folder()
    loaded = choose([Run.load(run, trust, base_url) for run in runs], env, policy)
    wanted = [episode for run in loaded for episode in run.select(task_index=task_index)]
    without: dict[PageKey, str] = {}
    uncredited: dict[PageKey, str] = {}
    with progress_bar(len(wanted), 0, not quiet) as advance:
        page = view_page(loaded, (), (), task_index, advance, credit, without, uncredited).encode()
    path = runs[0] / "view.html" if out is None else out
    if path.is_dir():
        raise RunError(f"--out {path} is a folder: name a file in it, such as {path / 'view.html'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [page])
    say(f"The page is {path} ({len(page) / 1e6:.1f} MB)", quiet)
    _tell_lack(
        without,
        len(wanted),
        "the page shows no episode's steps, only the outcomes:",
        "episodes are shown without their steps:",
    )
    _tell_lack(
        uncredited,
        len(wanted) - len(without),
        "the page shows no write's value, which --credit asks for:",
        "episodes are shown without the values of their writes:",
    )
    if serve:
        serve_page(page, port, open, quiet)
    elif open:
        webbrowser.open(path.resolve().as_uri())


def _tell_lack(lacking: Mapping[PageKey, str], total: int, all_of_them: str, some: str) -> None:
    """Say why episodes are shown without something.

    Raises:
        RunError: when all of them are.
    """
    reasons = list(dict.fromkeys(lacking.values()))
    shown = [
        *reasons[:_MOST],
        *([f"and {len(reasons) - _MOST} more reasons"] if len(reasons) > _MOST else []),
    ]
    if lacking and len(lacking) == total:
        raise RunError("\n".join([all_of_them, *shown]))
    if lacking:
        say("\n".join([f"{len(lacking)} of {total} {some}", *shown]))


def serve_page(page: bytes, port: int, open: bool, quiet: bool) -> None:
    """Serve ``page`` on this machine alone until Ctrl-C.

    Raises:
        RunError: when the port is taken.
    """
    try:
        server = page_server(page, port)
    except OSError as error:
        raise RunError(
            f"--port {port} cannot be used ({error.strerror}): name another, or 0 for a free one"
        ) from error
    with server:
        address = f"http://{HOST}:{server.server_port}/"
        say(f"Serving it at {address} until Ctrl-C", quiet)
        if open:
            webbrowser.open(address)
        server.serve_forever()


def page_server(page: bytes, port: int) -> ThreadingHTTPServer:
    """Return a server of ``page`` at :data:`HOST`, which answers any other path with 404."""
    return ThreadingHTTPServer((HOST, port), partial(_Handler, page))


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE

    def __init__(self, page: bytes, *args: Any) -> None:
        self._page = page
        super().__init__(*args)

    def do_GET(self) -> None:
        if not self._meant():
            self.send_error(403, "This page is for this machine alone")
            return
        if self.path.partition("?")[0] != "/":
            self.send_error(404, "The page is at /")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self._page)))
        self.end_headers()
        self.wfile.write(self._page)

    def _meant(self) -> bool:
        """Return whether the request names this machine: a page from elsewhere, under its own name, does not."""
        assert isinstance(self.server, ThreadingHTTPServer)
        port = self.server.server_port
        names = {f"{name}{end}" for name in (HOST, "localhost") for end in (f":{port}", *[""] * (port == 80))}
        hosts = self.headers.get_all("Host", [])
        return len(hosts) == 1 and hosts[0].strip().lower() in names

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""
