"""An OpenEnv server on this machine, and sessions with it over the web socket.

    python examples/trainers/openenv_loopback.py

Starts ``python -m atommem_env.integrations.openenv`` as a separate process, plays 8 tasks in one session,
then one task in 4 sessions at once (a group of rollouts), and prints returns and steps per second. The data are
generated, and where a model would sit there is a script, so the scores are those of rules.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request

from atommem_env.integrations.openenv import AtomMemClient
from scripted_policy import ScriptedPolicy

ENV = "AtomMem-HotpotQA-v0"
ARGUMENTS = ("source=generated", "num_docs=50", "chunk_tokens=1024")


def start_server() -> tuple[subprocess.Popen[bytes], str]:
    """Start a server on a free port and return its process and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "atommem_env.integrations.openenv", "--env", ENV, "--port", str(port)]
    command += [part for argument in ARGUMENTS for part in ("--arg", argument)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while not answers(url) and process.poll() is None:
        time.sleep(0.1)
    if process.poll() is not None:
        raise SystemExit(f"the server ended: {' '.join(command)}")
    return process, url


def answers(url: str) -> bool:
    """Return whether a server answers at ``url``."""
    try:
        urllib.request.urlopen(f"{url}/health").close()
    except OSError:
        return False
    return True


async def rollout(client: AtomMemClient, policy: ScriptedPolicy, task_index: int) -> tuple[float, int]:
    """Play an episode; return its return and the number of its steps."""
    seen = await client.reset(task_index=task_index)
    total, steps = 0.0, 0
    while not seen.done:
        seen = await client.step(policy(seen.observation.messages))
        total, steps = total + seen.reward, steps + 1
    return total, steps


async def play(url: str) -> None:
    """Play one session, then a group."""
    policy = ScriptedPolicy()
    async with AtomMemClient(url) as client:
        begin = time.perf_counter()
        played = [await rollout(client, policy, index) for index in range(8)]
        seconds = time.perf_counter() - begin
    steps = sum(count for _, count in played)
    print(f"one session: {len(played)} episodes, mean return {sum(r for r, _ in played) / len(played):.2f}")
    print(f"{steps} steps in {seconds:.1f} s: {steps / seconds:.0f} steps/s, the script's own time included")

    forgetful = [ScriptedPolicy(forget=0.3, seed=number) for number in range(4)]
    clients = [AtomMemClient(url) for _ in forgetful]
    group = await asyncio.gather(
        *(rollout(client, each, 14) for client, each in zip(clients, forgetful, strict=True))
    )
    await asyncio.gather(*(client.close() for client in clients))
    print(
        f"a group of 4 sessions on task 14, each forgetting other documents: {[round(r, 2) for r, _ in group]}"
    )


process, url = start_server()
print(f"{ENV} with {', '.join(ARGUMENTS)} behind {url}: the data are generated, the policy is scripted")
try:
    asyncio.run(play(url))
finally:
    process.terminate()
    process.wait()
