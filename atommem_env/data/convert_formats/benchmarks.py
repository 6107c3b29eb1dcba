"""Benchmarks that have their own environment: a file of one that was given to another."""

from __future__ import annotations

from atommem_env.data.convert_formats.form import Form

_FIELDS = {
    "AtomMem-MuSiQue-v0": {"paragraphs", "question_decomposition"},
    "AtomMem-2WikiMultihopQA-v0": {"context", "supporting_facts", "evidences"},
    "AtomMem-HotpotQA-v0": {"context", "supporting_facts", "question"},
    "AtomMem-LongMemEval-v0": {"haystack_sessions", "question"},
    "AtomMem-LoCoMo-v0": {"conversation", "qa"},
    "AtomMem-MemoryAgentBench-v0": {"context", "questions", "answers"},
    "AtomMem-BEAM-v0": {"chat", "probing_questions"},
}


def _form(id: str, fields: set[str]) -> Form:
    title = id.removeprefix("AtomMem-").removesuffix("-v0")
    return Form(title, lambda row: fields <= set(row), env=id)


FORMS = tuple(_form(id, fields) for id, fields in _FIELDS.items())
