"""Step 1, expert traces: a careful writer plays the train split, and the steps of its right episodes become rows.

    python examples/language_model/traces.py --out runs/language_model/traces

The expert (`expert.py`) reads the world exactly and looks at no gold. An episode is kept where its answer is right
(exact match). Rows are prompts and completions of single steps (the paper's context reset), in the brief prompt, as
`atommem export --format turns` writes them; what is said while reading begins with what the chunk tells of the facts
that are wanted, as `<think>`, and is followed by a drill: what it tells of other facts. `shares.json` tells how many
episodes and rows there are. The same command goes on where it was stopped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from expert import CarefulWriter, drill, expert
from setting import BRIEF, ENV, options, task

import atommem_env
from atommem_env.protocols.thinking import split_thinking
from atommem_env.runs.export import export

DRILL = 8  # facts that are asked of a chunk beside those of its question


def lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of an export."""
    with open(file, encoding="utf-8") as read:
        yield from map(json.loads, read)


def thinking(turns: Iterable[dict[str, Any]], episodes: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the turns of an export, those of reading with the expert's thought before what it writes, and a drill.

    Args:
        turns: rows of single steps.
        episodes: rows of the same episodes, with their observations.
    """
    rows, writer = iter(turns), CarefulWriter()
    for episode in episodes:
        seen = [step["observation"] for step in episode["steps"]]
        chunks = [observation["chunk"] for observation in seen if not observation["phase"]]
        for observation in seen:
            row = next(rows)
            if not observation["phase"]:
                writer.ask(observation["questions"][0])
                said = row["completion"][0]
                said["content"] = f"<think>{writer.thought(observation)}</think>\n{said['content']}".strip()
                draw = random.Random(f"{row['trajectory_id']} {row['step']}")
                row["drill"] = drill(observation["chunk"], chunks, DRILL, draw)
            yield row


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Play, export, and return the shares."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/traces")
    parser.add_argument("--episodes", type=int, default=1200, help="Episodes that the expert plays.")
    given = parser.parse_args(words)
    episodes = 24 if given.quick else given.episodes
    run = atommem_env.evaluate(
        ENV, {"careful": expert}, episodes, out=given.out / "run", **task("train", given.quick)
    )
    right: Any = {"score": "em", "min_score": 1.0}
    done = export(run, given.out / "turns.jsonl", "turns", template=BRIEF, **right)
    export(run, given.out / "episodes.jsonl", "episodes", **right)
    empty = 0
    with open(given.out / "rows.jsonl", "w", encoding="utf-8") as rows:
        for row in thinking(lines(given.out / "turns.jsonl"), lines(given.out / "episodes.jsonl")):
            rows.write(json.dumps(row, ensure_ascii=False) + "\n")
            empty += not split_thinking(row["completion"][0]["content"])[1]
    told = {"played": episodes, "right": done.episodes, "rows": done.rows, "empty": empty}
    (given.out / "shares.json").write_text(json.dumps(told, indent=1) + "\n")
    print(
        f"{told['right']} of {told['played']} episodes right, {told['rows']} rows, "
        f"of which {told['empty']} keep nothing"
    )
    return told


if __name__ == "__main__":
    main()
