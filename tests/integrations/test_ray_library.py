"""Runs on a real Ray cluster of two nodes: the bytes of one process, whatever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atommem_env.runs import EpisodeError, Run, RunError, evaluate
from trainers import library, pytestmark  # noqa: F401

ray = library("ray")
if not sys.platform.startswith("linux"):
    pytest.skip("kills processes and looks for them in /proc", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 12, "num_questions": 1, "chunk_tokens": 400}
FILES = ("run.json", "episodes.jsonl", "traces.jsonl.gz")
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
HURT = 3  # the task index at which something happens


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two nodes with one CPU each, to which this process is connected."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, connect=True, head_node_args={**NODE, "include_dashboard": False})
    made.add_node(**NODE)
    yield made
    ray.shutdown()
    made.shutdown()


class Noting:
    """Answers without reading, and notes the start of each episode in the file ``starts``.

    What else happens is in the file ``harm``: ``slow``, every episode takes a little; or at one of them: ``hangs``, it
    waits to be killed, the first time, its process being in the file ``victim``; ``deadly``, it kills its process;
    ``fails``, it raises.

    Args:
        folder: ``in`` and where the files are, which change: they are not what the policy is made of.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder.removeprefix("in "))

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        with open(self._folder / "starts", "a") as file:
            file.write(f"{info['task_index']}\n")
        harm = (self._folder / "harm").read_text()
        if harm == "slow":
            time.sleep(0.3)
        elif info["task_index"] == HURT:
            self._suffer(harm)

    def _suffer(self, harm: str) -> None:
        victim = self._folder / "victim"
        if harm == "hangs" and not victim.exists():
            victim.with_suffix(".new").write_text(str(os.getpid()))
            victim.with_suffix(".new").rename(victim)
            time.sleep(600)
        elif harm == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        elif harm == "fails":
            raise KeyError("lost")

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[dict[str, Any]]:
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": "the Ambry"}]


class Bench:
    """Runs of :class:`Noting` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, out: str, harm: str = "", **arguments: Any) -> Run:
        (self.folder / "harm").write_text(harm)
        (self.folder / "starts").write_text("")
        return evaluate(
            WORLD,
            f"{__name__}:Noting",
            12,
            out=self.folder / out,
            progress=False,
            policy_arguments={f"{__name__}:Noting": {"folder": f"in {self.folder}"}},
            **arguments,
            **TINY,
        )

    def start(self, out: str, *words: str) -> subprocess.Popen[bytes]:
        """Start the command of the same run, slowly, in its own session; what it says is in ``said``."""
        (self.folder / "harm").write_text("slow")
        arguments = [word for name, value in TINY.items() for word in ("--arg", f"{name}={value}")]
        own = ["--policy", f"{__name__}:Noting", "--policy-arg", f"{__name__}:Noting.folder=in {self.folder}"]
        command = [sys.executable, "-m", "atommem_env", "run", "--env", WORLD, *arguments, *own]
        path = os.pathsep.join([str(ROOT / "tests"), str(Path(__file__).parent)])
        with open(self.folder / "said", "w") as said:
            return subprocess.Popen(
                [*command, "--episodes", "12", "--out", str(self.folder / out), *words],
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )

    def starts(self) -> Counter[int]:
        return Counter(map(int, (self.folder / "starts").read_text().split()))

    def done(self, out: str) -> int:
        path = self.folder / out / "episodes.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def same(self, left: str, right: str) -> bool:
        return all(
            (self.folder / left / n).read_bytes() == (self.folder / right / n).read_bytes() for n in FILES
        )

    def recorded(self, out: str) -> Counter[int]:
        return Counter(timing["task_index"] for timing in Run.load(self.folder / out).timings)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


ONCE = Counter(range(12))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def living(session: int) -> list[str]:
    """Return the names of a session's processes that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        state, _, _, owner = rest.split()[:4]
        if int(owner) == session and state != "Z":
            found.append(name)
    return found


def test_two_actors_give_the_bytes_of_one_process(cluster: Any, tmp_path: Path) -> None:
    for name, arguments in (("one", {}), ("two", {"on": "ray", "jobs": 2}), ("all", {"on": "ray"})):
        envs = [WORLD, f"{WORLD}[top_k=2]"]
        run = evaluate(
            envs, ["rag", "random"], 6, out=tmp_path / name, seed=3, progress=False, **arguments, **TINY
        )
        assert len(run.episodes) == len(run.timings) == 24
    for name in FILES:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
    assert ray.is_initialized()  # what was there before stays


def test_a_killed_worker_loses_nothing_and_repeats_nothing(cluster: Any, bench: Bench) -> None:
    def kill() -> None:
        victim = bench.folder / "victim"
        wait_for(victim.exists)
        os.kill(int(victim.read_text()), signal.SIGKILL)

    bench.run("alone")
    killer = threading.Thread(target=kill)
    killer.start()
    bench.run("killed", "hangs", on="ray", jobs=2)
    killer.join()
    assert bench.starts() == ONCE + Counter([HURT])
    assert bench.recorded("killed") == ONCE
    assert bench.same("alone", "killed")


def test_a_lost_node_loses_nothing_and_repeats_nothing(cluster: Any, bench: Bench) -> None:
    def remove() -> None:
        wait_for(lambda: bench.done("lost") >= 2)
        cluster.remove_node(node, allow_graceful=False)

    bench.run("alone")
    node = cluster.add_node(**NODE)
    remover = threading.Thread(target=remove)
    remover.start()
    bench.run("lost", "slow", on="ray", jobs=3)
    remover.join()
    assert bench.recorded("lost") == ONCE
    assert bench.same("alone", "lost")


def test_an_episode_that_kills_every_worker_is_named_and_costs_no_other(cluster: Any, bench: Bench) -> None:
    with pytest.raises(RunError, match=f"task index {HURT}: its worker died 3 times"):
        bench.run("deadly", "deadly", on="ray", jobs=2)
    assert bench.starts() == ONCE + Counter({HURT: 2})
    assert bench.recorded("deadly") == ONCE - Counter([HURT])
    bench.run("deadly", on="ray", jobs=2)
    assert bench.starts() == Counter([HURT])
    bench.run("alone")
    assert bench.same("alone", "deadly")


def test_an_error_of_a_policy_names_it_and_keeps_the_episodes_that_ended(cluster: Any, bench: Bench) -> None:
    with pytest.raises(EpisodeError, match=f"Noting' on {WORLD}, task index {HURT}: KeyError: 'lost'"):
        bench.run("failed", "fails", on="ray", jobs=1)
    assert sorted(bench.recorded("failed")) == list(range(HURT))
    bench.run("failed", on="ray", jobs=2)
    assert bench.recorded("failed") == ONCE


def test_classes_of_a_script_are_sent_along(cluster: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import atommem_env\n"
        "class Silent:\n"
        "    def reset(self, observation, info): pass\n"
        "    def act(self, observation, info):\n"
        "        return [] if observation['phase'] == 0 else [{'op': 'answer', 'content': 'x'}]\n"
        f"run = atommem_env.evaluate('{WORLD}', Silent, 3, on='ray', num_docs=12, num_questions=1)\n"
        "print(len(run.episodes))\n"
    )
    variables = {**os.environ, "RAY_ADDRESS": cluster.address}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=variables)
    assert done.stdout.splitlines()[-1:] == ["3"], done.stderr  # Ray may say something of its own before
    assert all(node["Alive"] for node in ray.nodes()[:2])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on(
    cluster: Any, bench: Bench, how: signal.Signals
) -> None:
    process = bench.start("stopped", "--engine", "ray", "--jobs", "2")
    wait_for(lambda: bench.done("stopped") >= 2 or process.poll() is not None)
    process.send_signal(how)
    status = process.wait(timeout=120)
    said = (bench.folder / "said").read_text()
    if how == signal.SIGINT:
        assert (status, living(process.pid)) == (130, []), said
        assert "of 12 episodes are in" in said
        assert "Traceback" not in said
    else:
        assert status == -how, said
        wait_for(lambda: not any("Worker" in name for name in living(process.pid)))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # Ray's agents, which take a minute to notice
    kept = bench.done("stopped")
    assert 2 <= kept < 12
    bench.run("stopped", on="ray", jobs=2)
    assert bench.starts().total() == 12 - kept
    bench.run("alone")
    assert bench.same("alone", "stopped")


def test_the_example_runs(tmp_path: Path) -> None:
    path = ROOT / "examples" / "trainers" / "ray_run.py"
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the same bytes: True" in done.stdout
