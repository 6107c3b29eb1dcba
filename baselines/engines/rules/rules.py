"""The engine without a model: fixed rules for answering and compressing, a stand-in for a language model.

With it every workflow runs without a model, a download or a key. It reads only what it is shown, and knows no more than
a table of countries and the turns of phrase of English encyclopedias. Each of its rules scores on the benchmarks'
samples; of what it answers about a third is right there. Every result made with it names the engine ``rules``.
"""

from __future__ import annotations

from collections.abc import Sequence

from atommem_env.baselines.engines.engine import (
    UNKNOWN,
    CoreEdit,
    Edit,
    Evolution,
    Insight,
    NoteDescription,
    State,
)
from atommem_env.baselines.engines.rules import fact_rules, note_rules, reflection_rules, state_rules
from atommem_env.baselines.engines.rules.comparisons import choose, judge
from atommem_env.baselines.engines.rules.compression import compress
from atommem_env.baselines.engines.rules.facts import Attribute, attribute_asked
from atommem_env.baselines.engines.rules.passages import Mention, Passage, lookup, mentions, read_passages
from atommem_env.baselines.engines.rules.questions import Question, find_options, read_question
from atommem_env.baselines.engines.rules.reading import best_span, by_relevance
from atommem_env.baselines.engines.rules.relations import related_names, relations_asked
from atommem_env.baselines.engines.rules.spans import dates
from atommem_env.baselines.engines.rules.speech import answer_speech
from atommem_env.baselines.engines.rules.spoken import read_speech
from atommem_env.core.words import content_stems, stem
from atommem_env.text import PieceTokenizer, Tokenizer, tokens

_MOST_PASSAGES = 24
_LEFT_OVER = 4
_LONGEST_QUESTION = 2_000


class RulesEngine:
    """Answers by span picking and compresses by choosing sentences; see the module's page.

    To answer, it tells the type of the question, follows the relations that it names from one passage to the next
    (*the mother of the director of X*), reads dates, places and nationalities that stand in set forms, compares two
    things by their dates, numbers or countries, and else picks the span that fits best.

    Args:
        tokenizer: what budgets are counted with; the built-in counter by default.
    """

    name = "rules"

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self._tokenizer = tokenizer or PieceTokenizer()

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer ``question`` from ``passages``; never empty.

        What stands in passages of a conversation is answered by :mod:`~atommem_env.baselines.engines.rules.speech`.
        Without passages the answer is a guess from the question: *yes*, the first of two options, or
        *unknown*.
        """
        question = question[:_LONGEST_QUESTION]
        said = read_speech(passages)
        if said:
            return answer_speech(question, said)
        docs = _shortlist(question, read_passages(passages))
        asked = read_question(question, docs)
        if not docs:
            return guess(question)
        if asked.type == "yes/no":
            return judge(asked, docs)
        if asked.type == "option":
            return choose(asked, docs) or guess(question)
        return self._span(asked, docs) or guess(question)

    def _span(self, question: Question, passages: Sequence[Passage]) -> str:
        """Return the fact or the span that answers ``question``, ``""`` when the passages hold none."""
        fact, target = follow_relations(question, passages)
        if fact is None and question.type in ("date", "year"):
            fact = _fact_nearby(question, passages, target)
        if fact is not None and question.type == "year":
            fact = _year_only(fact)
        return fact or best_span(question, passages, target)

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        """Keep the sentences of ``memory`` and ``chunk`` that share most with ``questions`` and fit."""
        return compress(questions, memory, chunk, budget_tokens, self._tokenizer)

    # Stand-ins for what particular systems ask a language model; each module's page says what they do.

    def rate_importance(self, text: str) -> int:
        """Stand-in: the number of capitalised words and words with digits, from 1 to 10."""
        return reflection_rules.rate_importance(text)

    def focal_questions(self, texts: Sequence[str], count: int) -> list[str]:
        """Stand-in: what is known about the names that most of ``texts`` hold."""
        return reflection_rules.focal_questions(texts, count)

    def insights(self, question: str, texts: Sequence[str], count: int) -> list[Insight]:
        """Stand-in: the sentences of ``texts`` with the highest question overlap."""
        return reflection_rules.insights(question, texts, count)

    def extract_facts(self, questions: Sequence[str], chunk: str) -> list[str]:
        """Stand-in: every sentence of ``chunk``, under its document's title."""
        return fact_rules.extract_facts(chunk)

    def decide_edits(self, facts: Sequence[str], entries: Sequence[str]) -> list[Edit]:
        """Stand-in: by word overlap, opening relation and negation; one decision for each fact."""
        return fact_rules.decide_edits(facts, entries)

    def describe_note(self, text: str) -> NoteDescription:
        """Stand-in: names as keywords, frequent words as tags, the first sentence as context."""
        return note_rules.describe_note(text)

    def evolve(self, note: str, neighbours: Sequence[str]) -> Evolution:
        """Stand-in: links notes that name one another or share a quarter of their content words."""
        return note_rules.evolve(note, neighbours)

    def keyword_query(self, question: str) -> str:
        """Stand-in: the names and the other content words of ``question``."""
        return note_rules.keyword_query(question)

    def summarize(self, text: str, budget_words: int) -> str:
        """Stand-in: the sentences whose content words are the most frequent in ``text``."""
        return state_rules.summarize(text, budget_words)

    def next_state(
        self,
        question: str | None,
        questions: Sequence[str],
        state: str,
        last_query: str,
        information: Sequence[str],
        may_search: bool,
    ) -> State:
        """Stand-in: keeps what overlaps with the questions; searches for the question, then for names found."""
        return state_rules.next_state(
            question, questions, state, last_query, information, may_search, self.answer, self._tokenizer
        )

    def manage_core(self, questions: Sequence[str], core: str, recent: str, budget_tokens: int) -> CoreEdit:
        """Stand-in: archives ``recent`` verbatim, keeps what overlaps with the questions in core memory."""
        return state_rules.manage_core(questions, core, recent, budget_tokens, self._tokenizer)

    def answer_or_search(self, question: str, passages: Sequence[str], core: str) -> str | None:
        """Stand-in: answers when three quarters of the question's content words are among what is shown."""
        return state_rules.answer_or_search(question, passages, core, self.answer)


def _year_only(fact: str) -> str:
    return next((str(date.key[0]) for date in dates(fact)), fact)


def guess(question: str) -> str:
    """Return an answer to ``question`` from its words alone."""
    asked = read_question(question, [])
    if asked.type == "yes/no":
        return "yes"
    options = find_options(question, [])
    return options[0] if options and options[0].strip() else UNKNOWN


def _shortlist(question: str, passages: list[Passage]) -> list[Passage]:
    """Return the passages worth reading: all of a few, else those that share most words with the question.

    Passages that the chosen ones name come along, since a question often leads to them.
    """
    if len(passages) <= _MOST_PASSAGES:
        return passages
    wanted = set(content_stems(question))
    named = {id(mention.passage) for mention in mentions(question, passages)}
    order = sorted(
        range(len(passages)),
        key=lambda place: (id(passages[place]) not in named, -len(wanted & passages[place].stems), place),
    )
    half = _MOST_PASSAGES // 2
    chosen = [passages[place] for place in order[:half]]
    text = "\n".join(passage.text for passage in chosen[: half // 2])
    onward = [mention.passage for mention in mentions(text, passages)]
    rest = [passages[place] for place in order[half:]]
    return list(dict.fromkeys([*chosen, *onward, *rest]))[:_MOST_PASSAGES]


def follow_relations(question: Question, passages: Sequence[Passage]) -> tuple[str | None, Passage | None]:
    """Follow the relations that ``question`` names from the passage it names.

    Returns:
        The fact at the end, when the question asks for one in a set form, and the passage that was reached.
    """
    anchors = mentions(question.text, passages)
    asked = attribute_asked(question.text)
    for anchor in anchors:
        name, target = _walk(question, anchor, passages)
        if target is None and name is None:
            continue
        if _left_over(question, anchor) > _LEFT_OVER:
            return None, target
        fact = _fact(question, name, target, anchor, asked)
        if fact is not None:
            return fact, target
        if target is not None and target is not anchor.passage:
            return None, target
    return None, None


def _fact_nearby(question: Question, passages: Sequence[Passage], target: Passage | None) -> str | None:
    """Return the attribute that ``question`` asks for, of the passage that it most likely is about."""
    attribute = attribute_asked(question.text)
    if attribute is None:
        return None
    about = [target] if target is not None else by_relevance(question, passages)
    facts = (attribute(passage) for passage in about)
    return next((fact for fact in facts if fact is not None), None)


def _walk(
    question: Question, anchor: Mention, passages: Sequence[Passage]
) -> tuple[str | None, Passage | None]:
    """Return the name and the passage that the question's relations lead to, nearest relation first."""
    way = [anchor.passage]
    name: str | None = None
    steps = [
        (min(abs(place - anchor.start), abs(place - anchor.end)), asked.relation)
        for asked in relations_asked(question.text)
        for place in (len(tokens(question.text[: asked.start])),)
        if not anchor.start <= place < anchor.end
    ]
    steps.sort(key=lambda step: step[0])
    for number, (_, wanted) in enumerate(steps):
        found = related_names(way[-1], wanted)
        onward = _first_passage(found, way, passages)
        if onward is None:
            last = number == len(steps) - 1
            return (found[0], None) if found and last else (None, None)
        way.append(onward)
        name = onward.name
    return name, way[-1]


def _first_passage(
    found: Sequence[str], way: Sequence[Passage], passages: Sequence[Passage]
) -> Passage | None:
    """Return the first passage, none of those on the ``way``, that is about one of the names ``found``."""
    for name in found:
        onward = lookup(name, passages)
        if onward is not None and onward not in way:
            return onward
    return None


def _left_over(question: Question, anchor: Mention) -> int:
    """Return how many content words of the question neither the name nor a relation accounts for."""
    text = question.text
    for asked in relations_asked(text):
        text = asked.relation.asked.sub(" ", text)
    named = {stem(word) for word in anchor.passage.title_words}
    return len(set(content_stems(text)) - named - _FORM_STEMS)


_FORM_STEMS = frozenset(
    content_stems(
        "film song movie album book novel date place cause birth born death die died nationality country name"
    )
)


def _fact(
    question: Question, name: str | None, target: Passage | None, anchor: Mention, asked: Attribute | None
) -> str | None:
    if asked is not None:
        return asked(target) if target is not None else None
    if question.type == "person" and (target is None or target is not anchor.passage):
        return name
    return None
