"""Step 3, GRPO from the fine-tuned adapter: the model plays with the context reset, each reply is a row.

    python examples/language_model/grpo.py --adapter runs/language_model/sft-0/adapter --out runs/language_model/grpo-0

A step plays --tasks tasks in groups of --group episodes and takes --updates updates on their replies. An advantage is a
return less the mean of its group (no division by the deviation), the ratio is clipped to [0.8, 1.28], and there is no
KL term; the loss is the mean over the tokens of an update. With --branching each of --stems episodes goes on in several
ways from a step in its middle, and each part gets its own advantage. `--curriculum 4:10,6:20` reads 4 documents in the
first 10 steps, 6 in the next 20, then all. The checkpoint is written after a step when the last one is some minutes
old, and the same command goes on. Every --keep-every steps the episodes are kept in `episodes-000020`, a run for
`atommem view`, the adapter in `adapter-000020`, and --validate tasks of the validation split are played greedily.
`atommem plot OUT ...` draws operations a step and learning curves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from episodes import Played, Table, keep_as_run
from setting import MAX_TOKENS, options, task
from training import Progress, Row, by_prompt, load_trained, logprobs, torch

from atommem_env.integrations.branching import branch_advantages

REWARDS = ("em", "evidence", "evidence+form")
LOW, HIGH = 0.2, 0.28


def documents(curriculum: str, step: int) -> dict[str, int]:
    """Return the number of documents that are read at a step, as an argument; none after the curriculum."""
    end = 0
    for part in filter(None, curriculum.split(",")):
        count, _, steps = part.partition(":")
        end += int(steps)
        if step < end:
            return {"num_docs": int(count), "paragraphs_per_question": min(10, int(count))}
    return {}


def advantages(played: Sequence[Played], returns: Sequence[float]) -> list[Row]:
    """Return the rows of the episodes, each with the advantage of its part of its episode within its group."""
    rows = []
    for number in dict.fromkeys(each.task for each in played):
        group = [(each, told) for each, told in zip(played, returns, strict=True) if each.task == number]
        found = branch_advantages([each.path for each, _ in group], [told for _, told in group])
        for (each, _), parts in zip(group, found, strict=True):
            rows += [Row(row.prompt, row.completion, parts[part]) for row, part in each.rows]
    return [row for row in rows if row.advantage]


def update(progress: Progress, rows: Sequence[Row], old: dict[int, Any], temperature: float) -> float:
    """Take one update on rows, those of one prompt at a time, and return the share of tokens that were clipped.

    Args:
        progress: the training.
        rows: the replies.
        old: by the row's `id` the log-probabilities of its tokens when it was written; those that are missing are
            those of now, and are noted.
        temperature: what replies were drawn at.
    """
    tokens = sum(len(row.completion) for row in rows)
    clipped = 0.0
    for batch in by_prompt(rows):
        told, there = logprobs(progress.lm, batch, temperature)
        before = told.detach().clone()
        for place, row in enumerate(batch):
            own = slice(told.shape[1] - len(row.completion), None)
            before[place, own] = old.setdefault(id(row), before[place, own].clone())
        ratio = (told - before).exp()
        weight = torch.tensor([row.advantage for row in batch], device=told.device)[:, None]
        held = ratio.clamp(1 - LOW, 1 + HIGH)
        gain = torch.minimum(ratio * weight, held * weight)
        (-(gain * there).sum() / tokens).backward()
        clipped += float(((ratio != held) & there).sum())
    progress.update()
    return clipped / tokens


def measured(lm: Any, rows: Sequence[Row], temperature: float) -> dict[int, Any]:
    """Return by the row's `id` the log-probabilities of its completion under the model as it is."""
    found = {}
    with torch.no_grad():
        for batch in by_prompt(rows):
            told, _ = logprobs(lm, batch, temperature)
            for place, row in enumerate(batch):
                found[id(row)] = told[place, told.shape[1] - len(row.completion) :]
    return found


def validated(lm: Any, given: Any) -> dict[str, float]:
    """Return the scores of greedy episodes on validation tasks."""
    table = Table(lm, given.batch, temperature=0.0)
    played = table.group(range(given.validate), 1, task("validation"), "greedy")
    em = sum(each.reward("em") for each in played) / len(played)
    kept = sum(each.reward("evidence") for each in played) / len(played)
    return {"kept": kept, "em": em, "return": em, "tasks": len(played)}


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, and return what the last step did to the replies of the better and of the worse episodes."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/grpo-0")
    parser.add_argument("--adapter", type=Path, help="The fine-tuned adapter; none: from the model itself.")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=3, help="Tasks of a step.")
    parser.add_argument("--group", type=int, default=6, help="Episodes of a task.")
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--temperature", type=float, default=0.7, help="What replies are drawn at.")
    parser.add_argument("--updates", type=int, default=1, help="Updates on the replies of a step.")
    parser.add_argument("--batch", type=int, default=18, help="Prompts that are written at once.")
    parser.add_argument("--reward", choices=REWARDS, default="em")
    parser.add_argument("--shuffled", action="store_true", help="A control: rewards in random order.")
    parser.add_argument("--branching", action="store_true", help="Credit by branching.")
    parser.add_argument("--stems", type=int, default=2, help="Of a group with --branching.")
    parser.add_argument(
        "--curriculum", default="4:40", help="DOCUMENTS:STEPS, ...; '' reads all from the start."
    )
    parser.add_argument("--keep-every", type=int, default=20, help="Steps between episodes that are kept.")
    parser.add_argument("--validate", type=int, default=24, help="Validation tasks each time; 0: none.")
    parser.add_argument("--label", default="SFT + GRPO", help="What pictures call it.")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    given = parser.parse_args(words)
    if given.temperature <= 0:
        parser.error(
            f"--temperature {given.temperature}: expected above 0; greedy episodes of a group are all alike"
        )
    if given.quick:
        given.steps, given.tasks, given.reward, given.curriculum = 1, 1, "evidence+form", ""
        given.group, given.rate, given.temperature, given.validate = 6, 5e-4, 1.0, 0
    lm = load_trained(given, given.adapter)
    names = (
        "seed",
        "tasks",
        "group",
        "rate",
        "temperature",
        "updates",
        "reward",
        "shuffled",
        "branching",
        "stems",
        "curriculum",
    )
    settings = {name: getattr(given, name) for name in (*names, "model", "adapter")}
    progress = Progress(given.out, lm, settings, given.rate, given.report_to, warmup=1)
    table = Table(lm, given.batch, given.temperature, max_tokens=96 if given.quick else MAX_TOKENS)
    report: dict[str, Any] = {}
    while progress.step < given.steps * given.updates:
        step = progress.step // given.updates
        begun, table.seconds = time.perf_counter(), 0.0
        arguments = task("train", given.quick, **documents(given.curriculum, step))
        first = 2000 + 500 * given.seed + step * given.tasks  # traces take tasks before these
        tasks = [first + number for number in range(given.tasks)]
        seed = f"{given.seed} {step}"
        if given.branching:
            played = table.branched(tasks, given.stems, max(2, given.group // given.stems), arguments, seed)
        else:
            played = table.group(tasks, given.group, arguments, seed)
        returns = [each.reward(given.reward) for each in played]
        if given.shuffled:
            random.Random(seed).shuffle(returns)
        rows = advantages(played, returns)
        old: dict[int, Any] = measured(lm, rows, given.temperature) if given.updates > 1 else {}
        lm.model.eval()  # no dropout: a ratio of 1 is a ratio of 1
        clipped = 0.0
        for _ in range(given.updates):
            if rows:
                clipped = update(progress, rows, old, given.temperature)
            else:
                progress.step += 1  # all episodes of each group did equally well: there is nothing to learn
        if given.quick and old:
            report = _change(rows, old, measured(lm, rows, given.temperature))
        progress.decisions += sum(each.episode.replies for each in played)
        scores = [each.episode.trajectory.scores() for each in played]
        steps = sum(each["steps"] for each in scores)
        operations = {
            kind: sum(each[f"num_{kind}"] for each in scores) / steps
            for kind in ("create", "read", "update", "delete")
        }
        progress.log(
            reward=sum(returns) / len(returns),
            em=sum(each["em"] for each in scores) / len(scores),
            evidence=sum(each.reward("evidence") for each in played) / len(played),
            readable=sum(each.readable for each in played) / len(played),
            rows=len(rows),
            clipped=clipped,
            seconds=time.perf_counter() - begun,
            writing_seconds=table.seconds,
            **{f"{kind}s_a_step": share for kind, share in operations.items()},
        )
        held_out: dict[str, Any] = {}
        if step % given.keep_every == 0 or progress.step >= given.steps * given.updates:
            keep_as_run(played, arguments, given.out / f"episodes-{step:06d}")
            progress.adapter(f"adapter-{step:06d}")
            if given.validate:
                held_out = {"world": validated(lm, given)}
                progress.log(**{f"validation_{name}": value for name, value in held_out["world"].items()})
        train = {"reward": sum(returns) / len(returns), "operations_per_step": operations}
        source = str(played[0].episode.trajectory.trace.source)
        progress.record(given.label, given.seed, train, held_out, source)
        table.release(played, arguments)
        progress.save(given.save_minutes)
    progress.save()
    return {**report, "adapter": progress.adapter()}


def _change(rows: Sequence[Row], old: dict[int, Any], new: dict[int, Any]) -> dict[str, float]:
    """Return how much likelier the replies of episodes above, and below, their group's mean have become."""
    change = [float(new[id(row)].sum() - old[id(row)].sum()) for row in rows]
    sides = {"better": [], "worse": []}  # type: dict[str, list[float]]
    for row, by in zip(rows, change, strict=True):
        sides["better" if row.advantage > 0 else "worse"].append(by)
    found = {name: sum(values) / len(values) if values else 0.0 for name, values in sides.items()}
    found["weighed"] = sum(row.advantage * by for row, by in zip(rows, change, strict=True))
    print(f"a reply's log-probability: {found['better']:+.3f} above the mean, {found['worse']:+.3f} below")
    return found


if __name__ == "__main__":
    main()
