"""Step 1, expert traces: a careful writer plays the train split, and the steps of its right episodes become rows.

    python examples/language_model/traces.py --out runs/language_model/traces

The expert (`expert.py`) reads the world exactly and looks at no gold. An episode is kept where its answer is right
(exact match). Rows are prompts and completions of single steps (the paper's context reset), in the brief prompt, as
`atommem export --format turns` writes them; `shares.json` tells how many episodes and rows there are. The same
command goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from expert import expert
from setting import BRIEF, ENV, options, task

import atommem_env
from atommem_env.runs.export import export


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Play, export, and return the shares."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/traces")
    parser.add_argument("--episodes", type=int, default=1000, help="Episodes that the expert plays.")
    given = parser.parse_args(words)
    episodes = 24 if given.quick else given.episodes
    run = atommem_env.evaluate(
        ENV, {"careful": expert}, episodes, out=given.out / "run", **task("train", given.quick)
    )
    file = given.out / "rows.jsonl"
    done = export(run, file, "turns", score="em", min_score=1.0, template=BRIEF)
    lines = file.read_text(encoding="utf-8").splitlines()
    empty = sum(not json.loads(line)["completion"][0]["content"] for line in lines)
    told = {"played": episodes, "right": done.episodes, "rows": done.rows, "empty": empty}
    (given.out / "shares.json").write_text(json.dumps(told, indent=1) + "\n")
    print(
        f"{told['right']} of {told['played']} episodes right, {told['rows']} rows, "
        f"of which {told['empty']} keep nothing"
    )
    return told


if __name__ == "__main__":
    main()
