"""MemoryVectorEnv gives what SyncVectorEnv over the single environments gives, and encodes once per step."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, InvalidAction, ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from atommem_env import Answer, Create, Delete, MemoryVectorEnv, Read, TextProtocol, Update
from atommem_env.registration import ENVS
from atommem_env.retrieval.encoders import CachedEncoder, FunctionEncoder
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.text import digest
from small_data import HISTORY_IDS, dataset, small_histories

TOWNS = dataset(40)
SMALL: dict[str, Any] = {"num_docs": 20, "num_questions": (1, 3), "chunk_tokens": 900, "chunk_overlap": 50}
TOWN = "AtomMem-Custom-v0"
COUNT = 3
MODES = list(AutoresetMode)


def arguments(id: str) -> dict[str, Any]:
    """Return the arguments of a small environment of ``id``."""
    if id == TOWN:
        return {**SMALL, "source": TOWNS}
    if id in HISTORY_IDS:
        return small_histories()
    return SMALL if id == "AtomMem-World-v0" else {**SMALL, "source": "generated"}


def sync(
    id: str = TOWN, mode: AutoresetMode = AutoresetMode.NEXT_STEP, wrappers: Any = None, **kwargs: Any
) -> Any:
    """Return the reference: Gymnasium's own vector environment over ``gym.make``."""
    return gym.make_vec(
        id,
        COUNT,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        wrappers=wrappers,
        **{**arguments(id), **kwargs},
    )


def vector(id: str = TOWN, mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **kwargs: Any) -> Any:
    return gym.make_vec(id, COUNT, autoreset_mode=mode, **{**arguments(id), **kwargs})


def act(observation: dict[str, Any], generator: np.random.Generator) -> list[Any]:
    """Store a few lines, edit some, read, answer; at times nothing, or something that is refused."""
    if not observation["questions"] or generator.random() < 0.1:
        return []
    if observation["phase"] == 0:
        lines = [line for line in observation["chunk"].split("\n") if line]
        picked = [lines[i] for i in generator.integers(len(lines), size=3)]
        edits = [Update(1, picked[0]), Delete(int(generator.integers(6))), {"op": "fly"}]
        return [*map(Create, picked), Update(0, picked[0]), *edits, Read(picked[1], 3), Read(picked[2], 2)]
    if observation["looks_left"] == 3:
        return [Read(observation["questions"][0])]
    shown = [row["content"] for row in observation["retrieved"]] or ["nothing"]
    return [Answer(shown[0].split(".")[0])]


def write(prompt: str, generator: np.random.Generator) -> str:
    """Return a text as an agent might write it, with a broken piece now and then."""
    lines = [line for line in prompt.split("\n") if line]
    words = lines[int(generator.integers(len(lines)))].replace("<", " ").replace(">", " ")
    pieces = (
        f"<create_memory>{words}</create_memory><read_memory>{words}</read_memory>",
        f"<answer>{words}</answer>",
        '<update_memory>broken {"op": "fly"}',
        '{"name": "read", "arguments": {"query": "town"}}',
    )
    return pieces[int(generator.integers(len(pieces)))]


def actions_for(observations: Any, number: int) -> tuple[Any, ...]:
    """Return one action for each environment, which depend on what is shown and on the step's number."""
    generators = [np.random.default_rng([number, i]) for i in range(COUNT)]
    if isinstance(observations, tuple):
        return tuple(map(write, observations, generators))
    singles = [{key: value[i] for key, value in observations.items()} for i in range(COUNT)]
    return tuple(map(act, singles, generators))


def run(envs: Any, steps: int = 16, seed: Any = 3) -> list[Any]:
    """Return all that an environment returns, resetting what has ended where it does not do so itself."""
    record = [envs.reset(seed=seed)]
    for number in range(steps):
        record.append(envs.step(actions_for(record[-1][0], number)))
        ended = record[-1][2] | record[-1][3]
        if ended.any() and envs.metadata["autoreset_mode"] == AutoresetMode.DISABLED:
            record.append(envs.reset(options={"reset_mask": ended}))
    envs.close()
    return record


def same(left: Any, right: Any) -> bool:
    """Return whether two results are equal in every value, type and dtype."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and all(map(same, left, right))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def ends(record: list[Any]) -> int:
    """Return how many episodes ended."""
    return int(sum((step[2] | step[3]).sum() for step in record if len(step) == 5))


# --- equality ---------------------------------------------------------------------------------------


def test_same_tells_types_apart() -> None:
    assert same({"a": (1, np.zeros(2))}, {"a": (1, np.zeros(2))})
    assert not same({"a": 1}, {"a": 1.0})
    assert not same(np.zeros(2), np.zeros(2, dtype=np.float32))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ENVS)
def test_it_equals_sync(id: str, mode: AutoresetMode) -> None:
    expected = run(sync(id, mode))
    assert ends(expected) > 2
    assert same(run(vector(id, mode)), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ["AtomMem-World-v0", "AtomMem-Chat-v0"])
def test_a_stream_equals_sync(id: str, mode: AutoresetMode) -> None:
    small = (
        {"histories": 3, "sessions": 8, "questions": 4}
        if "Chat" in id
        else {"revisions": 1.0, "world_size": 40}
    )
    more = {"stream": True, "source": "auto", "num_questions": 3, "chunk_tokens": 600, **small}
    expected = run(sync(id, mode, **more), steps=30)
    assert ends(expected) > 2
    assert same(run(vector(id, mode, **more), steps=30), expected)


@pytest.mark.parametrize("mode", MODES)
def test_it_truncates_as_the_time_limit_wrapper_does(mode: AutoresetMode) -> None:
    limited = {"max_episode_steps": 4, "reward": "f1", "reward_timing": "immediate"}
    expected = run(sync(mode=mode, **limited))
    found = run(vector(mode=mode, **limited))
    assert same(found, expected)
    assert any(step[3].any() and not step[2].any() for step in found if len(step) == 5)


def test_a_limit_of_minus_one_is_none_as_in_make() -> None:
    assert same(run(vector(max_episode_steps=-1)), run(vector()))


def test_the_process_own_limit_ends_episodes_with_metrics() -> None:
    expected = run(sync(mode=AutoresetMode.SAME_STEP, max_steps=3))
    found = run(vector(mode=AutoresetMode.SAME_STEP, max_steps=3))
    assert same(found, expected)
    assert any("metrics" in step[4].get("final_info", {}) for step in found if len(step) == 5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "protocol", ["atommem", {"protocol": "json", "prompt_mode": "append"}], ids=["atommem", "json append"]
)
def test_it_speaks_a_protocol_as_the_wrapper_does(protocol: Any, mode: AutoresetMode) -> None:
    options = protocol if isinstance(protocol, dict) else {"protocol": protocol}
    expected = run(sync(mode=mode, wrappers=[partial(TextProtocol, **options)], max_episode_steps=6))
    found = run(vector(mode=mode, protocol=protocol, max_episode_steps=6))
    assert same(found, expected)
    infos = [step[-1].get("final_info", step[-1]) for step in found]
    assert any(info["num_malformed"].any() for info in infos)


def test_spaces_and_metadata_are_those_of_sync() -> None:
    for wrappers, protocol in ((None, None), ([TextProtocol], "atommem")):
        expected, found = sync(wrappers=wrappers), vector(protocol=protocol)
        for name in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
            assert getattr(found, name) == getattr(expected, name)
        assert found.metadata == expected.metadata
        assert found.render_mode is expected.render_mode is None
        assert found.reset(seed=0)[0] in found.observation_space
        found.step(found.action_space.sample())


def test_rendering_is_that_of_each() -> None:
    expected, found = sync(render_mode="ansi"), vector(render_mode="ansi")
    expected.reset(seed=0)
    found.reset(seed=0)
    assert found.render_mode == "ansi"
    assert found.render() == expected.render()


# --- making one -------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ENVS)
def test_make_vec_takes_this_path_by_default(id: str) -> None:
    envs = vector(id)
    assert type(envs) is MemoryVectorEnv
    assert envs.spec.id == id
    assert repr(envs) == f"MemoryVectorEnv({id}, num_envs={COUNT})"
    assert isinstance(gym.spec(id).vector_entry_point, str)
    again = gym.make_vec(pickle.loads(pickle.dumps(envs.spec)))
    assert type(again) is MemoryVectorEnv
    assert same(again.reset(seed=1), envs.reset(seed=1))


def test_make_vec_still_makes_the_others() -> None:
    assert type(sync()) is SyncVectorEnv
    many = gym.make_vec(TOWN, 1, "async", vector_kwargs={"shared_memory": False}, **arguments(TOWN))
    assert type(many) is AsyncVectorEnv
    expected = run_one(many)
    many.close()
    assert same(run_one(gym.make_vec(TOWN, 1, **arguments(TOWN))), expected)


def run_one(envs: Any) -> list[Any]:
    return [envs.reset(seed=0), envs.step(([Create("Ambry is a town"), Read("town")],))]


def test_it_is_made_from_an_id_a_reference_or_a_class() -> None:
    expected = vector().reset(seed=0)
    for env in (TOWN, ENVS[TOWN]):
        assert same(MemoryVectorEnv(COUNT, env=env, **arguments(TOWN)).reset(seed=0), expected)
    assert same(MemoryVectorEnv(COUNT, data=TOWNS, **SMALL).reset(seed=0), expected)


@pytest.mark.parametrize("name", ["same_step", "SAME_STEP", "SameStep", "same-step"])
def test_a_mode_goes_by_several_names(name: str) -> None:
    assert vector(mode=name).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"autoreset_mode": "later"}, "'next_step', 'same_step', 'disabled'"),
        ({"num_envs": 0}, "num_envs=0: expected an int of at least 1"),
        ({"max_episode_steps": 0}, "max_episode_steps=0"),
        ({"protocol": "morse"}, "protocol='morse'"),
        ({"num_docs": 0}, "num_docs=0"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryVectorEnv(**{"num_envs": 2, "data": TOWNS, **SMALL, **wrong})


def test_other_environments_are_refused() -> None:
    with pytest.raises(TypeError, match="vectorization_mode='sync'"):
        MemoryVectorEnv(2, env=partial(gym.make, TOWN), **arguments(TOWN))  # type: ignore[arg-type]


def test_the_episodes_share_what_is_costly_and_nothing_else() -> None:
    envs = vector()
    first, second = (env for env in envs.envs[:2])
    assert first.dataset is second.dataset
    assert first._process is second._process
    assert first.action_space is not second.action_space
    envs.reset(seed=0)
    assert first.np_random is not second.np_random
    envs.step(([Create("alpha"), Update(0, "note")], [], []))
    assert envs.call("metrics")[1]["memory_size"] == 0


def test_what_was_returned_does_not_change_any_more() -> None:
    envs = vector(mode="disabled")
    envs.reset(seed=0)
    observations, *_ = envs.step(([Create("the river Ambry"), Read("river")], [], []))
    before = pickle.dumps(observations)
    envs.step(([Update(1, "the hill by the river")], [], []))
    assert pickle.dumps(observations) == before
    observations["retrieved"][0][0]["content"] = "scribble"
    shown, _ = envs.reset(options={"reset_mask": np.array([False, True, True])})
    assert shown["retrieved"][0][0]["content"] == "the hill by the river"


# --- seeds, tasks, masks ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [5, [7, None, 9], [1, 2, 3]])
def test_seeds_are_those_of_sync(seed: Any) -> None:
    expected, found = sync(), vector()
    left, right = expected.reset(seed=seed), found.reset(seed=seed)
    chosen = [i for i in range(COUNT) if isinstance(seed, int) or seed[i] is not None]
    assert all(same(left[1]["task_id"][i], right[1]["task_id"][i]) for i in chosen)
    assert all(found.np_random_seed[i] == expected.np_random_seed[i] for i in chosen)
    states = [[each.np_random[i].bit_generator.state for i in chosen] for each in (expected, found)]
    assert states[0] == states[1]


def test_without_a_seed_generators_go_on() -> None:
    expected, found = sync(), vector()
    for seed in (4, None, None):
        assert same(found.reset(seed=seed), expected.reset(seed=seed))


def test_a_numpy_seed_is_an_int() -> None:
    assert same(vector().reset(seed=np.int64(4)), vector().reset(seed=4))


@pytest.mark.parametrize("tasks", [[4, 0, 4], (1, 2, 3), np.array([5, 5, 6])])
def test_each_environment_may_have_its_own_task(tasks: Any) -> None:
    envs = vector()
    observations, infos = envs.reset(options={"task_index": tasks})
    assert infos["task_index"].tolist() == list(tasks)
    for i, index in enumerate(tasks):
        single, info = gym.make(TOWN, **arguments(TOWN)).reset(options={"task_index": int(index)})
        assert {key: value[i] for key, value in observations.items()} == single
        assert infos["task_id"][i] == info["task_id"]


def test_a_group_has_one_task_which_is_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    build = PooledTasks.build
    monkeypatch.setattr(PooledTasks, "build", lambda self, index: built.append(index) or build(self, index))
    envs = vector()
    observations, infos = envs.reset(options={"task_index": 2})
    assert infos["task_index"].tolist() == [2, 2, 2]
    assert len(set(observations["chunk"])) == 1
    envs.reset(options={"task_index": [3, 4, 3]})
    assert built == [2, 3, 4]


def test_an_environment_without_a_task_draws_one() -> None:
    envs, twin = vector(), vector()
    _, drawn = envs.reset(seed=6)
    _, infos = twin.reset(seed=6, options={"task_index": [0, None, None]})
    assert infos["task_index"].tolist() == [0, *drawn["task_index"][1:].tolist()]


def test_a_mask_goes_with_tasks_and_leaves_options_as_they_are() -> None:
    envs = vector(mode="disabled")
    _, before = envs.reset(seed=0)
    options = {"task_index": [1, 2, 3], "reset_mask": np.array([True, False, True])}
    _, infos = envs.reset(options=options)
    assert set(options) == {"task_index", "reset_mask"}
    assert infos["task_index"].tolist() == [1, 0, 3]
    assert infos["_task_index"].tolist() == [True, False, True]
    assert envs.call("task")[1].id == before["task_id"][1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": [1, 2]}, ValueError, "seed has 2 elements for 3 environments"),
        ({"options": {"task_index": [1, 2]}}, ValueError, "one for each"),
        ({"options": {"task_index": -1}}, ValueError, "task_index=-1"),
        ({"options": {"task": 1}}, ValueError, "unknown reset options"),
        ({"options": {"reset_mask": [True, False, True]}}, TypeError, "NumPy array of bool"),
        ({"options": {"reset_mask": np.array([1, 0, 1])}}, TypeError, "NumPy array of bool"),
        ({"options": {"reset_mask": np.array([True])}}, ValueError, r"shape \(3,\)"),
        ({"options": {"reset_mask": np.zeros(3, dtype=bool)}}, ValueError, "at least one True"),
    ],
)
def test_a_wrong_reset_says_what_to_pass(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    envs = vector()
    envs.reset(seed=0)
    with pytest.raises(error, match=message):
        envs.reset(**arguments)


def test_an_environment_that_was_never_reset_cannot_be_left_out() -> None:
    with pytest.raises(ResetNeeded):
        vector().reset(options={"reset_mask": np.array([False, True, True])})


# --- actions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["stop", None, Create("x"), {"op": "create", "content": "x"}])
def test_a_wrong_action_names_its_environment_and_changes_nothing(wrong: Any) -> None:
    envs, twin = vector(), vector()
    for each in (envs, twin):
        each.reset(seed=0)
    with pytest.raises(InvalidAction, match="environment 1: an action is a list or tuple"):
        envs.step(([Create("x")], wrong, []))
    fine = ([Create("y"), Read("y")], [], [])
    assert same(envs.step(fine), twin.step(fine))


def _raises(error: BaseException) -> Any:
    def raise_it(prediction: str) -> float:
        raise error

    return raise_it


@pytest.mark.parametrize(
    "bad",
    [
        lambda prediction: None, lambda prediction: prediction, lambda prediction: float("nan"), lambda prediction: 2,
        _raises(KeyError("x")), _raises(SystemExit(0)), _raises(GeneratorExit()), _raises(KeyboardInterrupt()),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_reward_that_fails_in_one_environment_leaves_all_as_they_were(bad: Any) -> None:
    def reward(prediction: str, answers: Any) -> Any:
        return bad(prediction) if prediction == "bad" else 1.0

    envs, twin = (vector(reward=reward, early_answer=True, num_questions=2) for _ in range(2))
    for each in (envs, twin):
        each.reset(seed=0)
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        envs.step(([Create("x"), Answer("good")], [Create("y"), Answer("bad")], [Create("z")]))
    assert not isinstance(caught.value, ValueError) or "reward=" in str(caught.value)
    fine = ([Create("y"), Read("y")], [Answer("good")], [])
    assert same(envs.step(fine), twin.step(fine))


@pytest.mark.parametrize("wrong", [([], []), [[]] * 4, "abc", {"op": "read"}])
def test_there_is_one_action_for_each_environment(wrong: Any) -> None:
    envs = vector()
    envs.reset(seed=0)
    with pytest.raises(InvalidAction, match="3 actions, one for each"):
        envs.step(wrong)


def test_with_a_protocol_an_action_is_a_text() -> None:
    envs = vector(protocol="atommem")
    envs.reset(seed=0)
    with pytest.raises(InvalidAction, match="environment 2: an action of TextProtocol"):
        envs.step(("a", "b", [Create("x")]))
    with pytest.raises(InvalidAction, match="3 actions"):
        envs.step("abc")


def test_steps_need_a_reset() -> None:
    envs = vector(mode="disabled", max_episode_steps=1)
    with pytest.raises(ResetNeeded):
        envs.step([[], [], []])
    envs.reset(seed=0)
    envs.step([[], [], []])
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(ResetNeeded, match=r"environments \[1, 2\] have ended"):
        envs.step([[], [], []])


# --- the single environments ------------------------------------------------------------------------


def test_attributes_and_methods_of_the_single_environments() -> None:
    envs, expected = vector(), sync()
    for each in (envs, expected):
        each.reset(seed=0)
    assert envs.get_attr("num_tasks") == expected.get_attr("num_tasks") == envs.call("num_tasks")
    assert envs.call("metrics") == expected.call("metrics")
    envs.set_attr("nickname", ["a", "b", "c"])
    assert envs.get_attr("nickname") == ("a", "b", "c")
    envs.set_attr("nickname", "all")
    assert envs.get_attr("nickname") == ("all", "all", "all")
    with pytest.raises(ValueError, match="2 values for 3 environments"):
        envs.set_attr("nickname", ["a", "b"])


def test_states_go_back() -> None:
    envs = vector()
    observations, _ = envs.reset(seed=0)
    envs.step(actions_for(observations, 0))
    states = envs.call("get_state")
    first = envs.step(([Read("town")], [], [Create("x")]))
    for env, state in zip(envs.envs, states, strict=True):
        env.set_state(state)
    assert same(envs.step(([Read("town")], [], [Create("x")])), first)


def test_it_pickles_in_the_middle_of_episodes() -> None:
    envs = vector(mode="same_step", protocol="atommem", max_episode_steps=5)
    prompts, _ = envs.reset(seed=0)
    prompts = envs.step(actions_for(prompts, 0))[0]
    twin = pickle.loads(pickle.dumps(envs))
    for number in range(1, 9):
        actions = actions_for(prompts, number)
        left, right = envs.step(actions), twin.step(actions)
        assert same(left, right)
        prompts = left[0]


def test_nothing_works_after_close() -> None:
    envs = vector()
    envs.reset(seed=0)
    envs.close()
    envs.close()
    with pytest.raises(ClosedEnvironmentError, match=r"after close\(\)"):
        envs.step([[], [], []])


# --- one encoder call per step ----------------------------------------------------------------------


def embed(texts: list[str]) -> Any:
    """Return a vector for each text that depends on its words alone."""
    rows = [[np.frombuffer(digest(word), np.uint8) for word in (text or "-").split()] for text in texts]
    return np.stack([np.mean(row, axis=0) - 127 for row in rows]).astype(np.float32)


@pytest.mark.parametrize("size", [20_000, 2])
@pytest.mark.parametrize("retriever", ["dense", "hybrid"])
def test_a_step_encodes_in_one_call(retriever: str, size: int) -> None:
    encoder = CachedEncoder(FunctionEncoder(embed), size)
    alone = CachedEncoder(FunctionEncoder(embed))
    envs = vector(retriever=retriever, encoder=encoder)
    expected = run(sync(retriever=retriever, encoder=alone), 12)
    found = [envs.reset(seed=3)]
    assert encoder.calls == 0
    for number in range(12):
        before = encoder.calls
        found.append(envs.step(actions_for(found[-1][0], number)))
        assert encoder.calls <= before + 1
    assert same(found, expected)
    assert 3 <= encoder.calls <= 12 < alone.calls
    assert encoder.texts == alone.texts or size == 2


def test_all_episodes_that_read_are_one_call_and_a_text_is_encoded_once() -> None:
    encoder = CachedEncoder(FunctionEncoder(embed))
    envs = vector(retriever="dense", encoder=encoder)
    envs.reset(seed=0)
    envs.step(([Create("a b"), Read("q")], [Create("a b"), Create("c"), Read("q"), Read("r")], [Create("d")]))
    assert (encoder.calls, encoder.texts) == (1, 4)  # "a b" and "c", "q" and "r"; "d" is not asked for yet
    envs.step(([], [Create("e")], [Read("d")]))
    assert (encoder.calls, encoder.texts) == (2, 7)  # "e", and "d" as an entry and as a query
    envs.step(([], [], []))
    assert encoder.calls == 2


def test_the_cache_keeps_to_its_size_after_a_step() -> None:
    encoder = CachedEncoder(FunctionEncoder(embed), 2)
    envs = vector(retriever="dense", encoder=encoder)
    envs.reset(seed=0)
    envs.step([[Create(f"text {i}"), Read(f"query {i}")] for i in range(COUNT)])
    assert (encoder.calls, encoder.texts) == (1, 6)
    encoder.encode(["text 0"], "document")
    assert (encoder.calls, encoder.texts) == (2, 7)


def test_a_retriever_of_ones_own_works_too() -> None:
    expected = run(sync(retriever="random"), 8)
    assert same(run(vector(retriever="random"), 8), expected)
    assert same(run(vector(retriever=LastFirst), 8), run(sync(retriever=LastFirst), 8))


class LastFirst:
    """A retriever with the least that one must have: the youngest entries."""

    def __init__(self) -> None:
        self.ids: dict[int, None] = {}

    def add(self, id: int, text: str) -> None:
        self.ids[id] = None

    def replace(self, id: int, text: str) -> None:
        pass

    def remove(self, id: int) -> None:
        del self.ids[id]

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        return [(id, float(id)) for id in sorted(self.ids, reverse=True)[:k]]
