"""Step 1, expert traces: two experts play the train split, and the steps of their successful episodes become rows.

    python examples/language_model/traces.py --out runs/language_model/traces

The oracle stores the sentences of evidence, which it knows from the gold; keep-best stores the sentences that fit the
question best, and looks at no gold. An episode is kept where its answer is right (exact match). Rows are prompts and
completions of single steps (the paper's context reset), in the brief prompt, as `atommem export --format turns` writes
them; `shares.json` tells how many episodes and rows are whose. The same command goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from setting import BRIEF, ENV, READER, options, task

import atommem_env
from atommem_env.runs.errors import RunError
from atommem_env.runs.export import export

EXPERTS = {"oracle": "oracle[unit=sentence]", "keep-best": "keep-best[unit=sentence,second_look=bridge]"}


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Play, export, and return the shares."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/traces")
    parser.add_argument("--episodes", type=int, default=1000, help="Episodes of each expert.")
    given = parser.parse_args(words)
    episodes = 24 if given.quick else given.episodes
    run = atommem_env.evaluate(
        ENV, EXPERTS, episodes, out=given.out / "run", engine=READER, **task("train", given.quick)
    )
    told: dict[str, Any] = {}
    with open(given.out / "rows.jsonl", "w", encoding="utf-8") as rows:
        for expert in EXPERTS:
            file = given.out / f"{expert}.jsonl"
            try:
                done = export(
                    run, file, "turns", policies=[expert], score="em", min_score=1.0, template=BRIEF
                )
            except RunError as error:  # no episode of this expert was right
                print(f"{expert}: {error}")
                told[expert] = {"played": episodes, "right": 0, "rows": 0, "empty": 0}
                continue
            lines = file.read_text(encoding="utf-8").splitlines()
            rows.writelines(f"{line}\n" for line in lines)
            empty = sum(not json.loads(line)["completion"][0]["content"] for line in lines)
            told[expert] = {"played": episodes, "right": done.episodes, "rows": done.rows, "empty": empty}
    (given.out / "shares.json").write_text(json.dumps(told, indent=1) + "\n")
    for expert, counts in told.items():
        print(
            f"{expert}: {counts['right']} of {counts['played']} episodes right, {counts['rows']} rows, "
            f"of which {counts['empty']} keep nothing"
        )
    return told


if __name__ == "__main__":
    main()
