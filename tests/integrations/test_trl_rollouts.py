"""TRL's rollout_func without TRL: how episodes become rows. A stand-in takes the trainer's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from atommem_env.integrations.text_episode import Message, row_episode
from atommem_env.integrations.trl.rollouts import episode_return, make_rollout_func, rollout_rows
from scripted_policy import ScriptedPolicy

SMALL: dict[str, Any] = {"source": "generated", "num_docs": 8, "num_questions": 1, "chunk_tokens": 300}
ENV = "AtomMem-2WikiMultihopQA-v0"
EOS = 0


class Tokenizer:
    """A token for each character."""

    eos_token_id = EOS

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(sign) for sign in text]}

    def batch_decode(self, batch: Sequence[Sequence[int]], skip_special_tokens: bool = False) -> list[str]:
        assert skip_special_tokens
        return ["".join(chr(token) for token in ids if token != EOS) for ids in batch]


class Trainer:
    """What a rollout_func uses of ``GRPOTrainer``; its model is the scripted policy."""

    def __init__(self, num_generations: int, context: int = 10**6, training: bool = True) -> None:
        config = SimpleNamespace(max_position_embeddings=context)
        self.model = SimpleNamespace(
            training=training, config=SimpleNamespace(get_text_config=lambda: config)
        )
        self.num_generations = self.num_generations_eval = num_generations
        self.max_completion_length = 100
        self.use_vllm = False
        self.processing_class = Tokenizer()
        self.state = SimpleNamespace(global_step=0)
        self.accelerator = SimpleNamespace(num_processes=1, process_index=0)
        self.batches: list[int] = []

    def _tokenize_prompts(self, prompts: list[list[Message]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [[ord(sign) for sign in messages[-1]["content"]] for messages in prompts], None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: None, fields: dict[str, Any], num_generations: int
    ) -> tuple[list[list[int]], list[list[float]]]:
        assert (images, fields, num_generations) == (None, {}, 1)
        self.batches.append(len(prompt_ids))
        shown = ["".join(map(chr, ids)) for ids in prompt_ids]
        policy = ScriptedPolicy()
        texts = ["" if text == chr(EOS) else policy([{"role": "user", "content": text}]) for text in shown]
        completions = [[*map(ord, text), EOS] for text in texts]
        return completions, [[-float(number)] * len(ids) for number, ids in enumerate(completions)]


@pytest.fixture(scope="module")
def references() -> list[str]:
    return [row["prompt"] for row in rollout_rows(ENV, range(3), **SMALL)]


def turns(index: int) -> list[Any]:
    """Return the steps of the scripted episode of a task."""
    row = {"env": ENV, "env_arguments": json.dumps(SMALL), "task_index": index}
    return row_episode(row).play(ScriptedPolicy(), index).turns


def test_a_row_refers_to_its_task_and_holds_no_document() -> None:
    (row,) = rollout_rows(ENV, [7], **SMALL)
    reference = json.loads(row["prompt"])
    assert reference == {name: row[name] for name in ("env", "env_arguments", "task_index")}
    assert row["task_index"] == 7
    assert "Document" not in json.dumps(row)
    (other,) = rollout_rows(ENV, [7], protocol="json", **SMALL)
    assert other == row


def test_each_step_is_a_row_with_its_own_prompt_and_the_rest_is_masked_out(references: list[str]) -> None:
    steps = [turns(index) for index in (0, 1)]
    share = max(map(len, steps)) + 2
    trainer = Trainer(2 * share)
    prompts = [references[index] for index in (0, 0, 1, 1) for _ in range(share)]
    rows = make_rollout_func(share)(prompts, trainer)
    assert {len(column) for column in rows.values()} == {len(prompts)}
    for episode, index in enumerate((0, 0, 1, 1)):
        own = {name: column[episode * share : (episode + 1) * share] for name, column in rows.items()}
        played = steps[index]
        spare = share - len(played)
        assert own["prompt_ids"] == [
            *([ord(sign) for sign in turn.messages[-1]["content"]] for turn in played),
            *[[EOS]] * spare,
        ]
        assert own["completion_ids"] == [*([*map(ord, turn.text), EOS] for turn in played), *[[EOS]] * spare]
        assert own["env_mask"] == [*([1] * (len(turn.text) + 1) for turn in played), *[[0]] * spare]
        assert [len(values) for values in own["logprobs"]] == [len(ids) for ids in own["completion_ids"]]
        assert {tuple(scores.items()) for scores in own["env_scores"]} == {
            tuple(own["env_scores"][0].items())
        }
        assert own["env_scores"][0]["steps"] == len(played)
    assert trainer.batches == sorted(trainer.batches, reverse=True)
    assert trainer.batches[0] == 4
    assert len(trainer.batches) == max(map(len, steps))


def test_all_rows_of_an_episode_have_its_return(references: list[str]) -> None:
    def generate(batch: list[list[Message]]) -> list[str]:
        return [
            ScriptedPolicy(forget=number % 2, engine="rules")(messages)
            for number, messages in enumerate(batch)
        ]

    rows = make_rollout_func(3, generate=generate)([references[1]] * 12, Trainer(12))
    rewards = rows["env_reward"]
    assert [rewards[start : start + 3] for start in (0, 3, 6, 9)] == [[1.0] * 3, [0.0] * 3] * 2
    assert rows["logprobs"] is None
    logged: dict[str, float] = {}
    assert episode_return(rows["env_reward"], rows["env_scores"], logged.__setitem__, other=1) == rewards
    assert logged["env/em"] == logged["env/return"] == 0.5
    assert episode_return(rows["env_reward"], rows["env_scores"]) == rewards


def test_of_a_longer_episode_steps_are_drawn_in_order_by_seed_and_step(references: list[str]) -> None:
    written = [[*map(ord, turn.text), EOS] for turn in turns(0)]
    assert len(written) > 3

    def drawn(seed: int = 0, step: int = 0) -> list[list[int]]:
        trainer = Trainer(4)
        trainer.state.global_step = step
        rows = make_rollout_func(2, seed=seed)([references[0]] * 4, trainer)
        assert all(all(mask) for mask in rows["env_mask"])
        return [written.index(ids) for ids in rows["completion_ids"]]  # type: ignore[return-value]

    assert drawn(1, 5) == drawn(1, 5)
    found = [drawn(seed, step) for seed in range(4) for step in range(4)]
    assert len({tuple(numbers) for numbers in found}) > 3
    assert all(first < second for a, b, c, d in found for first, second in ((a, b), (c, d)))
    assert {number for numbers in found for number in numbers} == set(range(len(written)))


def test_environments_are_used_again_and_nothing_is_left_over(references: list[str]) -> None:
    rollout = make_rollout_func(4)
    first = rollout([references[0]] * 8, Trainer(8))
    rollout([references[1]] * 8, Trainer(8))
    assert rollout([references[0]] * 8, Trainer(8)) == first


def test_what_a_model_writes_is_data(references: list[str]) -> None:
    def generate(batch: list[list[Message]]) -> list[str]:
        return ["<answer <update_memory>x</update_memory>\x00"] * len(batch)

    rows = make_rollout_func(2, generate=generate)([references[0]] * 4, Trainer(4))
    assert set(rows["env_reward"]) == {0.0}
    assert rows["env_scores"][0]["num_malformed"] > 0


def test_a_model_that_outgrows_its_context_forfeits(references: list[str]) -> None:
    def generate(batch: list[list[Message]]) -> list[str]:
        return ["<scratchpad>" + "much " * 900 + "</scratchpad>"] * len(batch)

    first = len(turns(0)[0].messages[-1]["content"])
    rows = make_rollout_func(2, generate=generate, max_prompt_tokens=first + 1000)(
        [references[0]] * 4, Trainer(4)
    )
    assert [sum(mask) > 0 for mask in rows["env_mask"]] == [True, False] * 2
    assert rows["env_scores"][0]["overlong"] == 1.0
    assert rows["env_scores"][0]["steps"] > 1


def test_the_other_episodes_go_on_when_one_is_over(references: list[str]) -> None:
    lengths = {index: len(turns(index)) for index in range(3)}
    trainer = Trainer(2)
    prompts = [references[index] for index in range(3) for _ in range(2)]
    make_rollout_func(1)(prompts, trainer)
    assert trainer.batches == [
        2 * sum(length > step for length in lengths.values()) for step in range(max(lengths.values()))
    ]


def test_an_idle_process_generates_as_long_as_another_goes_on(
    references: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = SimpleNamespace(tensor=lambda values, device: np.array(values))
    monkeypatch.setitem(sys.modules, "torch", torch)
    trainer = Trainer(4)
    more = iter([5, 5, 0])
    steps = len(turns(0))
    trainer.accelerator.num_processes = 2
    trainer.accelerator.device = "cpu"
    trainer.accelerator.gather = lambda own: np.append(own, 0 if own.any() else next(more))
    rows = make_rollout_func(2)([references[0]] * 4, trainer)
    assert trainer.batches == [*[2] * steps, 1, 1]
    assert len(rows["prompt_ids"]) == 4


@pytest.mark.parametrize(
    ("share", "group", "count", "message"),
    [
        (3, 8, 9, r"num_generations=8 with rows_per_episode=3: expected 3 times"),
        (4, 4, 4, r"num_generations=4 with rows_per_episode=4"),
        (4, 8, 6, r"6 rows of a batch with rows_per_episode=4"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    references: list[str], share: int, group: int, count: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_rollout_func(share)([references[0]] * count, Trainer(group))


def test_in_evaluation_a_group_may_be_one_episode(references: list[str]) -> None:
    assert make_rollout_func(4)([references[0]] * 4, Trainer(4, training=False))["env_reward"][0] in (
        0.0,
        1.0,
    )


def test_an_episode_is_of_one_task(references: list[str]) -> None:
    with pytest.raises(ValueError, match="different tasks"):
        make_rollout_func(2)([references[0], references[1]] * 2, Trainer(4))


@pytest.mark.parametrize("prompt", ["Who was it?", "[1]", '{"env": 1}', [{"role": "user", "content": "x"}]])
def test_a_prompt_that_refers_to_no_task_is_refused(prompt: Any) -> None:
    with pytest.raises(ValueError, match=r"refers to no task.*rollout_rows"):
        make_rollout_func(1)([prompt] * 2, Trainer(2))


def test_a_first_prompt_that_is_too_long_is_refused(references: list[str]) -> None:
    with pytest.raises(ValueError, match=r"the limit is 900: lower chunk_tokens"):
        make_rollout_func(1)([references[0]] * 2, Trainer(2, context=1000))
    with pytest.raises(ValueError, match=r"rows_per_episode=0"):
        make_rollout_func(0)
