"""Every workflow on a conversation whose questions nobody has asked yet."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Create, rollout
from atommem_env.baselines import make_policy
from atommem_env.baselines.common import Clock
from atommem_env.baselines.entries import SessionHeaders, split_stamp, stamped_sentences
from atommem_env.baselines.vague import vague_answer
from atommem_env.data.dataset import QADataset
from atommem_env.registration import POLICIES
from atommem_env.scoring.official import abstained
from atommem_env.text import digest
from scripted import ScriptedEngine

STORES = [
    "rag", "write-everything", "mem0", "a-mem", "memory-bank", "generative-agents", "mem1", "recency", "reservoir",
    "merge",
]  # fmt: skip

SESSIONS = [
    (
        "2023-05-08 09:00",
        [("Ann", "I adopted a grey cat called Mirza."), ("Ben", "Lovely news, Ann!")],
    ),
    ("2023-05-08 12:30", [("Ben", "I sold my boat to a man from Corvane."), ("Ann", "Oh.\nWell done!")]),
    ("2023-05-08 20:15", [("Ann", "My sister Cleo moved to Dunmarsh."), ("Ben", "Is it far?")]),
]
QUESTIONS = [
    ("What is Ann's cat called?", "Mirza", ["D1:1"]),
    ("Where does the buyer of Ben's boat come from?", "Corvane", ["D2:1"]),
    ("Where did Ann's sister Cleo move?", "Dunmarsh", ["D3:1"]),
]


def history(backwards: bool = False) -> dict[str, Any]:
    sessions = [
        {
            "date": date,
            "turns": [
                {"speaker": speaker, "text": text, "id": f"D{number}:{place}"}
                for place, (speaker, text) in enumerate(turns, 1)
            ],
        }
        for number, (date, turns) in enumerate(SESSIONS, 1)
    ]
    asked: list[dict[str, Any]] = [
        {"question": question, "answer": answer, "evidence": evidence, "date": "2023-05-09"}
        for question, answer, evidence in QUESTIONS
    ]
    asked.append({"question": "Which car does Ben drive?", "answerable": False, "date": "2023-05-09"})
    return {"id": "small", "sessions": sessions, "questions": asked[::-1] if backwards else asked}


def make(backwards: bool = False, **arguments: Any) -> gym.Env[Any, Any]:
    data = QADataset.from_histories([history(backwards)], name="small")
    return gym.make("AtomMem-Custom-v0", source=data, **arguments)


def entries(name: str, arguments: dict[str, Any] | None = None, **rules: Any) -> list[str]:
    """Return what a policy creates while it reads, or writes into its scratchpad last."""
    env, policy = make(**rules), make_policy(name, **(arguments or {}))
    observation, info = env.reset(seed=0)
    policy.reset(observation, info)
    made: list[str] = []
    while observation["phase"] == 0:
        assert observation["questions"] == ()
        action = policy.act(observation, info)
        made += [operation.content for operation in action if isinstance(operation, Create)]
        observation, _, _, _, info = env.step(action)
    return made or [observation["scratchpad"]]


@pytest.mark.parametrize("name", [*STORES, "oracle"])
def test_what_stores_turns_keeps_the_evidence(name: str) -> None:
    questions = rollout(make(), make_policy(name)).metrics["questions"]
    assert [question["evidence"]["kept"] for question in questions[:3]] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", [*STORES, "oracle", "memagent"])
def test_an_entry_says_who_said_it_and_when(name: str) -> None:
    entry = next(text for text in entries(name) if "Cleo moved" in text)
    place = entry.index("My sister")
    assert "2023-05-08 20:15" in entry[:place]
    assert "Ann" in entry[:place]


def test_rag_stores_turns_or_sessions() -> None:
    assert entries("rag")[3] == "[2023-05-08 12:30] Ann: Oh.\nWell done!"
    whole = entries("rag", {"unit": "session"})
    assert len(whole) == 3
    assert whole[0].startswith("Session 1 (2023-05-08 09:00)\nAnn: I adopted")
    with pytest.raises(ValueError, match="unit='chapter'"):
        make_policy("rag", unit="chapter")


@pytest.mark.parametrize(
    ("name", "arguments"), [("rag", {}), ("rag", {"unit": "session"}), ("write-everything", {})]
)
def test_later_parts_of_a_session_have_its_date(name: str, arguments: dict[str, Any]) -> None:
    limit = {} if name == "write-everything" else {"entry_tokens": 30}
    made = entries(name, arguments, chunk_tokens=24, **limit)
    assert len(made) > 3
    assert all("2023-05-08" in text for text in made)


@pytest.mark.parametrize("capacity", [None, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_no_order_of_the_questions_changes_what_becomes_of_one(name: str, capacity: int | None) -> None:
    def chat(messages: list[dict[str, str]]) -> str:
        prompt = messages[-1]["content"]
        first, *kept = sorted(prompt.split(), key=lambda word: digest(word, prompt))[:4]
        written = f"<create_memory>{' '.join(kept)}</create_memory> <update_memory>?</update_memory>"
        return f"{written} <answer>{first}</answer>"

    engine: Any = ScriptedEngine(chat=chat) if name == "atommem" else "rules"
    shown = {"questions_shown": "always"} if name == "keep-best" else {}
    found = [
        {
            question["question"]: [question[key] for key in ("prediction", "em", "f1", "evidence")]  # type: ignore[literal-required]
            for question in rollout(
                make(way, capacity=capacity, **shown), make_policy(name, engine=engine)
            ).metrics["questions"]
        }
        for way in (False, True)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("arguments", [{"second_look": "bridge"}, {"full_store": "keep-best"}])
def test_what_is_noted_at_one_question_is_gone_at_the_next(arguments: dict[str, Any]) -> None:
    found = []
    for way in (False, True):
        env = make(way, questions_shown="always", capacity=4)
        policy = make_policy("generative-agents", reflect_after=1, **arguments)
        metrics = rollout(env, policy).metrics
        found.append({question["question"]: question["prediction"] for question in metrics["questions"]})
        assert metrics["refused"]["unknown_id"] == 0
    assert found[0] == found[1]


def test_abstain_abstains_from_all_and_is_right_where_there_is_no_answer() -> None:
    questions = rollout(make(), make_policy("abstain")).metrics["questions"]
    assert all(abstained(question["prediction"]) for question in questions)
    assert [question["em"] for question in questions] == [0.0, 0.0, 0.0, 1.0]


def test_vague_states_no_fact() -> None:
    assert vague_answer("Where did Ann's sister Cleo move in 2023?") == "Something to do with sister move"
    assert vague_answer("Who?") == "Something of that kind"
    questions = rollout(make(), make_policy("vague")).metrics["questions"]
    assert [question["em"] for question in questions] == [0.0] * 4
    assert not any(abstained(question["prediction"]) for question in questions)


def test_recency_keeps_the_last_and_reservoir_a_sample() -> None:
    env = make(capacity=2)
    assert [q["evidence"]["kept"] for q in rollout(env, make_policy("recency")).metrics["questions"][:3]] == [
        0,
        0,
        1,
    ]
    held = {
        tuple(
            q["evidence"]["kept"]
            for q in rollout(env, make_policy("reservoir", seed=seed)).metrics["questions"][:3]
        )
        for seed in range(12)
    }
    assert {sum(kept) for kept in held} <= {0, 1, 2}
    assert len(held) > 2
    for name in ("recency", "reservoir"):
        metrics = rollout(make(), make_policy(name, slots=3)).metrics
        assert (metrics["memory_size"], metrics["refused"]["capacity"]) == (3, 0)


@pytest.mark.parametrize(("name", "arguments"), [("keep-best", {}), ("rag", {"full_store": "keep-best"})])
def test_what_chooses_by_the_questions_says_that_it_needs_them(name: str, arguments: dict[str, Any]) -> None:
    policy = make_policy(name, **arguments)
    with pytest.raises(ValueError, match="questions_shown='always'"):
        rollout(make(), policy)
    shown = rollout(make(questions_shown="always", capacity=3), policy).metrics["questions"]
    assert [question["evidence"]["kept"] for question in shown[:3]] == [1.0] * 3


@pytest.mark.parametrize("name", ["mem1", "memgpt", "rag", "learned"])
def test_the_engines_unknown_is_said_in_the_tasks_words(name: str) -> None:
    questions = rollout(make(), make_policy(name, engine="world")).metrics["questions"]
    assert {question["prediction"] for question in questions} == {"No information available"}


def test_the_clock_tells_days_and_hours_where_there_are_dates_and_actions_elsewhere() -> None:
    clock = Clock()
    for now in ("2023-05-08T06:00", "2023-05-10T12:00", "2023-05-09"):
        before = clock.days, clock.hours
        clock.follow({"now": now})  # type: ignore[typeddict-item]
    assert (clock.days - before[0], clock.hours - before[1]) == (0, 0)
    steps = Clock()
    for _ in range(3):
        steps.follow({"now": ""})  # type: ignore[typeddict-item]
    assert (steps.days, steps.hours) == (2, 2)


def test_stamps_are_read_back_and_go_with_every_sentence() -> None:
    entry = "[8 May, 2023] Ann: One. Two: three."
    assert split_stamp(entry) == ("[8 May, 2023] Ann: ", "One. Two: three.")
    assert stamped_sentences(entry) == ["[8 May, 2023] Ann: One.", "[8 May, 2023] Ann: Two: three."]
    assert split_stamp("[sic] Ann: One.") == ("", "[sic] Ann: One.")


def test_a_part_without_a_header_gets_that_of_its_session_each_time_it_is_read() -> None:
    headers = SessionHeaders()
    assert (
        headers.read("Session 4 (8 May):\nAnn: One.\n", 0, "2023-05-08") == "Session 4 (8 May):\nAnn: One.\n"
    )
    for _ in range(2):
        assert headers.read("Ann: Two.\n\n", 1, "2023-05-08") == "Session 4 (8 May):\nAnn: Two.\n\n"
    assert headers.read("Document 1:\nT\ntext", 2, "") == "Document 1:\nT\ntext"
