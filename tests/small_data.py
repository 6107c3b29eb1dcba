"""Our own small datasets for tests; the names and facts are invented."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from atommem_env.data.dataset import QADataset
from atommem_env.registration import ENVS

PLACES = "Ambry Brenholt Corvane Dunmarsh Estrell Farrowby Glenmoor Harwick Inverlay Jorvund".split()
PEOPLE = "Ada Bram Cleo Dirk Elin Finn Gwen Hugo Iris Joss".split()


def records(count: int = 30, distractors: int = 3) -> list[dict[str, Any]]:
    """Return ``count`` questions, each with two supporting documents and ``distractors`` others."""
    made = []
    for number in range(count):
        place, person = f"{PLACES[number % 10]}{number}", f"{PEOPLE[number % 10]} Vale{number}"
        river = f"River {PLACES[(number * 7 + 3) % 10]}{number}"
        documents = [
            {
                "title": person,
                "text": f"{person} was a painter of harbours. {person} was born in {place} in {1800 + number}.",
            },
            {"title": place, "text": f"{place} is a market town. The town of {place} lies on the {river}."},
        ]
        documents += [
            {
                "title": f"{PLACES[(number + step + 1) % 10]} Hall {number}-{step}",
                "text": f"Hall {number}-{step} was built of grey stone in {1500 + 7 * number + step}. It has a tower.",
            }
            for step in range(distractors)
        ]
        made.append(
            {
                "id": f"q{number}",
                "type": "bridge",
                "question": f"On which river lies the town where {person} was born?",
                "answers": [river, river.removeprefix("River ")],
                "documents": documents,
                "supporting": [
                    {"document": 0, "sentence": f"{person} was born in {place} in {1800 + number}."},
                    {"document": 1, "sentence": f"The town of {place} lies on the {river}."},
                ],
            }
        )
    return made


def hotpot_rows(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return records like those of :func:`records` in HotpotQA's schema."""
    return [
        {
            "_id": record["id"],
            "type": "bridge",
            "question": record["question"],
            "answer": record["answers"][0],
            "context": [[d["title"], re.split(r"(?<=\.)(?= )", d["text"])] for d in record["documents"]],
            "supporting_facts": [[record["documents"][number]["title"], 1] for number in (0, 1)],
        }
        for record in made
    ]


def dataset(count: int = 30, distractors: int = 3) -> QADataset:
    """Return :func:`records` as a dataset."""
    return QADataset.from_records(records(count, distractors), name="towns")


_HISTORIES = ("Chat", "LoCoMo", "LongMemEval", "MemoryAgentBench", "BEAM")
HISTORY_IDS = [id for id in ENVS if id.split("-")[1] in _HISTORIES]


def small_histories() -> dict[str, Any]:
    """Return the arguments of a small environment over histories: our own conversations."""
    source = QADataset.from_histories(chats(6), name="chats")
    return {"source": source, "num_questions": (1, 3), "chunk_tokens": 60}


def chats(count: int = 3) -> list[dict[str, Any]]:
    """Return ``count`` dated conversations with questions about them: some of several sessions, one unanswerable."""
    made = []
    for number in range(count):
        names = PEOPLE[number % 10], PEOPLE[(number + 3) % 10]
        sessions, questions = [], []
        for day in range(3 + number % 4):
            place = PLACES[(number + 2 * day) % 10]
            ids = [f"D{day + 1}:{turn}" for turn in (1, 2, 3)]
            texts = (f"I went to {place} today.", "How was it?", f"Cold:\nthe {place} market was empty.")
            turns = [
                {"speaker": names[turn % 2], "text": text, "id": id}
                for turn, (text, id) in enumerate(zip(texts, ids, strict=True))
            ]
            sessions.append({"date": f"{day + 1}:30 pm on {day + 3} May, 2023", "turns": turns})
            questions.append(
                {
                    "question": f"Where did {names[0]} go on {day + 3} May?",
                    "answer": place,
                    "type": "place",
                    "evidence": [ids[0]],
                    "date": "2023-06-01",
                }
            )
        questions.append(
            {
                "question": f"Which car does {names[0]} drive?",
                "answerable": False,
                "type": "unknown",
                "date": "2023-06-02",
            }
        )
        made.append({"id": f"chat-{number}", "sessions": sessions, "questions": questions})
    return made
