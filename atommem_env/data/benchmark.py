"""What makes a benchmark's rows readable: its names, licence, files, hub id and row parser."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atommem_env.data.histories import History
from atommem_env.data.records import Record

SPLITS = ("train", "validation", "test")
"""The names of splits; ``dev`` is accepted for ``validation``."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: what an environment class hands to :func:`~atommem_env.data.sources.open_dataset`.

    It pickles as long as ``parse`` is a function of a module.

    Attributes:
        name: the short name, for example ``hotpotqa``; also the schema that the generated world writes.
        title: the name as its authors write it.
        licence: the licence of its data.
        homepage: where it is described and offered.
        citation: who made it and where it was published.
        parse: turns a row, in the list form of the official file or the column form of the hub, into a
            record, or a history; raises ``ValueError`` saying what is wrong in the row.
        hub_id: the data set's id on the Hugging Face hub, ``None`` when it has none.
        hub_revision: the commit to read there; ``main`` resolves to a commit when it is downloaded.
        hub_files: for each split the patterns of its files in the hub repository.
        file_patterns: for each split the patterns of official file names, best first, written without
            ``.gz``. A pattern with a folder (``*2wiki*/dev.json``) also fits the name of the folder that
            holds the file; one that begins with ``./`` fits only directly in the folder that was given.
        generated: whether the generated world can write this benchmark's rows.
        generated_parts: of the benchmark's variants those that it can write; empty: all.
        fields: what a row must have to be one of this benchmark at all; with ``"|"`` between alternatives.
        aliases: the name of a file of further answers next to the official file, ``""`` where there is none.
        with_aliases: reads that file and returns what adds to a record the aliases of its row.
        histories: whether a row is a history; its splits are parts of one file then.
        variants: the names of the benchmark's files, the usual one first; empty where the splits are its files.
        part_word: what the benchmark calls its variants, the name of an environment's argument.
        folders: tells the files of a part in a folder where a row is several files; nothing where there are none.
        read_file: reads such a file: returns its rows, none where it belongs to another's row, and ``None`` for a file
            of any other form.
        label: what is unusual about how its rows are read; part of the source's name.
        amend: changes a history, given the number of its row.
        abstain: the phrase that counts as abstaining; ``""`` where every question has an answer.
        lacking: tells, of the types of the questions, which file their own score needs and is not read; its answer is
            part of the source's name.
    """

    name: str
    title: str
    licence: str
    homepage: str
    citation: str
    parse: Callable[[Mapping[str, Any]], Record | History]
    hub_id: str | None = None
    hub_revision: str | None = None
    hub_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    file_patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    generated: bool = True
    generated_parts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    aliases: str = ""
    with_aliases: Callable[[Path], Callable[[Record, Mapping[str, Any]], Record]] | None = None
    histories: bool = False
    variants: tuple[str, ...] = ()
    part_word: str = "variant"
    folders: Callable[[Path, str], tuple[Path, ...]] | None = None
    read_file: Callable[[Path], Sequence[Mapping[str, Any]] | None] | None = None
    label: str = ""
    amend: Callable[[int, History], History] | None = field(default=None, hash=False)
    abstain: str = ""
    lacking: Callable[[Collection[str]], str] | None = None

    def part(self, split: str, variant: str | None) -> str:
        """Return the key of :attr:`hub_files` and :attr:`file_patterns` that holds a split, or a variant.

        Raises:
            ValueError: when there is no such variant; lists the choices.
        """
        if variant is not None and variant not in self.variants:
            choices = ", ".join(map(repr, self.variants)) or f"none: leave {self.part_word} out"
            raise ValueError(
                f"{self.part_word}={variant!r}: no such {self.part_word} of {self.title}; choose from {choices}"
            )
        if not self.histories:
            return split
        return variant or (self.variants[0] if self.variants else "test")

    def can_be_generated(self, part: str) -> bool:
        """Tell whether the generated world can write the rows of a part."""
        return self.generated and (not self.generated_parts or part in self.generated_parts)

    @property
    def part_name(self) -> str:
        """What :meth:`part` is called in a message."""
        return self.part_word if self.variants else "split"


def resolve_split(split: str) -> str:
    """Return the name of ``split`` among :data:`SPLITS`.

    Raises:
        ValueError: when it is none; lists the choices.
    """
    name = {"dev": "validation"}.get(split, split) if isinstance(split, str) else split
    if name not in SPLITS:
        raise ValueError(
            f"split={split!r}: no such split; choose from 'train', 'validation' (or 'dev') and 'test'"
        )
    return name
