"""The setting of the chain: what is read, with which memory, and who answers. `docs/language_model.md` says why."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

ENV: Final = "AtomMem-World-v0"

READER: Final = "world"
"""The frozen reader: at each question a look with the question's words, one for the names it showed, the answer."""

BRIEF: Final = "brief"
"""The prompt of the model that is trained."""

MAX_TOKENS: Final = 192
"""The longest reply: a thought and three entries of 64 tokens would be more than any expert writes at a chunk."""

QUICK: Final[dict[str, Any]] = {"num_docs": 2, "paragraphs_per_question": 2, "chunk_tokens": 128}


def task(split: str, quick: bool = False, **changes: Any) -> dict[str, Any]:
    """Return the arguments of the environment: two hops, one question, room for three short entries."""
    return {
        "split": split,
        "kinds": ["bridge"],
        "hops": 2,
        "num_questions": 1,
        "num_docs": 8,
        "chunk_tokens": 256,
        "chunk_overlap": 0,
        "capacity": 3,
        "entry_tokens": 64,
        "scratchpad": False,
        "top_k": 3,
        "world_size": 4000 if split == "train" else 500,
        **(QUICK if quick else {}),
        **changes,
    }


def options(about: str, out: str) -> argparse.ArgumentParser:
    """Return the options that every step of the chain has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--out", type=Path, default=Path(out), help="The step's folder; the same command goes on."
    )
    parser.add_argument(
        "--model", default="smollm2", help="A folder, a packaged model, or a name of the hub."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="A fixed small number of steps, to see that it works."
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda.")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16.")
    parser.add_argument("--threads", type=int, help="Threads of torch; on a busy machine 1 is fastest.")
    parser.add_argument(
        "--rows", type=int, default=4, help="Rows in memory at once; 4 take some 5 GB in float32."
    )
    parser.add_argument("--report-to", choices=("none", "tensorboard"), default="none")
    return parser
