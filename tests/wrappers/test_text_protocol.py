"""An agent of text in an environment."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env

from atommem_env.core.operations import Answer, Create, Update
from atommem_env.core.rules import Rules
from atommem_env.core.spaces import TextSpace
from atommem_env.protocols import JSONProtocol, XMLProtocol
from atommem_env.text import PieceTokenizer
from atommem_env.wrappers.text_protocol import TextProtocol
from small_data import dataset

SMALL = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 120, "chunk_overlap": 20}
DATA = dataset()


def make(
    *, protocol: Any = "atommem", template: Any = None, prompt_mode: str = "reset", **kwargs: Any
) -> TextProtocol:
    env = gym.make("AtomMem-Custom-v0", source=DATA, **{**SMALL, **kwargs})
    return TextProtocol(env, protocol=protocol, template=template, prompt_mode=prompt_mode)


def start(env: TextProtocol) -> tuple[str, dict[str, Any]]:
    return env.reset(seed=0, options={"task_index": 0})


def first_chunk() -> str:
    raw, _ = make().env.reset(options={"task_index": 0})
    return str(raw["chunk"])


class FakeEnv(gym.Env[dict[str, Any], Any]):
    """Shows one entry under a high id, and keeps the actions it got."""

    def __init__(self) -> None:
        self.observation_space = self.action_space = TextSpace()
        self.actions: list[Any] = []

    def _observation(self) -> dict[str, Any]:
        return {
            "phase": 0, "questions": ("Who?",), "chunk": "A chunk.", "scratchpad": "", "queries": ("who",),
            "retrieved": ({"id": 40, "content": "An entry.", "score": 1.0, "query": 0},), "results": (),
            "cursor": 0, "num_chunks": 3, "num_questions": 1, "memory_size": 1, "capacity": 0, "looks_left": 3,
        }  # fmt: skip

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._observation(), {"rules": Rules(top_k=17, early_answer=True)}

    def step(self, action: Any) -> Any:
        self.actions.append(action)
        return self._observation(), 0.0, False, False, {}


def test_the_first_observation_is_a_complete_prompt() -> None:
    env = make()
    text, info = start(env)
    assert first_chunk() in text
    assert "river" in text.partition("## What is asked")[2]
    assert "<create_memory>" in text
    assert info["malformed"] == []
    assert info["num_malformed"] == 0


def test_the_operations_of_a_text_run_in_order_and_their_results_are_told() -> None:
    env = make()
    start(env)
    text, reward, terminated, truncated, info = env.step(
        "<create_memory>The bridge of Ambry.</create_memory> and <update_memory>id: 9\nx</update_memory>"
        "<read_memory>bridge</read_memory>"
    )
    assert [(result.op, result.ok) for result in info["results"]] == [
        ("create", True),
        ("update", False),
        ("read", True),
    ]
    assert "[id: 1] The bridge of Ambry." in text
    assert "2. update_memory (entry 9): refused, there is no such entry." in text
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_malformed_pieces_are_dropped_reported_and_counted() -> None:
    env = make()
    start(env)
    text, *_, info = env.step("<create_memory>a</create_memory><delete_memory>x</delete_memory><answer>")
    assert len(info["results"]) == 1
    assert [piece["text"] for piece in info["malformed"]] == ["<delete_memory>x</delete_memory>", "<answer>"]
    assert all(piece["reason"] in text for piece in info["malformed"])
    text, *_, info = env.step("<answer>")
    assert (len(info["malformed"]), info["num_malformed"]) == (1, 3)
    text, *_, info = env.step("nothing to keep")
    assert (info["malformed"], info["num_malformed"]) == ([], 3)
    assert "Not understood" not in text
    assert start(env)[1]["num_malformed"] == 0


def test_a_text_without_operations_moves_on() -> None:
    env = make()
    start(env)
    text, *_, info = env.step("Nothing here is worth keeping.")
    assert info["results"] == ()
    assert "reading, chunk 2 of" in text


@pytest.mark.parametrize("action", [None, b"text", ["<answer>a</answer>"], 3, [Create("a")]])
def test_an_action_that_is_no_text_is_invalid(action: Any) -> None:
    env = make()
    start(env)
    with pytest.raises(InvalidAction, match=f"got {type(action).__name__}"):
        env.step(action)


def test_other_kinds_of_str_are_texts() -> None:
    env = make()
    start(env)
    *_, info = env.step(
        np.str_("<create_memory>a \ud800</create_memory><delete_memory>\ud800</delete_memory>")
    )
    assert info["results"][0].ok
    json.dumps(info["malformed"], ensure_ascii=False).encode("utf-8")


def test_nothing_can_be_done_before_the_first_reset() -> None:
    env = TextProtocol(FakeEnv())
    for call in (lambda: env.step("x"), env.render_prompt, env.render_delta):
        with pytest.raises(ResetNeeded, match="before the first reset"):
            call()


@pytest.mark.parametrize("protocol", ["atommem", "json"])
def test_a_whole_episode_can_be_played_in_text(protocol: str) -> None:
    env = make(protocol=protocol)
    text, info = start(env)
    answers = [gold["answers"][0] for gold in info["gold"]]
    done = False
    while not done:
        asked = re.search(r"answering, question (\d+) of", text)
        action = [Answer(answers[int(asked[1]) - 1])] if asked else [Create("x"), Update(0, "y")]
        text, reward, done, _, info = env.step(env.protocol.render_operations(action))
    assert reward == 1.0
    assert "the episode is over" in text
    assert info["metrics"]["em"] == 1.0


def test_ranks_are_those_of_the_observation_that_was_shown() -> None:
    fake = FakeEnv()
    env = TextProtocol(fake, protocol="released")
    text, _ = env.reset()
    assert "Memory 1: An entry." in text
    assert "[id:" not in text
    *_, info = env.step("<modify_memory>Memory 1: new</modify_memory><delete_memory>Memory 2</delete_memory>")
    assert fake.actions == [[Update(40, "new")]]
    assert info["num_malformed"] == 1


class TestPromptModes:
    def test_every_prompt_is_complete_in_reset_mode(self) -> None:
        env = make()
        first, _ = start(env)
        second, *_ = env.step("")
        assert "# Operations" in first
        assert "# Operations" in second
        assert "Every message stands by itself" in second

    def test_only_the_first_prompt_is_complete_in_append_mode(self) -> None:
        env = make(prompt_mode="append")
        first, _ = start(env)
        second, *_ = env.step("")
        assert "# Operations" in first
        assert "Every message stands by itself" not in first
        assert "# Operations" not in second
        assert second == env.render_delta()
        assert "# Operations" in start(env)[0]

    def test_a_look_in_append_mode_does_not_repeat_the_chunk(self) -> None:
        env = make(prompt_mode="append")
        start(env)
        chunk = first_chunk()
        text, *_ = env.step("<read_memory>a</read_memory>")
        assert chunk not in text
        assert chunk in env.render_prompt()[-1]["content"]

    def test_an_unknown_mode_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="choose one of 'reset', 'append'"):
            make(prompt_mode="chat")


def test_prompts_can_be_rendered_for_another_observation() -> None:
    env = make()
    start(env)
    env.step("<answer>")
    raw = FakeEnv()._observation()
    assert "A chunk." in env.render_prompt(raw)[0]["content"]
    assert "Not understood" not in env.render_prompt(raw)[0]["content"]
    assert "A chunk." in env.render_delta(raw)
    assert "Not understood" in env.render_delta()


class TestRules:
    def test_the_arguments_of_gym_make_are_told(self) -> None:
        text, _ = start(
            make(top_k=11, scratchpad=False, operations=["create", "read", "answer"], max_looks=1)
        )
        assert "at most 11 entries" in text
        assert "allows 1 looks" in text
        assert "cratchpad" not in text
        assert "<delete_memory>" not in text

    def test_an_environment_tells_its_rules_at_reset(self) -> None:
        assert "at most 17 entries" in TextProtocol(FakeEnv()).reset()[0]


@pytest.mark.parametrize("protocol", ["atommem", "released", "json"])
def test_gold_is_in_no_prompt(protocol: str) -> None:
    env = make(protocol=protocol)
    text, info = start(env)
    answers = [answer for gold in info["gold"] for answer in gold["answers"]]
    prompts = []
    done = False
    while not done:
        prompts.append(re.sub(r"## Text of this chunk.*", "", text, flags=re.DOTALL))
        text, _, done, _, _ = env.step("")
    assert len(prompts) > 2
    assert not [answer for answer in answers for prompt in [*prompts, text] if answer in prompt]


def test_a_template_of_the_users_own_is_used() -> None:
    text, _ = start(make(template="Read well.\n\n$turn"))
    assert text.startswith("Read well.\n\n# Now: reading, chunk 1 of")
    with pytest.raises(ValueError, match=r"unknown placeholder \$chunks"):
        make(template="$chunks $turn")


@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
@pytest.mark.parametrize("protocol", ["atommem", "released", "json"])
def test_the_environment_checker_is_content(protocol: str, prompt_mode: str) -> None:
    env = make(protocol=protocol, prompt_mode=prompt_mode)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")
        check_env(env)


def test_the_same_seed_and_texts_give_the_same_prompts() -> None:
    texts = ["<create_memory>a</create_memory>", "<read_memory>a</read_memory>", "<answer>", ""]
    histories = []
    for _ in range(2):
        env = make()
        histories.append([env.reset(seed=3)[0], *(env.step(text)[0] for text in texts)])
    assert histories[0] == histories[1]


class TestSpec:
    def test_an_environment_can_be_made_again_from_its_spec(self) -> None:
        env = make(protocol="json", prompt_mode="append", top_k=9)
        assert env.spec is not None
        again = gym.make(pickle.loads(pickle.dumps(env.spec)))
        assert isinstance(again, TextProtocol)
        assert isinstance(again.protocol, JSONProtocol)
        assert again.prompt_mode == "append"
        assert again.reset(seed=1)[0] == env.reset(seed=1)[0]

    def test_a_protocol_of_the_users_own_survives_too(self) -> None:
        env = make(protocol=XMLProtocol(tags={"create": "keep"}))
        assert env.spec is not None
        again = gym.make(copy.deepcopy(env.spec))
        text, _ = again.reset(seed=1)
        assert "<keep>" in text

    def test_the_wrappers_arguments_survive_json(self) -> None:
        spec = make(protocol="released").spec
        assert spec is not None
        wrapper = spec.additional_wrappers[-1]
        kwargs = json.loads(json.dumps(wrapper.kwargs))
        assert kwargs == {"protocol": "released", "template": None, "prompt_mode": "reset"}


def test_texts_work_in_a_vector_environment() -> None:
    vector = gym.vector.SyncVectorEnv([lambda: make(protocol="json") for _ in range(2)])
    observations, infos = vector.reset(seed=[1, 2])
    alone = make(protocol="json").reset(seed=2)[0]
    assert observations[1] == alone
    observations, rewards, *_ = vector.step(('[{"op": "create", "content": "a"}]', "no"))
    assert "1. create: stored as entry 1." in observations[0]
    assert "(no operations)" in observations[1]
    assert list(rewards) == [0.0, 0.0]
    assert list(infos["num_malformed"]) == [0, 0]
    vector.close()


def test_what_the_released_agent_writes_plays_an_episode() -> None:
    env = make(protocol="released", max_looks=1)
    text, _ = start(env)
    chunks = 0
    done = False
    while not done:
        if "answering, question" not in text:
            chunks += 1
            action = (
                "<think>Keep it.</think><update_memory>1. open</update_memory>"
                f"<add_memory>A river runs by town {chunks}.</add_memory><update_query>river town</update_query>"
            )
        elif "Looks left here: 1." in text:
            assert "Memory 1: A river runs by town" in text
            action = "<update_query>river</update_query>"
        else:
            action = r"<final_answer>\boxed{x}</final_answer>"
        text, _, done, _, info = env.step(action)
    assert info["num_malformed"] == 0
    counts = {"create": chunks, "read": chunks + 2, "update": chunks, "delete": 0, "answer": 2}
    assert info["metrics"]["operations"] == counts


@pytest.mark.parametrize("protocol", ["atommem", "released", "json"])
def test_the_generated_world_can_be_played_in_text(protocol: str) -> None:
    env = TextProtocol(gym.make("AtomMem-World-v0", num_docs=40, chunk_tokens=512), protocol=protocol)
    text, info = env.reset(seed=0)
    done = False
    while not done:
        assert "# Now: " in text
        text, _, done, _, info = env.step("I say nothing.")
    assert info["metrics"]["em"] == 0.0
    assert info["num_malformed"] == 0


@pytest.mark.parametrize("protocol", ["atommem", "json", "released"])
def test_a_brief_prompt_has_the_forms_and_what_replies_change_last(protocol: str) -> None:
    env = TextProtocol(gym.make("AtomMem-World-v0", num_docs=20, num_questions=1), protocol, prompt="brief")
    full = TextProtocol(gym.make("AtomMem-World-v0", num_docs=20, num_questions=1), protocol)
    brief, told = env.reset(seed=0)[0], full.reset(seed=0)[0]
    said = [part for part in told[told.index("# Now:") :].split("\n\n") if not part.startswith("## Standing")]
    at = [brief.index(part) for part in said]
    assert all(f"\n\n{part}" in brief for part in said)
    assert PieceTokenizer().count(brief) - sum(map(PieceTokenizer().count, said)) < 200
    text = at[next(number for number, part in enumerate(said) if part.startswith("## Text of this chunk"))]
    results = at[next(number for number, part in enumerate(said) if part.startswith("## What came"))]
    assert text < results  # so that what episodes of one task differ by stands at the end
    assert all(
        env.protocol.labels()[kind] in brief for kind in ("create", "read", "update", "delete", "answer")
    )
    with pytest.raises(ValueError, match="prompt='short'"):
        TextProtocol(env.env, protocol, prompt="short")


def test_a_prompt_says_that_questions_come_later() -> None:
    env = TextProtocol(gym.make("AtomMem-World-v0", num_docs=20, num_questions=1))
    seen, info = env.env.reset(seed=0)
    later = dataclasses.replace(info["rules"], questions_shown="when_asked")
    text = env.protocol.render_prompt({**seen, "questions": ()}, later)[0]["content"]
    assert "reading, chunk 1" in text
    assert "The questions are asked after the last chunk" in text
