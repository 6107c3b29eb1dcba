"""How busy a run keeps a served model: 64 episodes of seven calls against a scripted server, as one whole process.

    python examples/benchmarks/served_model.py [--calls-at-once 64] [--seconds 0.5]

The server answers every call after the same time, however many there are at once, so that the ideal time of the run
is episodes x calls x seconds / calls at once. Printed are that time, the time of the whole ``atommem run`` (its start,
imports and files included), the time between the first and the last call, the share of the ideal in both, and the
processor time of the run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

EPISODES = 64
CALLS = 7
REPLY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3},
}


async def _serve(seconds: float, parent: Connection) -> None:
    times: list[float] = []
    body = json.dumps(REPLY).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = next(
                int(line.partition(b":")[2])
                for line in request.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            times.append(time.time())
            await asyncio.sleep(seconds)
            writer.write(head + body)
            times.append(time.time())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
    parent.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, parent.recv)
    parent.send((times[0], times[-1], len(times) // 2) if times else (0.0, 0.0, 0))
    os._exit(0)


def _server(seconds: float, parent: Connection) -> None:
    asyncio.run(_serve(seconds, parent))


def measure(at_once: int, seconds: float) -> dict[str, float]:
    """Run once and return the times in seconds."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_server, args=(seconds, there), daemon=True)
    process.start()
    port = here.recv()
    arguments = ["num_docs=40", f"num_questions={CALLS}", "chunk_tokens=4096"]
    with tempfile.TemporaryDirectory() as folder:
        words = [
            sys.executable,
            "-m",
            "atommem_env",
            "run",
            "--env",
            "AtomMem-World-v0",
            "--policy",
            "closed-book",
        ]
        words += ["--engine", "llm", "--model", "m", "--base-url", f"http://127.0.0.1:{port}/v1"]
        words += [word for argument in arguments for word in ("--arg", argument)]
        words += [
            "--episodes",
            str(EPISODES),
            "--jobs",
            str(at_once),
            "--concurrency",
            str(at_once),
            "--quiet",
        ]
        words += ["--cache", str(Path(folder) / "replies"), "--out", str(Path(folder) / "run")]
        used, start = os.times(), time.time()
        # Modules are compiled once, as for a user; the best of several runs has them compiled.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=kept)
        end, after = time.time(), os.times()
    work = after.children_user + after.children_system - used.children_user - used.children_system
    here.send(None)
    first, last, calls = here.recv()
    ideal = EPISODES * CALLS * seconds / min(at_once, EPISODES)
    return {"ideal": ideal, "whole": end - start, "calling": last - first, "calls": calls, "work": work}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls-at-once", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for at_once in given.calls_at_once:
        best = min(
            (measure(at_once, given.seconds) for _ in range(given.repeats)), key=lambda found: found["whole"]
        )
        ideal = best["ideal"]
        print(
            f"{at_once:4} at once: {best['calls']} calls, ideal {ideal:.2f} s, whole process {best['whole']:.2f} s "
            f"({ideal / best['whole']:.0%}), first to last call {best['calling']:.2f} s "
            f"({ideal / best['calling']:.0%}), processor {best['work']:.2f} s"
        )


if __name__ == "__main__":
    main()
