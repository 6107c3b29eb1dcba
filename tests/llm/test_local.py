"""A language model in this process: batches of the episodes under way, and what a run records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.llm import ChatError, LocalChat, LocalSettings, generation, local, models
from atommem_env.llm.generation import Written
from atommem_env.llm.local import Together
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.config_file import over_file, read_config
from atommem_env.runs.variants import recorded_policy

WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 0}


class StandIn:
    """A model that answers with the number of words before it, and notes what it is asked together."""

    context = 4000

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.loads = 0

    def load(self, *_: Any) -> StandIn:
        self.loads += 1
        return self

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return list(range(len(messages[-1]["content"].split())))

    def write(self, prompts: Sequence[Sequence[int]], max_tokens: int, **options: Any) -> list[Written]:
        self.batches.append([len(prompt) for prompt in prompts])
        return [Written([1, 2], [0.0, 0.0], f"place {len(prompt)}", "stop") for prompt in prompts]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(generation, "load_language_model", made.load)
    monkeypatch.setattr(local, "_hosts", {})
    return made


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def run(weights: Path, out: Path, jobs: int | None = None, **changes: Any) -> Run:
    engine = LocalSettings(str(weights), dtype="float32", batch=3, **changes)
    return evaluate(WORLD, ["rag", "write-nothing"], 2, jobs, engine=engine, out=out, progress=False, **TINY)


def test_the_requests_of_threads_are_answered_together_once_all_of_them_wait() -> None:
    batches: list[list[int]] = []

    def answer(requests: list[int]) -> list[int]:
        batches.append(requests)
        return [request * 10 for request in requests]

    together = Together(answer)
    assert together.ask(7) == 70  # nobody else was announced

    def thread(number: int) -> list[int]:
        try:
            return [together.ask(number + 10 * turn) for turn in range(number)]
        finally:
            together.end()

    together.begin(3)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(thread, [1, 2, 3])) == [[10], [20, 120], [30, 130, 230]]
    assert batches == [[7], [1, 2, 3], [12, 13], [23]]


def test_an_error_reaches_all_who_asked_and_the_next_request_is_answered() -> None:
    broken = [True]

    def answer(requests: list[str]) -> list[str]:
        if broken.pop() if broken else False:
            raise ChatError("no room")
        return requests

    together = Together(answer)
    together.begin(2)

    def thread(said: str) -> str:
        try:
            return together.ask(said)
        except ChatError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(thread, "ab")) == ["no room", "no room"]
        assert list(pool.map(thread, "ab")) == ["a", "b"]


def test_a_run_asks_in_the_same_batches_again_and_pays_for_no_reply_twice(
    model: StandIn, weights: Path, tmp_path: Path
) -> None:
    first = run(weights, tmp_path / "a")
    batches, model.batches = model.batches, []
    assert [len(batch) for batch in batches] == [3, 1]
    again = run(weights, tmp_path / "b")
    assert model.batches == batches
    for name in ("episodes.jsonl", "traces.jsonl.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert first.episodes[0]["engine"] == again.episodes[0]["engine"] == "local:weights"
    record = first.settings["engine"]
    assert (record["name"], record["batch"], record["pad_to"], record["dtype"]) == ("local", 3, 64, "float32")

    model.batches = []
    run(weights, tmp_path / "c", cache=tmp_path / "replies")
    kept = run(weights, tmp_path / "d", cache=tmp_path / "replies")
    assert len(model.batches) == 2
    assert all(timing["cached"] == timing["calls"] for timing in kept.timings)
    assert model.loads == 1
    (weights / "config.json").write_text("{ }")  # other weights in the same place
    other = run(weights, tmp_path / "e", cache=tmp_path / "replies")
    assert len(model.batches) == 4
    assert model.loads == 2
    assert other.settings["engine"]["weights"] != record["weights"]


def test_weights_that_change_before_they_are_loaded_are_not_those_of_the_record(
    model: StandIn, weights: Path
) -> None:
    chat = LocalChat(LocalSettings(str(weights), dtype="float32"))
    (weights / "config.json").write_text("{ }")
    with pytest.raises(ChatError, match="its weights have changed since the run began"):
        chat.complete([{"role": "user", "content": "word"}])


def test_a_recorded_model_is_loaded_by_nobody_who_looks(
    model: StandIn, weights: Path, tmp_path: Path
) -> None:
    made = run(weights, tmp_path / "run", jobs=1)
    with pytest.raises(RunError, match=r"engine: model = .*weights"):
        recorded_policy(made.settings)
    engine = recorded_policy(made.settings, trust=True).engine
    assert isinstance(engine, LocalSettings)
    assert engine.describe() == made.settings["engine"]
    file = read_config(tmp_path / "run" / "run.json")
    with pytest.raises(RunError, match="weights are loaded here"):
        over_file({}, file)
    options = over_file({}, file, trust=True)
    assert (options["engine"], options["model"], options["batch"]) == ("local", str(weights), 3)


def test_what_does_not_fit_is_told_with_what_to_change(model: StandIn, weights: Path) -> None:
    chat = LocalChat(LocalSettings(str(weights), dtype="float32", max_tokens=3999))
    with pytest.raises(
        ChatError, match=r"2 tokens and max_tokens=3999 do not fit in its context of 4000: lower"
    ):
        chat.complete([{"role": "user", "content": "two words"}])
    assert chat.complete([{"role": "user", "content": "word"}], stop=("ace",)).text == "pl"


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda: LocalSettings("m", batch=0), ValueError, "batch=0: expected 1 or more"),
        (lambda: LocalSettings("m", dtype="int8"), ValueError, "dtype='int8': expected 'auto' or"),
        (lambda: make_policy("rag", engine="local"), ValueError, "give --model smollm2"),
        (lambda: models.find_model("smollm2"), ValueError, "run `atommem model smollm2` once"),
        (lambda: models.unpack_model("gpt"), ValueError, "model='gpt': expected 'smollm2'"),
        (lambda: models.load_local("no_such", "it"), ImportError, r"pip install 'atommem_env\[local\]'"),
    ],
)
def test_errors_say_what_to_do(
    ask: Callable[[], object],
    error: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path))
    monkeypatch.delenv("ATOMMEM_MODEL", raising=False)
    with pytest.raises(error, match=said):
        ask()
