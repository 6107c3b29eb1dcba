"""An environment as one choice after the other, among a fixed number of actions."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import DiscreteOperations, MemoryEnv, QADataset
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.core.operations import KINDS
from atommem_env.discrete.decisions import STATE_FEATURES, TEXT_FEATURES
from atommem_env.discrete.network import BLIND_INPUTS, INPUTS, Network
from atommem_env.discrete.wrapper import best_sentence
from atommem_env.registration import ENVS
from atommem_env.text import PieceTokenizer
from small_data import HISTORY_IDS, chats, dataset, records, small_histories

DATA = dataset()
SMALL: dict[str, Any] = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 120, "chunk_overlap": 20}
WRAPPER = (
    "slots", "max_questions", "queries", "answer", "compress",
)  # fmt: skip

Chooser = Callable[[Mapping[str, Any], Any], int]


def make(reward: str = "score", **kwargs: Any) -> DiscreteOperations:
    """Return a small environment; the arguments are the wrapper's and the environment's."""
    own = {name: kwargs.pop(name) for name in WRAPPER if name in kwargs}
    env = gym.make("AtomMem-Custom-v0", **{"source": DATA, "capacity": 4, **SMALL, **kwargs})
    return DiscreteOperations(env, reward=reward, **own)


def at_random(seed: int) -> Chooser:
    generator = np.random.default_rng(seed)
    return lambda view, masks: int(generator.choice(np.flatnonzero(masks)))


def play(env: DiscreteOperations, choose: Chooser, index: int = 0) -> list[tuple[Any, ...]]:
    """Return what each step gave, in order."""
    view, _ = env.reset(options={"task_index": index})
    steps = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(choose(view, env.action_masks())))
        view = steps[-1][0]
    return steps


def actions(steps: list[tuple[Any, ...]]) -> list[list[dict[str, Any]]]:
    """Return the environment's actions that an episode came to."""
    return [step[4]["operations"] for step in steps if "operations" in step[4]]


def network(seed: int = 0, queries: tuple[str, ...] = ("question",), blind: bool = False) -> Network:
    """Return a network with weights drawn once and for all."""
    generator = np.random.default_rng(seed)
    shapes = {"text.0": (16, BLIND_INPUTS if blind else INPUTS), "text.1": (16, 16), "text.2": (1, 16)}
    shapes["bias"] = (4 + len(queries), len(STATE_FEATURES))
    weights = {}
    for layer, shape in shapes.items():
        weights[f"{layer}.weight"] = generator.normal(size=shape) / np.sqrt(shape[1])
        weights[f"{layer}.bias"] = generator.normal(size=shape[0])
    return Network(weights, {"queries": queries, "blind": blind})


# --- any environment, any choices -------------------------------------------------------------------

ARGUMENTS = st.fixed_dictionaries(
    {
        "operations": st.sets(st.sampled_from(KINDS[:4])).map(lambda kinds: (*sorted(kinds), "answer")),
        "capacity": st.none() | st.integers(1, 6),
        "slots": st.integers(1, 5),
        "overflow": st.sampled_from(("refuse", "evict_oldest")),
        "entry_tokens": st.none() | st.integers(8, 40),
        "scratchpad_tokens": st.none() | st.integers(5, 60),
        "storage": st.booleans() | st.just(True),
        "max_looks": st.integers(0, 3),
        "chunk_tokens": st.integers(25, 300),
        "queries": st.sampled_from((("question",), ("bridge",), ("question", "bridge"))),
        "scratchpad": st.booleans(),
        "max_steps": st.none() | st.integers(1, 30),
    }
)


@given(ARGUMENTS, st.integers(0, 10**6), st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_any_choices_are_operations_that_the_environment_accepts(
    arguments: dict[str, Any], seed: int, index: int
) -> None:
    env = make(**arguments)
    choose = at_random(seed)
    view, info = env.reset(options={"task_index": index})
    assert info["operations"] == []
    contents: dict[int, str] = {}
    over, replay = False, []
    while not over:
        assert env.observation_space.contains(view)
        assert not np.isnan(np.concatenate([part.ravel() for part in view.values()])).any()
        masks = env.action_masks()
        assert masks.any()
        cursor, reading = env.unwrapped.episode.observe()["cursor"], not env.decisions.answering
        view, _, terminated, truncated, info = env.step(choose(view, masks))
        over = terminated or truncated
        if not info:
            continue
        replay.append(info["operations"])
        for operation, result in zip(info["operations"], info["results"], strict=True):
            assert result.ok, (operation, result)
            if operation["op"] == "create" or (operation["op"] == "update" and operation["id"]):
                contents[result.id] = operation["content"]
            elif operation["op"] == "delete":
                contents.pop(operation["id"], None)
        notes = {
            id: note.size for id, note in zip(env.decisions.slots, env.decisions.notes, strict=True) if note
        }
        assert notes == {id: PieceTokenizer().count(text) for id, text in contents.items()}
        after = env.unwrapped.episode.observe()
        assert after["memory_size"] == len(contents)
        if reading and not over and {operation["op"] for operation in info["operations"]} != {"read"}:
            assert (after["cursor"], after["phase"]) in {(cursor + 1, 0), (0, 1)}
    assert sum(info["metrics"]["refused"].values()) == 0
    assert info["metrics"]["steps"] == len(replay)
    assert not view["candidate"].any()

    env.env.reset(options={"task_index": index})
    for action in replay:
        step = env.env.step(action)
    assert step[4]["metrics"] == info["metrics"]


@given(ARGUMENTS, st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_any_action_of_the_space_is_taken(arguments: dict[str, Any], seed: int) -> None:
    env = make(**arguments)
    generator = np.random.default_rng(seed)
    steps = play(env, lambda view, masks: int(generator.integers(env.action_space.n)))
    assert sum(steps[-1][4]["metrics"]["refused"].values()) == 0


def test_what_is_not_possible_counts_as_the_first_that_is() -> None:
    env = make()
    env.reset(options={"task_index": 0})
    skipped = env.step(0)
    env.reset(options={"task_index": 0})
    replaced = env.step(2)
    for left, right in zip(skipped[0].values(), replaced[0].values(), strict=True):
        np.testing.assert_array_equal(left, right)
    while not env.decisions.answering:
        env.step(0)
    assert env.action_masks().nonzero()[0].tolist() == [2 + 2 * 4]
    assert [operation["op"] for operation in env.step(0)[4]["operations"]] == ["read"]
    assert [operation["op"] for operation in env.step(0)[4]["operations"]] == ["answer"]


@pytest.mark.parametrize("action", [-1, 11, "skip", None, 1.5])
def test_what_is_no_action_is_an_error_that_says_what_is(action: Any) -> None:
    env = make()
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="expected an int from 0 to 10"):
        env.step(action)


def test_a_step_needs_an_episode_in_progress() -> None:
    env = make()
    with pytest.raises(ResetNeeded):
        env.step(0)
    play(env, at_random(0))
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset()
    env.step(0)


# --- what the actions mean --------------------------------------------------------------------------


def choices(*wanted: int) -> Chooser:
    """Take ``wanted`` in order, then whatever comes first."""
    left = list(wanted)
    return lambda view, masks: left.pop(0) if left else int(np.flatnonzero(masks)[0])


def whole(**kwargs: Any) -> DiscreteOperations:
    """Return an environment that shows the whole text in one chunk."""
    return make(**{"chunk_tokens": 4000, "capacity": 3, **kwargs})


def titles(env: DiscreteOperations) -> list[str]:
    """Return the titles of the documents in the order in which they are read."""
    observation, _ = env.env.reset(options={"task_index": 0})
    return [piece.title for piece in env.unwrapped.split_documents(observation["chunk"])]


def short(operation: dict[str, Any]) -> tuple[Any, ...]:
    content = operation.get("content", "").partition("\n")[0]
    return tuple(part for part in (operation["op"], operation.get("id"), content) if part not in (None, ""))


CREATE, REPLACE, DELETE, QUERY = 1, 2, 5, 8  # with three slots


def test_the_choices_over_a_chunk_are_one_action() -> None:
    env = whole()
    names = titles(env)
    taken = [CREATE, 0, CREATE, DELETE + 0, CREATE, *[0] * 8]
    steps = play(env, choices(*taken))
    assert [bool(step[4]) for step in steps[: len(taken)]] == [*[False] * (len(taken) - 1), True]
    assert [short(operation) for operation in actions(steps)[0]] == [
        ("create", names[3]),  # in the slot that the Delete left
        ("create", names[2]),
    ]


def test_deletes_come_first_then_updates_then_creates() -> None:
    env = make(chunk_tokens=200, chunk_overlap=0, capacity=3)
    env.reset(options={"task_index": 0})
    for _ in range(3):
        env.step(CREATE)
    while env.unwrapped.episode.observe()["cursor"] == 0:
        env.step(0)
    assert env.decisions.slots == [1, 2, 3]
    for action in (DELETE + 0, REPLACE + 1, CREATE):
        env.step(action)
    info: dict[str, Any] = {}
    while not info:
        info = env.step(0)[4]
    assert [short(operation)[:2] for operation in info["operations"]] == [
        ("delete", 1),
        ("update", 2),
        ("create", short(info["operations"][2])[1]),
    ]
    assert env.decisions.slots == [4, 2, 3]


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (("create", "read", "update", "delete"), ["update"]),
        (("create", "read", "delete"), ["delete", "create"]),
        (("create", "read", "update"), ["update"]),
    ],
)
def test_a_replacement_is_an_update_or_else_a_delete_and_a_create(
    operations: tuple[str, ...], expected: list[str]
) -> None:
    env = make(chunk_tokens=200, chunk_overlap=0, capacity=1, operations=(*operations, "answer"))
    env.reset(options={"task_index": 0})
    env.step(CREATE)
    while env.unwrapped.episode.observe()["cursor"] == 0:
        env.step(0)
    env.step(REPLACE)
    info: dict[str, Any] = {}
    while not info:
        info = env.step(0)[4]
    assert [operation["op"] for operation in info["operations"]] == expected


def test_a_replaced_entry_that_was_never_sent_leaves_no_trace() -> None:
    env = whole()
    names = titles(env)
    steps = play(env, choices(CREATE, REPLACE, 0, CREATE, DELETE + 1))
    assert [short(operation) for operation in actions(steps)[0]] == [("create", names[1])]


def test_the_slots_show_the_store_with_the_choices_so_far() -> None:
    env = whole()
    env.reset(options={"task_index": 0})
    candidate = env.decisions.view()["candidate"][:, :-1]
    view, *_ = env.step(CREATE)
    np.testing.assert_array_equal(view["slots"][0, :, :-1], candidate)
    assert view["slot_state"][:, 0].tolist() == [1, 0, 0]
    assert env.unwrapped.episode.observe()["memory_size"] == 0
    view, *_ = env.step(DELETE)
    assert not view["slots"].any()
    assert not view["slot_state"].any()


def test_rank_held_is_the_place_among_the_entries() -> None:
    env = whole()
    view, _ = env.reset(options={"task_index": 0})
    for _ in range(3):
        view, *_ = env.step(CREATE)
    rank, score = TEXT_FEATURES.index("rank_held"), TEXT_FEATURES.index("score")
    for question in range(2):
        scores = view["slots"][:, question, score]
        better = [int((scores > own).sum()) for own in (*scores, view["candidate"][question, score])]
        found = [*view["slots"][:, question, rank], view["candidate"][question, rank]]
        np.testing.assert_allclose(found, np.exp(-np.array(better) / 6), rtol=1e-6)


def test_a_query_while_answering_is_a_look_and_a_bridge_follows_the_names_that_it_showed() -> None:
    documents = [
        {"title": "Alpha Works", "text": "Alpha Works was founded by Bela Stone."},
        {"title": "Bela Stone", "text": "Bela Stone came to the world in 1850."},
    ]
    record = {
        "id": "q",
        "type": "bridge",
        "question": "When was the founder of Alpha Works born?",
        "answers": ["1850"],
        "documents": documents,
        "supporting": [{"document": 1, "sentence": documents[1]["text"]}],
    }
    source = QADataset.from_records([record])
    asking = ("question", "bridge")
    env = make(source=source, num_docs=2, num_questions=1, queries=asking, top_k=1)
    env.reset(options={"task_index": 0})
    while not env.decisions.answering:
        env.step(CREATE)
    query = 2 + 2 * 4
    assert env.action_masks()[query:].tolist() == [True, False]  # nothing is shown yet
    view, *_, info = env.step(query)
    assert [operation["query"] for operation in info["operations"]] == [record["question"]]
    assert titles_shown(env) == ["Alpha Works"]
    assert view["slot_state"][:, 2].sum() == 1
    assert view["questions"].tolist() == [1]
    assert env.action_masks()[query:].tolist() == [False, True]
    *_, info = env.step(query + 1)
    assert [operation["query"] for operation in info["operations"]] == [record["question"], "Bela Stone"]
    assert set(titles_shown(env)) == {"Alpha Works", "Bela Stone"}
    assert env.action_masks()[query:].tolist() == [False, False]
    *_, info = env.step(0)
    assert [operation["op"] for operation in info["operations"]] == ["answer"]


def titles_shown(env: DiscreteOperations) -> list[str]:
    return [entry["content"].partition("\n")[0] for entry in env.unwrapped.episode.observe()["retrieved"]]


def test_a_chunk_that_completes_no_document_is_one_skip() -> None:
    env = make(chunk_tokens=20, chunk_overlap=0)
    env.reset(options={"task_index": 0})
    assert env.decisions.candidate is None
    assert env.action_masks().nonzero()[0].tolist() == [0]
    assert env.step(0)[4]["operations"] == []
    assert env.unwrapped.episode.observe()["cursor"] == 1


# --- candidates -------------------------------------------------------------------------------------


def candidates(env: DiscreteOperations) -> list[str]:
    env.reset(options={"task_index": 0})
    found = []
    while not env.decisions.answering:
        if env.decisions.candidate is not None:
            found.append(env.decisions.candidate)
        env.step(0)
    return found


def documents() -> list[tuple[str, str]]:
    observation, _ = whole().env.reset(options={"task_index": 0})
    return [(piece.title, piece.text) for piece in whole().unwrapped.split_documents(observation["chunk"])]


@pytest.mark.parametrize("chunk", [{"chunk_tokens": 4000}, {"chunk_tokens": 60, "chunk_overlap": 20}])
def test_each_document_is_offered_once(chunk: dict[str, int]) -> None:
    assert candidates(make(**chunk)) == [f"{title}\n{text}" for title, text in documents()]


def test_a_document_over_the_limit_is_offered_in_parts_of_whole_sentences() -> None:
    sizes = [PieceTokenizer().count(f"{title}\n{text}") for title, text in documents()]
    limit = sorted(sizes)[len(sizes) // 2]
    found = candidates(make(entry_tokens=limit))
    assert all(PieceTokenizer().count(content) <= limit for content in found)
    expected = [1 if size <= limit else 2 for size in sizes]
    assert len(found) == sum(expected) > len(sizes)


def test_what_fits_in_no_entry_can_only_be_skipped() -> None:
    env = make(entry_tokens=3)
    view, _ = env.reset(options={"task_index": 0})
    while env.decisions.candidate is None:
        view, *_ = env.step(0)
    assert env.action_masks().nonzero()[0].tolist() == [0]
    assert view["state"][STATE_FEATURES.index("fits")] == 0


class Doubling(PieceTokenizer):
    """Counts twice as many tokens as the built-in one, so that a policy cannot know what is too long."""

    name = "doubling"

    def count(self, text: str) -> int:
        return 2 * super().count(text)


def test_what_the_environment_refuses_leaves_the_slots_as_they_were() -> None:
    env = make(entry_tokens=50, tokenizer=Doubling(), chunk_tokens=300)
    generator = np.random.default_rng(0)
    env.reset(options={"task_index": 0})
    over, refused = False, 0
    while not over:
        *_, over, _, info = env.step(int(generator.choice(np.flatnonzero(env.action_masks()))))
        if info:
            held = [id for id in env.decisions.slots if id is not None]
            assert len(held) == env.unwrapped.episode.observe()["memory_size"]
            refused += sum(not result.ok for result in info["results"])
    assert refused == info["metrics"]["refused"]["too_long"] > 0


def test_what_is_as_long_as_a_refused_text_is_not_offered_again() -> None:
    env = make(entry_tokens=50, tokenizer=Doubling(), chunk_tokens=300)
    env.reset(options={"task_index": 0})
    over, shortest, sent = False, math.inf, []
    while not over:
        note, masks = env.decisions.candidate_note, env.action_masks()
        if note is not None and masks[1]:
            assert note.size < shortest
            sent.append(note.size)
        *_, over, _, info = env.step(1 if masks[1] else int(masks.argmax()))
        if info:
            created = [result for result in info["results"] if result.op == "create"]
            shortest = min(
                [shortest, *(size for size, result in zip(sent, created, strict=True) if not result.ok)]
            )
            sent = []
    assert shortest < math.inf


# --- the observation --------------------------------------------------------------------------------


class Forged(gym.Wrapper[Any, Any, Any, Any]):
    """Says that something else is gold."""

    def reset(self, **kwargs: Any) -> Any:
        observation, info = self.env.reset(**kwargs)
        gold = [{"answers": ["no"], "evidence": question["evidence"][:0]} for question in info["gold"]]
        return observation, {**info, "gold": gold}


@pytest.mark.parametrize("reward", ["score", "evidence", "read"])
def test_nothing_in_an_observation_comes_from_gold(reward: str) -> None:
    env = make(reward=reward)
    forged = DiscreteOperations(Forged(env.env), reward=reward)
    left, right = play(env, at_random(5)), play(forged, at_random(5))
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for key in one[0]:
            np.testing.assert_array_equal(one[0][key], other[0][key])


@pytest.mark.parametrize("seed", range(3))
def test_the_reward_for_evidence_sums_to_what_is_kept(seed: int) -> None:
    env = make("evidence", num_questions=3, num_docs=15, capacity=8)
    steps = play(env, at_random(seed), seed)
    kept = [question["evidence"]["kept"] for question in steps[-1][4]["metrics"]["questions"]]
    assert sum(step[1] for step in steps) == pytest.approx(np.mean(kept))
    assert any(step[1] > 0 for step in steps)


def test_the_reward_for_reading_sums_to_what_a_look_shows() -> None:
    env = make("read", capacity=6, top_k=2)
    steps = play(env, at_random(3))
    read = [question["evidence"]["read"] for question in steps[-1][4]["metrics"]["questions"]]
    assert sum(step[1] for step in steps) == pytest.approx(np.mean(read))


def test_without_evidence_in_the_data_its_reward_is_nothing() -> None:
    bare = [{**record, "supporting": []} for record in records()]
    env = make("evidence", source=QADataset.from_records(bare, name="bare"))
    assert {step[1] for step in play(env, at_random(0))} == {0.0}


def test_the_reward_is_else_the_environments() -> None:
    env = make(reward_timing="immediate", capacity=12)
    steps = play(env, choices(*[1] * 12), 3)
    assert sum(step[1] for step in steps) == steps[-1][4]["metrics"]["em"]


def test_a_scratchpad_is_written_at_each_chunk_beside_the_choices() -> None:
    env = make(compress=get_engine("rules").compress, scratchpad_tokens=40)
    steps = play(env, at_random(0))
    reading = [action for action in actions(steps) if action[-1]["op"] in ("update", "delete")]
    assert len(reading) == env.unwrapped.episode.observe()["num_chunks"]
    assert all(action[-1]["id"] == 0 for action in reading)
    assert env.unwrapped.episode.observe()["scratchpad"]
    assert not any(
        operation.get("id") == 0 for action in actions(play(make(), at_random(0))) for operation in action
    )


# --- Gymnasium --------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ENVS)
def test_gymnasiums_checker_has_nothing_to_say(id: str) -> None:
    source = {"source": DATA} if "Custom" in id else {} if "World" in id else {"source": "generated"}
    arguments = {**source, "num_docs": 12, "num_questions": (1, 2), "chunk_tokens": 300}
    env = gym.make(id, **(small_histories() if id in HISTORY_IDS else arguments), capacity=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(DiscreteOperations(env), skip_render_check=True)


def test_the_sizes_come_from_the_environment_or_the_arguments() -> None:
    env = make(capacity=7, num_questions=(1, 5))
    assert env.observation_space["slots"].shape == (7, 5, len(TEXT_FEATURES))
    assert env.action_space.n == 2 + 2 * 7 + 1
    env = make(slots=3, max_questions=10, queries=("question", "bridge"))
    assert env.observation_space["candidate"].shape == (10, len(TEXT_FEATURES))
    assert env.action_space.n == 2 + 2 * 3 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": None}, "capacity=20"),
        ({"slots": 0}, "slots=0"),
        ({"max_questions": 0}, "max_questions=0"),
        ({"queries": ()}, r"queries=\(\)"),
        ({"queries": ("who",)}, "who"),
        ({"reward": "gold"}, "gold"),
    ],
)
def test_an_argument_out_of_range_is_an_error_that_says_so(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_more_questions_than_there_is_room_for_is_an_error() -> None:
    env = make(max_questions=1)
    with pytest.raises(ValueError, match="2 questions, more than max_questions=1"):
        env.reset(seed=0)


def test_an_environment_pickles_and_copies_in_the_middle_of_an_episode() -> None:
    env = make("evidence")
    choose = at_random(0)
    view, _ = env.reset(options={"task_index": 2})
    for _ in range(5):
        view, *_ = env.step(choose(view, env.action_masks()))
    for twin in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        masks = env.action_masks()
        np.testing.assert_array_equal(masks, twin.action_masks())
    action = int(np.flatnonzero(masks)[-1])
    left, right = env.step(action), twin.step(action)
    assert left[1:] == right[1:]
    for key in left[0]:
        np.testing.assert_array_equal(left[0][key], right[0][key])


def test_a_spec_names_the_wrapper_and_makes_it_again() -> None:
    env = DiscreteOperations(
        gym.make("AtomMem-World-v0", num_docs=12, num_questions=1, capacity=3), queries=("question", "bridge")
    )
    assert env.spec is not None
    twin = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert twin.action_space == env.action_space
    left, _ = env.reset(seed=3)
    right, _ = twin.reset(seed=3)
    np.testing.assert_array_equal(left["candidate"], right["candidate"])


def _make_world() -> DiscreteOperations:
    return DiscreteOperations(
        gym.make("AtomMem-World-v0", num_docs=12, num_questions=2, chunk_tokens=300, capacity=3)
    )


def test_asynchronous_environments_equal_synchronous_ones() -> None:
    sync = SyncVectorEnv([_make_world] * 2)
    parallel = AsyncVectorEnv([_make_world] * 2)
    try:
        left, right = sync.reset(seed=3)[0], parallel.reset(seed=3)[0]
        for step in range(20):
            for key in left:
                np.testing.assert_array_equal(left[key], right[key])
            action = np.array([step % 2, 1])
            left, *rest = sync.step(action)
            right, *others = parallel.step(action)
            np.testing.assert_array_equal(rest[0], others[0])
    finally:
        sync.close()
        parallel.close()


# --- a policy's choices -----------------------------------------------------------------------------


def fingerprint() -> str:
    """Return a hash of what a network does in a few episodes."""
    unseen = {"source": QADataset.from_histories(chats(4)), "capacity": 3}
    made = [
        (make(), network()),
        (DiscreteOperations(gym.make("AtomMem-Custom-v0", **unseen)), network(blind=True)),
    ]
    return hashlib.sha256(
        repr([actions(play(env, one.choose, index)) for env, one in made for index in range(3)]).encode()
    ).hexdigest()


_SCRIPT = """
import sys
sys.path[:0] = [{tests!r}, {tests!r} + "/discrete"]
import test_discrete_operations as t
print(t.fingerprint())
"""


@pytest.mark.heavy
def test_other_processes_and_hash_seeds_make_the_same_choices() -> None:
    """Names are compared by hashes of words, which differ between processes."""
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(tests=tests)],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == fingerprint(), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"capacity": 2, "entry_tokens": 30},
        {"chunk_tokens": 25, "chunk_overlap": 5},
        {"queries": ("question", "bridge")},
        {"scratchpad": True, "scratchpad_tokens": 40},
        {"storage": False, "scratchpad": True},
    ],
)
def test_the_policy_does_on_the_environment_as_it_is_what_it_did_in_the_wrapper(
    tmp_path: Any, arguments: dict[str, Any]
) -> None:
    import atommem_env
    from atommem_env.baselines import make_policy

    env = make(**arguments)
    made = network(3, arguments.get("queries", ("question",)))
    own = {name: value for name, value in arguments.items() if name in WRAPPER}
    Network(made.weights, {**made.about, **own}).save(tmp_path / "n.npz")
    policy = make_policy("learned", checkpoint=tmp_path / "n.npz")
    for index in range(3):
        steps = play(env, made.choose, index)
        trace = atommem_env.rollout(env.env, policy, options={"task_index": index})
        assert trace.actions == actions(steps)
        assert trace.metrics == steps[-1][4]["metrics"]


def test_an_environment_that_was_not_made_by_gym_make_tells_its_configuration() -> None:
    env = DiscreteOperations(MemoryEnv(DATA, capacity=4, **SMALL))
    assert (env.decisions.num_slots, env.decisions.max_questions) == (4, 2)
    made = DiscreteOperations(gym.make("AtomMem-Custom-v0", source=DATA, capacity=4, **SMALL))
    left, right = play(env, at_random(1)), play(made, at_random(1))
    assert [step[1] for step in left] == [step[1] for step in right]
    assert left[-1][4]["metrics"] == right[-1][4]["metrics"]


def test_slots_of_ones_own_change_nothing_else() -> None:
    inner = MemoryEnv(DATA, capacity=12, **SMALL)
    env = DiscreteOperations(inner, slots=5)
    assert (env.decisions.num_slots, env.decisions.max_questions, inner.config.capacity) == (5, 2, 12)


def test_what_is_no_memory_env_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a MemoryEnv"):
        DiscreteOperations(gym.make("CartPole-v1", disable_env_checker=True))


def test_without_an_answerer_the_best_entrys_best_sentence_is_the_answer() -> None:
    shown = ["The mill is old. Ada Brun founded the mill in 1903. It stands.", "Ada Brun lives."]
    assert best_sentence("Who founded the mill?", shown) == "Ada Brun founded the mill in 1903."
    assert best_sentence("Who founded the mill?", []) == "unknown"
    env = make(answer=lambda question, entries: f"{len(entries)} shown")
    steps = play(env, choices(*[1] * 4))
    predictions = [question["prediction"] for question in steps[-1][4]["metrics"]["questions"]]
    assert all(prediction.endswith(" shown") for prediction in predictions)
