"""A-Mem: every document becomes a note that is linked to others and rewrites them.

Reading, per document: the engine describes it (keywords, tags, a sentence of context); the 5 nearest notes
are its neighbours; the engine decides on evolution: *strengthen* (the note links to chosen neighbours and
takes new tags) and *update neighbours* (``Update`` of a neighbour with new tags and context); ``Create`` the
note. Nothing is deleted. Answering: keywords from the question, ``Read`` with k=10, then the notes linked from
the hits, and the engine's answer from both. Source: arXiv 2502.12110.

How it fits the environment, which shows a chunk of many documents at a time and finds entries by a query alone:

- The searches for all documents of a chunk are one look. Documents are then processed in order, and a
  document's neighbours may be notes made of the ones before it in the chunk (see
  :class:`~atommem_env.baselines.draft.Draft`).
- A link is an entry's id *and its title*, since a linked note can only be had by searching for it: after the
  first look at a question, a second one repeats the query and asks for each linked title. What it finds
  besides the linked notes is not used. The titles are part of the entry and searched with it, which the
  published system's links are not; a policy that kept them itself would hold text outside memory.
- Where an entry is limited, a document over three quarters of the limit is several notes, each of whole
  sentences under its title; the last quarter is for what a note adds.
- Links are made to entries at hand, and followed while their entry is alive. A note that the environment
  refuses (a full memory, a note too long) is lost, an Update of it in the same action is refused with it, and a
  link to it is never followed.

With the ``rules`` engine, descriptions (names, frequent words, the first sentence) and evolution (links between
notes that name one another or share words) are stand-ins that are not the published system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    Observation,
    Operations,
    document_text,
    shown_entries,
)
from atommem_env.baselines.draft import Draft, LookThenWrite
from atommem_env.baselines.engines.engine import EngineSpec, NeighbourEdit
from atommem_env.baselines.notes import Note, link_to, read_note
from atommem_env.core.checks import between
from atommem_env.core.operations import MAX_K, Read

_FOLLOW_K: Final = 3
"""How many entries to show for a linked title: other notes may name it too."""


class AMem(LookThenWrite):
    """Makes a note of each document, linked to its neighbours, and lets it rewrite them.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        k: how many neighbours a note has, from 0 to 32.
        answer_k: how many notes to find for a question, from 1 to 32.

    Raises:
        ValueError: when an argument is out of range, or the engine lacks an ability.
    """

    name = "a-mem"
    needs = ("describe_note", "evolve", "keyword_query")

    def __init__(self, engine: EngineSpec = "auto", k: int = 5, answer_k: int = 10) -> None:
        super().__init__(engine, k)
        self.answer_k = between("answer_k", answer_k, 1, MAX_K)
        self._reader = DocumentReader()
        self._search = Read("")
        self._used: set[int] | None = None

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        limit = self._rules.entry_tokens
        self._reader = DocumentReader(limit and limit * 3 // 4)

    # --- reading ------------------------------------------------------------------------------------

    def texts(self, observation: Observation) -> list[str]:
        """Return the documents that the chunk completes."""
        return [document_text(document.title, document.text) for document in self._reader.read(observation)]

    def write(self, texts: Sequence[str], draft: Draft) -> None:
        """Make notes of the documents, one after the other."""
        for query, text in enumerate(texts):
            self._add(text, draft.nearest(query, text, self.k), draft)

    def _add(self, text: str, neighbours: Sequence[int], draft: Draft) -> None:
        """Make a note of ``text``, and let it change its neighbours."""
        described = self.engine.describe_note(text)
        note = Note(text, described.context, described.keywords, described.tags)
        if neighbours:
            evolution = self.engine.evolve(note.render(), [draft[id] for id in neighbours])
            by_place = dict(enumerate(neighbours))
            chosen = [by_place[place] for place in dict.fromkeys(evolution.strengthen) if place in by_place]
            if chosen:
                links = tuple(link_to(id, draft[id]) for id in chosen)
                note = replace(note, links=links, tags=evolution.tags or note.tags)
            for place, edit in evolution.neighbours.items():
                if place in by_place:
                    _rewrite(by_place[place], edit, draft)
        draft.create(note.render())

    # --- answering ----------------------------------------------------------------------------------

    def answer_question(self, observation: Observation) -> Operations:
        """Look with keywords, look again for the linked notes, then answer from both."""
        question = observation["questions"][0]
        first = self._looked != observation["cursor"]
        if first:
            self._looked = observation["cursor"]
            self._used = None
        if first and observation["looks_left"]:
            self._search = Read(self.engine.keyword_query(question).strip() or question, self.answer_k)
            return [self._search]
        if self._used is None:
            links = self._links(observation)
            self._used = {entry["id"] for entry in observation["retrieved"]} | links.keys()
            if links and observation["looks_left"]:
                return [self._search, *(Read(title, _FOLLOW_K) for title in links.values())]
        used = [entry["content"] for entry in observation["retrieved"] if entry["id"] in self._used]
        return self.answer(observation, used)

    def _links(self, observation: Observation) -> dict[int, str]:
        """Return the titles, by id, of the notes that are linked from those shown and not shown themselves."""
        hidden = set(self.alive) - {entry["id"] for entry in observation["retrieved"]}
        notes = [read_note(content) for content in shown_entries(observation)]
        return {link.id: link.title for note in notes for link in note.links if link.id in hidden}


def _rewrite(id: int, edit: NeighbourEdit, draft: Draft) -> None:
    """Give note ``id`` the tags and the context of ``edit``, where it has any."""
    old = read_note(draft[id])
    new = replace(old, tags=edit.tags or old.tags, context=edit.context or old.context)
    if new != old:
        draft.update(id, new.render())
