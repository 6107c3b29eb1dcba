"""Mem0: facts, each added to the memory, merged into an entry, or taken for a reason to delete one.

Reading, per chunk: (1) the engine extracts facts; (2) one look asks for the entries nearest to each; (3) the
engine decides for each fact to ADD, UPDATE, DELETE or do NONE; (4) the decisions are carried out in order.
Answering: ``Read(question)``, then the engine's answer from the entries shown. Source: arXiv 2504.19413, and
the system's public code, which differ:

- ``paper``: one decision per fact, with its 10 nearest entries, in order, so that a fact meets the entries as
  the facts before it have left them.
- ``code`` (0.1.x): one joint decision on all facts and all entries found (5 for each fact), which the engine
  knows by the numbers 0 to n-1.
- ``additive`` (later releases): every fact is added, nothing is looked up, changed or deleted.

A decision that names an entry that was not shown is dropped, as in the system's code. A fact that the
environment refuses (a full memory, an entry too long) is lost.

With the ``rules`` engine, facts (every sentence, under its document's title) and decisions (by the words that a
fact and an entry share) are stand-ins that are not the published system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from atommem_env.baselines.common import Observation
from atommem_env.baselines.draft import Draft, LookThenWrite
from atommem_env.baselines.engines.engine import Edit, EngineSpec
from atommem_env.baselines.entries import split_stamp
from atommem_env.core.checks import one_of

VARIANTS: Final = {"paper": 10, "code": 5, "additive": 0}
"""The variants, and how many entries each finds for a fact."""


class Mem0(LookThenWrite):
    """Extracts facts and decides on each.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        variant: ``"paper"``, ``"code"`` or ``"additive"``.
        k: how many entries to find for each fact, from 0 to 32; ``None``: as the variant does.

    Raises:
        ValueError: when an argument is out of range, or the engine lacks an ability.
    """

    name = "mem0"
    needs = ("extract_facts", "decide_edits")

    def __init__(self, engine: EngineSpec = "auto", variant: str = "paper", k: int | None = None) -> None:
        self.variant: str = one_of("variant", variant, tuple(VARIANTS))
        if variant == "additive" and k:
            raise ValueError(f"k={k}: the variant 'additive' looks nothing up; leave k out")
        super().__init__(engine, VARIANTS[variant] if k is None else k)

    def texts(self, observation: Observation) -> list[str]:
        """Return the facts of the chunk, of a dated one each with its date."""
        facts = self.engine.extract_facts(observation["questions"], self.chunk(observation))
        date = observation.get("now", "") and (self._headers.date or observation["now"])
        return [
            fact if not date or split_stamp(fact)[0] or date in fact else f"[{date}] {fact}" for fact in facts
        ]

    def write(self, texts: Sequence[str], draft: Draft) -> None:
        """Decide on the facts, and carry the decisions out."""
        if self.variant == "additive":
            for fact in texts:
                draft.create(fact)
        elif self.variant == "paper":
            for query, fact in enumerate(texts):
                self._decide([fact], draft.nearest(query, fact, self.k), draft)
        elif texts:
            self._decide(texts, draft.ids, draft)

    def _decide(self, facts: Sequence[str], ids: Sequence[int], draft: Draft) -> None:
        for edit in self.engine.decide_edits(facts, [draft[id] for id in ids]):
            if edit.kind == "add":
                draft.create(edit.text)
            elif edit.kind != "none" and edit.entry is not None and 0 <= edit.entry < len(ids):
                _change(draft, ids[edit.entry], edit)


def _change(draft: Draft, id: int, edit: Edit) -> None:
    if edit.kind == "update":
        draft.update(id, edit.text)
    else:
        draft.delete(id)
