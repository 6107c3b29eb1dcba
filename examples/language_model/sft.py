"""Step 2, supervised fine-tuning on the experts' steps: LoRA, the loss on completions alone, batches by length.

    python examples/language_model/sft.py --traces runs/language_model/traces --out runs/language_model/sft-0 --seed 0

The rows of the writer are trained on, which are those of reading (`--end-to-end`: all rows, the reader's too), each
with a drill after the reply; `shares.json` tells how many they are. With --notes each step also takes so many of them
without the chunk and with the thought given: of these what is kept of a thought is learned, from half the tokens.
`--adapter` goes on from an adapter. `torchrun --nproc-per-node 2 sft.py --threads 1` lets two processes share each
batch, which on two cores is faster than one process with two threads. The checkpoint is written every few minutes and
the same command goes on from it, with the batches that it would have had. `adapter` is the last adapter,
`adapter-000030` one on the way.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from setting import options
from training import Progress, Row, by_length, load_trained, logprobs, torch, worker, workers

from atommem_env.llm.generation import LanguageModel
from atommem_env.protocols.thinking import split_thinking


def read_rows(file: Path, end_to_end: bool = False) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the rows of an export that are trained on, and how many are of which kind."""
    found, shares = [], {"writing": 0, "writing that keep nothing": 0, "answering": 0, "trained": 0}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        writing = "# Now: reading" in row["prompt"][-1]["content"]
        shares["writing" if writing else "answering"] += 1
        shares["writing that keep nothing"] += writing and not said_after_thought(row)
        if end_to_end or writing:
            shares["trained"] += 1
            found.append(row)
    return found, shares


def said_after_thought(row: dict[str, Any]) -> str:
    """Return what the reply of a row says after its thought."""
    return split_thinking(row["completion"][0]["content"])[1]


def tokens_of(row: dict[str, Any], lm: LanguageModel, ends: frozenset[int]) -> Row:
    """Return a row as tokens: the reply, and after it the drill, of which what a chunk tells is learned."""
    reply = lm.completion_ids(row["completion"][0]["content"])
    chooses = [True, *(token in ends for token in reply[:-1])]
    ids, marks = list(reply), [1 + each for each in chooses]
    for name, told in row.get("drill", ()):
        asked, answer = (
            lm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (f"\n{name}:", f" {told}")
        )
        ids += [*asked, *answer]
        marks += [*([0] * len(asked)), 2, *([1] * (len(answer) - 1))]
    return Row(tuple(lm.prompt_ids(row["prompt"])), tuple(ids), marks=tuple(marks), reply=len(reply))


def note_of(row: dict[str, Any], lm: LanguageModel, ends: frozenset[int]) -> Row:
    """Return a row of reading without the text of its chunk: its thought is given, and what follows is learned."""
    asked = dict(row["prompt"][-1])
    before, _, rest = asked["content"].partition("## Text of this chunk")
    asked["content"] = before + rest[rest.index("# Now: reading") :]
    known = tokens_of({**row, "prompt": [*row["prompt"][:-1], asked], "drill": []}, lm, ends)
    thought, end, _ = row["completion"][0]["content"].partition("</think>")
    given = len(lm.tokenizer(thought + end, add_special_tokens=False)["input_ids"])
    return replace(known, marks=(*([0] * given), *known.marks[given:]))


def line_ends(lm: LanguageModel) -> frozenset[int]:
    """Return the tokens after which something is chosen: those that end a line, a tag or the name of a fact."""
    words = lm.tokenizer.batch_decode([[token] for token in range(len(lm.tokenizer))])
    return frozenset(token for token, word in enumerate(words) if word.rstrip(" ").endswith((">", "\n", ":")))


def weights(rows: Sequence[Row], choice: float) -> Any:
    """Return what the tokens of completions count, right-aligned: those that choose `choice`, others 1 or nothing.

    A token chooses where a line or the content of a tag begins, or what is told of a fact.
    """
    keep = max(len(row.completion) for row in rows)
    found = torch.zeros((len(rows), keep))
    counts = torch.tensor([0.0, 1.0, choice])
    for place, row in enumerate(rows):
        found[place, keep - len(row.marks) :] = counts[list(row.marks)]
    return found


def losses(lm: LanguageModel, rows: Sequence[Row], size: int) -> dict[str, float]:
    """Return the mean loss of a token of the replies, of those of them that choose, and of those of the drills."""
    names = ("held_out_loss", "held_out_choice_loss", "held_out_drill_loss")
    sums = torch.zeros(2, len(names), dtype=torch.float64)
    own = rows[worker() :: workers()]
    with torch.no_grad():
        for start in range(0, len(own), size):
            part = own[start : start + size]
            told, _ = logprobs(lm, part)
            for place, row in enumerate(part):
                each = -told[place, told.shape[1] - len(row.completion) :].double().cpu()
                marks, replies = torch.tensor(row.marks), torch.arange(len(each)) < row.reply
                chooses, learned = marks == 2, replies & (marks > 0)
                for number, which in enumerate((learned, chooses & replies, chooses & ~replies)):
                    sums[0, number] += each[which].sum()
                    sums[1, number] += which.sum()
    if workers() > 1:
        torch.distributed.all_reduce(sums)
    means = (sums[0] / sums[1].clamp(min=1)).tolist()
    return dict(zip(names, means, strict=True))


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, and return the losses before and after on rows that are not trained on."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/sft-0")
    parser.add_argument("--traces", type=Path, default=Path("runs/language_model/traces"))
    parser.add_argument("--adapter", type=Path, help="An adapter to go on from.")
    parser.add_argument("--end-to-end", action="store_true", help="All rows, the reader's too.")
    parser.add_argument("--steps", type=int, default=400, help="The rate falls to 0 over the last half.")
    parser.add_argument("--batch", type=int, default=4, help="Rows of a step.")
    parser.add_argument("--notes", type=int, default=0, help="Rows of a step without their chunk.")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument(
        "--choice",
        type=float,
        default=4.0,
        help="What a token counts that begins a line or a tag's content; falls to 1 with the rate.",
    )
    parser.add_argument("--held-out", type=int, default=32, help="Rows that are not trained on.")
    parser.add_argument(
        "--adapters-every", type=int, default=30, help="Steps between adapters that are kept."
    )
    parser.add_argument("--save-minutes", type=float, default=3.0)
    given = parser.parse_args(words)
    lm = load_trained(given, given.adapter)
    found, shares = read_rows(given.traces / "rows.jsonl", given.end_to_end)
    random.Random(0).shuffle(found)
    if given.quick:
        given.batch, given.held_out, given.steps = 4, 4, 24  # a few steps teach the form alone
        found = [{**row, "drill": []} for row in found]
    ends = line_ends(lm)
    rows = [tokens_of(row, lm, ends) for row in found]
    rows, held = rows[given.held_out :], rows[: given.held_out]
    keeping = [row for row in found if given.notes and "<create" in said_after_thought(row)]
    notes = [note_of(row, lm, ends) for row in keeping]
    held_notes = notes[: sum("<create" in said_after_thought(row) for row in found[: given.held_out])]
    kinds = [(rows, given.batch), (notes[len(held_notes) :], given.notes)]

    def measured() -> dict[str, float]:
        told = losses(lm, held, given.rows)
        if given.notes:
            told["held_out_note_loss"] = losses(lm, held_notes, given.rows)["held_out_loss"]
        return told

    settings = {
        "seed": given.seed,
        "rows": len(rows),
        "steps": given.steps,
        "batch": given.batch,
        "notes": given.notes,
        "rate": given.rate,
        "choice": given.choice,
        "end_to_end": given.end_to_end,
        "adapter": given.adapter,
    }
    warmup = 2 if given.quick else 10
    progress = Progress(
        given.out, lm, {**settings, "model": given.model}, given.rate, given.report_to, warmup, given.steps
    )
    (given.out / "shares.json").write_text(json.dumps(shares, indent=1) + "\n")
    # Of each kind its batches, and what a row of it counts: a constant, since rows that keep nothing are short.
    plans = []
    for some, size in kinds:
        batches: list[list[Row]] = []
        while some and size and len(batches) < given.steps:
            batches += by_length(some, size, random.Random(f"{given.seed} {len(batches)}"))
        most = sum(float(weights([row], given.choice).sum()) for row in some) / max(1, len(some))
        plans.append((batches, most))
    before = measured() if not progress.step else None
    lm.model.train()
    tokens, begun = 0, time.perf_counter()
    while progress.step < given.steps:
        loss, choice = 0.0, 1 + (given.choice - 1) * progress.left
        for batches, most in plans:
            batch = batches[progress.step] if batches else []
            own = batch[worker() :: workers()]
            for start in range(0, len(own), given.rows):
                some = own[start : start + given.rows]
                told, _ = logprobs(lm, some)
                part = -(told * weights(some, choice).to(told.device)).sum() / (most * len(batch))
                part.backward()
                loss += float(part.detach()) * len(batch) / len(own)  # of the first worker's rows, of several
            tokens += sum(map(len, batch))
        norm = progress.update()
        speed = tokens / (time.perf_counter() - begun)
        if not worker() and (given.quick or progress.step % 10 == 0):
            progress.log(loss=loss, gradient=norm, tokens_per_second=speed, of=given.steps)
        if progress.step % given.adapters_every == 0:
            lm.model.eval()
            progress.log(**measured())
            lm.model.train()
            progress.adapter(f"adapter-{progress.step:06d}")
        progress.save(given.save_minutes)
    lm.model.eval()
    after = measured()
    progress.log(**after)
    progress.save()
    return {"before": before, "after": after, "adapter": progress.adapter()}


if __name__ == "__main__":
    main()
