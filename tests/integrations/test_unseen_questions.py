"""No question stands anywhere before it is asked, and isolated questions never share a conversation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, MemoryVectorEnv, Read, TextProtocol
from atommem_env.baselines import make_policy
from atommem_env.data.dataset import QADataset
from atommem_env.data.world.chat import ChatConfig, generate_chat
from atommem_env.data.world.chat_rows import locomo_row, longmemeval_rows
from atommem_env.integrations.gem import GemEpisodes
from atommem_env.integrations.skyrl import SkyRLEpisode, dataset_rows
from atommem_env.integrations.text_episode import Message, TextEpisode
from atommem_env.integrations.trl.rollouts import _open, _play, _Played, rollout_rows
from atommem_env.integrations.trl.text import TextTools
from atommem_env.integrations.trl.tools import MemoryTools
from atommem_env.integrations.verifiers import play
from atommem_env.integrations.verl import run_episode
from atommem_env.llm import ChatSettings
from atommem_env.policies import rollout
from atommem_env.protocols import get_protocol
from atommem_env.runs import Run, evaluate
from atommem_env.runs.export import export
from fake_server import FakeServer
from small_data import chats

PROTOCOLS = ("atommem", "json", "released")
FORMS = ("LoCoMo", "LongMemEval", "Chat", "Custom")
NOT_UNDERSTOOD = {
    "atommem": "<update_memory>{}</update_memory>",
    "released": "<modify_memory>{}</modify_memory>",
    "json": '{{"name": "nothing", "arguments": {{"text": "{}"}}}}',
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The arguments of a small environment of each form, plain data as trainers keep them."""
    folder = tmp_path_factory.mktemp("forms")
    told = [generate_chat(ChatConfig(size=2, sessions=4, turns=8, questions=4), "test", i) for i in range(2)]
    rows: dict[str, list[Any]] = {
        "LoCoMo": [locomo_row(chat) for chat in told],
        "LongMemEval": longmemeval_rows(told[0]),
        "Custom": chats(2),
    }
    made: dict[str, dict[str, Any]] = {"Chat": {"histories": 2, "sessions": 4, "turns": 8, "questions": 4}}
    for form, listed in rows.items():
        (folder / f"{form}.json").write_text(json.dumps(listed))
        made[form] = {"source": str(folder / f"{form}.json")}
    return made


class Teller:
    """A model that writes down its questions in every way it can, and sees that it was told no other.

    Args:
        env: the environment that it plays in.
        protocol: what it writes.
    """

    def __init__(self, env: Any, protocol: Any) -> None:
        self.env, self.protocol = env.unwrapped, get_protocol(protocol)
        self.told: list[str] = []

    def __call__(self, shown: Any) -> str:
        text = shown if isinstance(shown, str) else "\n".join(str(message["content"]) for message in shown)
        episode = self.env.episode
        asked = episode.task.questions[episode.cursor].question if episode.phase else ""
        assert asked in text
        for question in episode.task.questions:
            assert question.question == asked or question.question not in text
        self.told.append(asked)
        if not asked:
            return self.protocol.render_operations([Create("a note")])
        first = episode.looks_left == episode.process.config.max_looks
        said = [Create(asked), Read(asked)] if first else [Answer(asked)]
        wrong = NOT_UNDERSTOOD.get(self.protocol.name, "").format(asked)
        return f"{self.protocol.render_operations(said)}\n{wrong}"


@pytest.mark.heavy
@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", FORMS)
def test_no_question_is_told_before_it_is_asked_nor_with_another(
    files: dict[str, Any], form: str, protocol: str, prompt_mode: str
) -> None:
    episode = TextEpisode(f"AtomMem-{form}-v0", protocol=protocol, prompt_mode=prompt_mode, **files[form])
    teller = Teller(episode.env, protocol)
    trajectory = episode.play(teller, 0)
    questions = len(episode.env.get_wrapper_attr("task").questions)
    assert len(teller.told) == len(trajectory.turns) == teller.told.count("") + 2 * questions
    assert sum(len(turn.malformed) for turn in trajectory.turns) == 2 * questions
    if prompt_mode == "append":
        firsts = [turn.messages for turn in trajectory.turns if turn.text.count("note") == 0][::2]
        reading = firsts[0][:-1]
        assert [messages[:-1] for messages in firsts] == [reading] * questions
        assert reading[-1]["role"] == "assistant"
    for info in trajectory.trace.infos[:-1]:
        assert not any(asked and asked in repr(info.get("gold")) for asked in teller.told)


# --- adapters ---------------------------------------------------------------------------------------


def gem(arguments: dict[str, Any], protocol: str) -> None:
    env = GemEpisodes("AtomMem-LoCoMo-v0", task_index=0, protocol=protocol, **arguments)
    shown, _ = env.reset()
    teller, over = Teller(env._env, protocol), False
    while not over:
        shown, _, over, _, _ = env.step(teller(shown))


def skyrl(arguments: dict[str, Any], protocol: str) -> None:
    env = SkyRLEpisode({}, {**_row(arguments, protocol), "prompt_mode": "reset"})
    messages, _ = env.init([])
    _drive(env, messages, protocol)


def skyrl_appending(arguments: dict[str, Any], protocol: str) -> None:
    env = SkyRLEpisode({}, _row({**arguments, "num_questions": 1}, protocol))
    messages, _ = env.init([])
    _drive(env, messages, protocol)


def _row(arguments: dict[str, Any], protocol: str) -> dict[str, Any]:
    return next(dataset_rows("AtomMem-LoCoMo-v0", [0], protocol=protocol, **arguments))


def _drive(env: SkyRLEpisode, messages: list[Message], protocol: str) -> None:
    teller = Teller(env._running().env, protocol)
    while messages:
        messages = env.step(teller(messages))["observations"]


def verl(arguments: dict[str, Any], protocol: str) -> None:
    episode = TextEpisode("AtomMem-LoCoMo-v0", protocol=protocol, **arguments)
    teller = Teller(episode.env, protocol)

    async def generate(prompt: list[int]) -> Any:
        text = teller("".join(map(chr, prompt)))
        return SimpleNamespace(token_ids=[ord(sign) for sign in text], log_probs=None)

    def encode(messages: list[Message]) -> list[int]:
        return [ord(sign) for message in messages for sign in message["content"]]

    limits = {"prompt_length": 10**6, "response_length": 10**6}
    asyncio.run(
        run_episode(episode, 0, generate, encode, lambda ids: "".join(map(chr, ids)), **limits)  # type: ignore[arg-type]
    )


def verifiers(arguments: dict[str, Any], protocol: str) -> None:
    episode = TextEpisode("AtomMem-LoCoMo-v0", protocol=protocol, prompt_mode="append", **arguments)
    teller = Teller(episode.env, protocol)

    async def reply(messages: list[Message]) -> str:
        return teller(messages)

    asyncio.run(play(episode, 0, reply, {}))


def trl(arguments: dict[str, Any], protocol: str) -> None:
    row = next(rollout_rows("AtomMem-LoCoMo-v0", [0], **arguments))
    (episode,) = _open([row["prompt"]], {}, {"protocol": protocol})
    teller = Teller(episode.env, protocol)

    class Trainer:
        accelerator = type("Accelerator", (), {"num_processes": 1})
        processing_class = type(
            "Tokenizer",
            (),
            {"eos_token_id": 0, "__call__": lambda self, text, add_special_tokens: {"input_ids": []}},
        )()

        def _tokenize_prompts(self, prompts: list[Any]) -> Any:
            return [[0]] * len(prompts), None

    _play([_Played(episode)], Trainer(), 10, lambda prompts: [teller(prompt) for prompt in prompts])
    assert episode.over


def vector(arguments: dict[str, Any], protocol: str) -> None:
    envs = MemoryVectorEnv(
        1, env="AtomMem-LoCoMo-v0", protocol=protocol, autoreset_mode="disabled", **arguments
    )
    shown, _ = envs.reset(options={"task_index": 0})
    teller, over = Teller(envs.envs[0], protocol), False
    while not over:
        shown, _, over, _, _ = envs.step((teller(shown[0]),))


def openenv(arguments: dict[str, Any], protocol: str) -> None:
    pytest.importorskip("openenv.core")
    from atommem_env.integrations.openenv.environment import AtomMemEnvironment
    from atommem_env.integrations.openenv.models import AtomMemAction

    env = AtomMemEnvironment("AtomMem-LoCoMo-v0", protocol=protocol, **arguments)
    seen = env.reset(task_index=0)
    assert seen.metadata["isolated_question"] == -1
    teller = Teller(env._env, protocol)
    while not seen.done:
        seen = env.step(AtomMemAction(text=teller(seen.messages)))


ADAPTERS: list[Callable[[dict[str, Any], str], None]] = [
    gem, skyrl, skyrl_appending, verl, verifiers, trl, vector, openenv,
]  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.__name__)
def test_no_adapter_tells_a_question_before_it_is_asked(
    files: dict[str, Any], adapter: Callable[[dict[str, Any], str], None], protocol: str
) -> None:
    adapter(files["LoCoMo"], protocol)


def test_an_adapter_whose_episode_is_one_conversation_refuses_several_isolated_questions(
    files: dict[str, Any],
) -> None:
    arguments = files["LoCoMo"]
    starts: list[Callable[[dict[str, Any]], Any]] = [
        lambda more: GemEpisodes("AtomMem-LoCoMo-v0", prompt_mode="append", **arguments, **more).reset(),
        lambda more: SkyRLEpisode({}, _row({**arguments, **more}, "atommem")).init([]),
        lambda more: MemoryTools("AtomMem-LoCoMo-v0", **arguments, **more).reset(task_index=0),
        lambda more: TextTools("AtomMem-LoCoMo-v0", **arguments, **more).reset(task_index=0),
    ]
    for start in starts:
        with pytest.raises(
            ValueError, match=r"one conversation; .*num_questions=1 or isolate_questions=False"
        ):
            start({})
        for fine in ({"num_questions": 1}, {"isolate_questions": False}):
            start(fine)


# --- what is kept and exported ----------------------------------------------------------------------


class Notes:
    """Keeps notes, looks, and answers."""

    name = "notes"

    def reset(self, observation: Any, info: Any) -> None:
        pass

    def act(self, observation: Any, info: Any) -> list[Any]:
        if observation["phase"] == 0:
            return [Create(f"note {observation['cursor']}")]
        (question,) = observation["questions"]
        return [Create(question), Read(question)] if observation["looks_left"] == 3 else [Answer(question)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "chats.json").write_text(json.dumps(chats(1)))
    env = gym.make("AtomMem-Custom-v0", source=str(folder / "chats.json"))
    return evaluate(env, {"notes": Notes()}, episodes=1, out=folder / "r")


def exported(run: Run, folder: Path, rows: str, protocol: str = "atommem") -> Iterator[dict[str, Any]]:
    export(run, folder / "out.jsonl", rows, protocol=protocol)
    yield from map(json.loads, (folder / "out.jsonl").read_text().splitlines())


@pytest.mark.parametrize(("kind", "protocol"), [("tools", "atommem"), *(("messages", p) for p in PROTOCOLS)])
def test_an_exported_conversation_is_about_one_question_and_goes_on_from_the_end_of_reading(
    run: Run, tmp_path: Path, kind: str, protocol: str
) -> None:
    rows = list(exported(run, tmp_path, kind, protocol))
    questions = [question["question"] for question in chats(1)[0]["questions"]]
    assert [row["question"] for row in rows] == list(range(len(questions)))
    assert len({row["trajectory_id"] for row in rows}) == 1
    begin, answer = {"tools": (-7, -3), "messages": (-4, -1)}[kind]
    for row, asked in zip(rows, questions, strict=True):
        told = [json.dumps(message, ensure_ascii=False) for message in row["messages"]]
        assert row["messages"][:begin] == rows[0]["messages"][:begin]
        assert not any(question in text for question in questions for text in told[:begin])
        assert asked in told[begin]
        assert asked in told[answer]
        assert not any(other in text for other in questions if other != asked for text in told)


def test_an_exported_turn_is_about_one_question(run: Run, tmp_path: Path) -> None:
    questions = [question["question"] for question in chats(1)[0]["questions"]]
    for row in exported(run, tmp_path, "turns"):
        assert sum(question in row["prompt"][0]["content"] for question in questions) <= 1


@pytest.mark.parametrize("policy", ["atommem", "mem0", "memgpt", "generative-agents"])
def test_no_prompt_on_record_tells_a_question_before_it_is_asked(
    chat_server: FakeServer, policy: str
) -> None:
    chat_server.begin(lambda prompt: "unknown")
    env = gym.make("AtomMem-Custom-v0", source=QADataset.from_histories(chats(1), name="chats"))
    settings = ChatSettings("m", chat_server.address, keep_prompts=True)
    trace = rollout(env, make_policy(policy, engine=settings), options={"task_index": 0})
    questions = [question["question"] for question in chats(1)[0]["questions"]]
    kept = 0
    for observation, said in zip(trace.observations, trace.said, strict=False):
        for call in said:
            kept += 1
            found = [question for question in questions if question in json.dumps(call["prompt"])]
            assert found in ([], list(observation["questions"]))
    assert kept


def test_in_a_text_protocol_nothing_is_told_of_the_text_before_a_question(files: dict[str, Any]) -> None:
    env = TextProtocol(gym.make("AtomMem-Custom-v0", num_questions=2, **files["Custom"]))
    _, info = env.reset(options={"task_index": 0})
    while info["isolated_question"] < 0:
        shown, _, _, _, info = env.step("<update_memory>never mind</update_memory>")
    assert info["num_malformed"] > 0
    assert info["malformed"]
    state = env.get_state()
    assert "never mind" not in shown
    shown, *_ = env.step("<update_memory>never mind</update_memory>")
    assert "never mind" in shown
    env.set_state(state)
    assert "never mind" not in str(env.render_prompt())
