"""How often the evidence funnel errs: other texts that it takes to hold a fact, and notes of one that it passes over.

    python examples/funnel_quality.py [FOLDER OF BENCHMARK FILES] [--tasks N]

For each benchmark whose files are in the folder (train and dev), for the generated world and for generated chats, the
units of evidence of tasks of 200 documents (of a chat: all its turns) are put against

- ghosts: every other document or turn of the task, each as its own entry, those of the unit's question left out;
- rewrites of the unit, made by rule: its whole document, the sentence under its title and alone, a note without stop
  words, with two fifths or all of the words changed that are not names or numbers, cut, among other facts, in halves;
- the same sentence with another subject in the place of its own.

Then texts written by hand (funnel_labels.json, in several domains and scripts) are judged one by one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

import atommem_env  # noqa: F401
from atommem_env import QADataset
from atommem_env.evidence import STOP_WORDS, Matcher, evidence_units, holds

LABELS = Path(__file__).with_name("funnel_labels.json")
BENCHMARKS = ("HotpotQA", "2WikiMultihopQA", "MuSiQue")
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Fact:
    """A unit of evidence and its document: a title and a text, or a turn, which stands under its speaker's name."""

    sentence: str
    title: str
    text: str
    turn: bool = False

    @property
    def subject(self) -> str:
        """The title as it stands in running text: without what is said in brackets."""
        return re.sub(r"\s*\(.*?\)", "", self.title).strip()

    @property
    def telling(self) -> bool:
        """Whether the sentence has a number, or a name that does not begin it."""
        words = WORD.findall(self.sentence)
        return any(word[0].isdigit() for word in words) or any(map(is_name, words[1:]))


def is_name(word: str) -> bool:
    """Return whether a rewording that keeps names and numbers keeps this word."""
    return word[0].isupper() or any(map(str.isdigit, word))


def key_words(sentence: str) -> str:
    """Return the sentence as one would note it: without stop words and punctuation."""
    return " ".join(word for word in WORD.findall(sentence) if word.lower() not in STOP_WORDS)


def reworded(sentence: str, share: float, words: list[str], draw: random.Random) -> str:
    """Return the sentence with a share of the words changed that are not names or numbers, its second half first."""
    parts = [
        word if is_name(word) or draw.random() >= share else draw.choice(words)
        for word in WORD.findall(sentence)
    ]
    borders = [
        place for place in range(1, len(parts)) if not (is_name(parts[place - 1]) and is_name(parts[place]))
    ]
    middle = min(borders, key=lambda place: abs(place - len(parts) // 2), default=0)
    return " ".join(parts[middle:] + parts[:middle])


def with_other_subject(fact: Fact, other: Fact) -> str | None:
    """Return the sentence about the subject of ``other``; ``None`` where it names none, or they share a word.

    A turn names whom it speaks to and seldom what it is about, so it has none.
    """
    if fact.turn:
        return None
    if set(WORD.findall(fact.subject.lower())) & set(WORD.findall(other.subject.lower())):
        return None
    if fact.subject and fact.subject in fact.sentence:
        return fact.sentence.replace(fact.subject, other.subject)
    lead = re.match(r"(?:[A-Z]\w+[ -])+[A-Z]\w+", fact.sentence)
    if lead is None or lead.group().split()[0].lower() in STOP_WORDS:
        return None
    if set(WORD.findall(lead.group().lower())) & set(WORD.findall(other.subject.lower())):
        return None
    return other.subject + fact.sentence[lead.end() :]


def among_others(fact: Fact, others: list[Fact]) -> str:
    """Return an entry of five facts, this one in the middle."""
    return " ".join(f"{each.title}: {each.sentence}" for each in [*others[:2], fact, *others[2:4]])


def halves(fact: Fact) -> list[str]:
    """Return two entries, each with the title and half of the sentence."""
    words = fact.sentence.split()
    middle = len(words) // 2
    return [f"{fact.title}: {' '.join(words[:middle])}", f"{fact.title}: {' '.join(words[middle:])}"]


def cut(sentence: str) -> str:
    """Return the first two thirds of the sentence."""
    words = sentence.split()
    return " ".join(words[: max(2, 2 * len(words) // 3)])


Rewrite = Callable[[Fact, list[Fact], list[str], random.Random], str | list[str] | None]

REWRITES: dict[str, Rewrite] = {
    "copy": lambda fact, others, words, draw: f"{fact.title}\n{fact.text}",
    "sentence": lambda fact, others, words, draw: f"{fact.title}: {fact.sentence}",
    "note": lambda fact, others, words, draw: f"{fact.title}: {key_words(fact.sentence)}",
    "reworded": lambda fact, others, words, draw: (
        f"{fact.title}: {reworded(fact.sentence, 0.4, words, draw)}"
    ),
    "bare": lambda fact, others, words, draw: fact.sentence if fact.telling else None,
    "bare note": lambda fact, others, words, draw: key_words(fact.sentence) if fact.telling else None,
    "bare reworded": lambda fact, others, words, draw: (
        reworded(fact.sentence, 0.4, words, draw) if fact.telling else None
    ),
    "other words": lambda fact, others, words, draw: (
        f"{fact.title}: {reworded(fact.sentence, 1.0, words, draw)}"
    ),
    "cut": lambda fact, others, words, draw: f"{fact.title}: {cut(fact.sentence)}",
    "several": lambda fact, others, words, draw: among_others(fact, others),
    "halves": lambda fact, others, words, draw: halves(fact),
    "other subject": lambda fact, others, words, draw: with_other_subject(fact, others[0]),
}
"""How a unit is rewritten; ``None`` where a rewrite does not apply. All but the last should be recognised."""


@dataclass
class Count:
    """How many of how many."""

    held: int = 0
    of: int = 0

    def add(self, held: bool) -> None:
        """Count one more."""
        self.held += held
        self.of += 1

    @property
    def percent(self) -> float:
        """The share in percent."""
        return 100 * self.held / self.of if self.of else float("nan")


def stored(documents: Sequence[Any]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the entries of a policy that stores all: document and turn (-1: none) of each, and its text."""
    for number, document in enumerate(documents):
        turns = getattr(document, "turns", None)
        if turns is None:
            yield (number, -1), f"{document.title}\n{document.text}"
        else:
            for place, turn in enumerate(turns):
                yield (number, place), f"[{document.date}] {turn.speaker}: {turn.text}"


def measure(env: gym.Env[Any, Any], tasks: int, seed: int = 0) -> dict[str, Count]:
    """Return how many units were held, by kind of text: ``ghosts`` and the kinds of :data:`REWRITES`."""
    base: Any = env.unwrapped
    shares = base.dataset.word_shares
    counts: dict[str, Count] = defaultdict(Count)
    facts: list[tuple[Fact, Matcher]] = []
    words: list[str] = []
    for index in range(min(tasks, base.num_tasks)):
        env.reset(options={"task_index": index})
        task = base.task
        units = evidence_units(task)
        own: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for unit in task.units:
            own[unit.question].add((unit.document, unit.turn))
        matcher = Matcher(units, shares)
        entries = list(stored(task.documents))
        ghosts = {
            number
            for place, text in entries
            for number in matcher.held(text)
            if place not in own[units[number].question]
        }
        for number, unit in enumerate(task.units):
            counts["ghosts"].add(number in ghosts)
            document = task.documents[unit.document]
            if unit.turn >= 0:
                turn = document.turns[unit.turn]
                fact = Fact(units[number].text, turn.speaker, turn.text, turn=True)
            else:
                fact = Fact(units[number].text, document.title, document.text)
            facts.append((fact, Matcher([units[number]], shares)))
        words += [word for word in WORD.findall(task.documents[0].text) if not is_name(word)]
    draw = random.Random(seed)
    for fact, matcher in facts:
        others = [draw.choice(facts)[0] for _ in range(4)]
        for kind, rewrite in REWRITES.items():
            made = rewrite(fact, others, words, draw)
            if made is not None:
                counts[kind].add(any(map(matcher.held, [made] if isinstance(made, str) else made)))
    return counts


def judge_labels() -> Iterator[tuple[str, str, bool, bool, str]]:
    """Yield domain, kind, whether the text holds the fact by hand and by the rule, and the text."""
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    documents = [{"title": fact["title"], "text": fact["document"]} for fact in labels]
    dataset = QADataset.from_records(
        [{"question": "-", "answer": "-", "documents": documents}], name="labels"
    )
    for fact in labels:
        for kind, wanted, text in fact["texts"]:
            found = holds(text, fact["unit"], fact["title"], dataset.word_shares)
            yield fact["domain"], kind, wanted, found, text


def environments(folder: Path | None) -> Iterator[tuple[str, gym.Env[Any, Any]]]:
    """Yield a name and an environment for each file that is there, and for the generated world."""
    for name in BENCHMARKS if folder is not None else ():
        for split in ("train", "validation"):
            env = opened(f"AtomMem-{name}-v0", source=str(folder), split=split)
            if env is not None:
                yield f"{name} {split}", env
    conversations = folder and opened("AtomMem-LoCoMo-v0", source=str(folder))
    if conversations:
        yield "LoCoMo", conversations
    yield "generated world", gym.make("AtomMem-World-v0")
    yield "generated chats", gym.make("AtomMem-Chat-v0")


def opened(id: str, **arguments: Any) -> gym.Env[Any, Any] | None:
    """Return an environment, or ``None`` where its file is not there."""
    try:
        return gym.make(id, **arguments)
    except FileNotFoundError:
        return None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How often the evidence funnel errs.")
    parser.add_argument("folder", nargs="?", type=Path, help="a folder with files of the benchmarks")
    parser.add_argument("--tasks", type=int, default=20, help="the most tasks of each (default 20)")
    options = parser.parse_args()
    kinds = ("ghosts", *REWRITES)
    print("Percent of the units held.\n")
    print("| data | units | " + " | ".join(kinds) + " |")
    print("| --- | " + "--: | " * (len(kinds) + 1))
    for name, env in environments(options.folder):
        counts = measure(env, options.tasks)
        cells = [f"{counts[kind].percent:.1f}" if counts[kind].of else "–" for kind in kinds]
        print(f"| {name} | {counts['ghosts'].of} | " + " | ".join(cells) + " |")
    judged = list(judge_labels())
    right = sum(wanted == found for _, _, wanted, found, _ in judged)
    print(f"\nTexts labelled by hand: {right} of {len(judged)} judged as by hand. The others:\n")
    for domain, kind, wanted, found, text in judged:
        if wanted != found:
            print(f"- {domain}, {kind}: {'not held' if wanted else 'held'}: {text}")


if __name__ == "__main__":
    main()
