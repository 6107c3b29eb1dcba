"""``atommem convert``: a file in another project's form as records or histories of this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from atommem_env.cli.common import Debug, Quiet, command
from atommem_env.cli.console import say
from atommem_env.data.convert_formats import convert_file
from atommem_env.data.custom import parse_record
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import write_whole


@command("convert")
def convert_command(
    file: Annotated[
        Path, typer.Argument(help="A file (for BEIR, its folder).", metavar="FILE", show_default=False)
    ],
    to: Annotated[
        Path, typer.Option("--to", help="The JSON Lines file to write.", metavar="FILE", show_default=False)
    ],
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn a file of another project into records, or histories, that AtomMem-Custom-v0 reads.

    The form is told by the file's first row: FlashRAG, HippoRAG, BEIR's HotpotQA and SQuAD become records; MemAgent,
    the released AtomMem, RULER and LongBench, which hold one long text, become histories without evidence. A file
    that holds no paragraphs (KILT, Search-R1) is refused.

    [dim]Example:[/dim]

      atommem convert flashrag/hotpotqa/dev.jsonl --to records.jsonl
    """
    if not file.exists():
        raise RunError(f"{file}: there is no such file")
    without = count = 0
    try:
        form, rows = convert_file(file)
        lines = []
        for row in rows:
            count += 1
            without += form.kind == "histories" or not parse_record(row).evidence
            lines.append(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
    except ValueError as error:
        raise RunError(str(error)) from error
    if not count:
        raise RunError(f"{file}: there is no question in it")
    write_whole(to, lines)
    say(f"{count} {form.kind} of {form.title} are in {to}", quiet)
    if without:
        say(f"{without} of them are without evidence: their funnel is null", quiet)
    if form.note:
        say(f"Note: {form.note}", quiet)
