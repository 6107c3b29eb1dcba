"""The engine for the generated world: it reads every fact it is shown exactly, and never guesses.

Sentences and questions are read by the very tables that the world writes from
(:mod:`atommem_env.data.world.statements`, :mod:`atommem_env.data.world.asked`, and of its chats
:mod:`atommem_env.data.world.chat_reading`), so that exact match in the world measures memory and nothing else. A fact
that changed has the value of the latest date in view, and in a numbered list of the highest number. What cannot be
answered from what is shown is answered ``unknown``; of any text that the world did not write it understands nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from atommem_env.baselines.engines.engine import UNKNOWN
from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.entries import split_number
from atommem_env.data.world.asked import Chosen, Met, Named, Sense, Thing, senses
from atommem_env.data.world.chat_reading import ChatFacts
from atommem_env.data.world.statements import stated
from atommem_env.data.world.templates import MONTHS
from atommem_env.text import sentences


class WorldEngine(RulesEngine):
    """Answers questions of the generated world from the facts that it is shown.

    Whatever else a workflow asks of an engine (choosing sentences, keywords, edits) is done by fixed rules, those of
    the engine ``rules``.
    """

    name = "world"

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer ``question`` from the sentences of ``passages``; ``"unknown"`` when they do not say."""
        facts = Facts(passages)
        answers = (facts.answer(sense) for sense in senses(question))
        found = next((answer for answer in answers if answer is not None), None)
        return found or ChatFacts(passages).answer(question) or UNKNOWN

    def answer_or_search(self, question: str, passages: Sequence[str], core: str) -> str | None:
        """Answer as soon as what is shown says enough."""
        answer = self.answer(question, [*passages, core])
        return None if answer == UNKNOWN else answer


class Facts:
    """The facts that some passages state, each with its latest value.

    Args:
        passages: texts, sentence by sentence as the world wrote them; lines that are not sentences do no harm.
    """

    def __init__(self, passages: Iterable[str]) -> None:
        self._values: dict[tuple[str, str, str], tuple[tuple[int, int], str]] = {}
        for passage in passages:
            for line in passage.splitlines():
                number, text = split_number(line)
                for sentence in sentences(text):
                    for fact in stated(sentence.strip()):
                        key = (fact.kind, fact.subject, fact.relation)
                        since = (fact.year, int("".join(filter(str.isdecimal, number)) or 0))
                        if key not in self._values or since > self._values[key][0]:
                            self._values[key] = (since, fact.value)

    def answer(self, sense: Sense) -> str | None:
        """Return what the facts answer to a question in one of its senses; ``None`` when they do not."""
        if isinstance(sense, Chosen):
            return self._choose(sense)
        if isinstance(sense, Met):
            return self._meet(sense)
        return self.find(sense)

    def find(self, thing: Thing) -> str | None:
        """Return the name or the value of ``thing``."""
        if isinstance(thing, Named):
            return thing.name
        start = self.find(thing.start)
        if start is None:
            return None
        _, value = self._values.get((thing.start.kind, start, thing.relation), (None, None))
        return value

    def _of(self, thing: Thing, relation: str) -> str | None:
        name = self.find(thing)
        _, value = self._values.get((thing.kind, name or "", relation), (None, None))
        return value

    def _choose(self, sense: Chosen) -> str | None:
        first, second = (self._measure(thing, sense.relation) for thing in sense.things)
        if first is None or second is None or first == second:
            return None
        return sense.names[0 if (first < second) == sense.least else 1]

    def _measure(self, thing: Thing, relation: str) -> int | None:
        """Return what two things are compared by: a day, a number of days, or a number."""
        if relation == "life":
            born, died = (self._measure(thing, end) for end in ("birth", "death"))
            return None if born is None or died is None else died - born
        value = self._of(thing, relation)
        if value is None:
            return None
        return _day(value).toordinal() if relation in ("birth", "death") else int(value.replace(",", ""))

    def _meet(self, sense: Met) -> str | None:
        values = [self._of(thing, sense.relation) for thing in sense.things]
        if None in values:
            return None
        return "yes" if len({*values, sense.value or values[0]}) == 1 else "no"


def _day(text: str) -> date:
    day, month, year = text.split(" ")
    return date(int(year), MONTHS.index(month) + 1, int(day))
