"""What SFT and GRPO share: a model with LoRA, log-probabilities of completions, batches by length, checkpoints, logs.

Plain torch and peft rather than a trainer's loop, for four reasons that matter on a CPU: logits are computed where
completions stand and nowhere else (a vocabulary of 49,152 is a fifth of this model's work, and prompts are nine tenths
of the tokens); what the rows of a batch begin with is read once, forward and backward; no gradient is computed below
the adapter; an episode has as many rows as it has steps, where TRL's GRPO wants the same number of each, and fills up.
`examples/paper_training` is the same chain with TRL.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atommem_env.llm.generation import LanguageModel, alike, load_language_model, shared_tokens
from atommem_env.llm.models import load_local, quiet

torch = load_local("torch", "the chain")
peft = load_local("peft", "the chain")

RANK = 8  # over the linear layers of SmolLM2-135M's upper half: 1.2 million weights, 2.4 MB in bfloat16


@dataclass(frozen=True)
class Row:
    """A step: the tokens of its prompt and of its completion, and what the completion's are weighed with.

    Attributes:
        prompt: the prompt's tokens.
        completion: those of the reply, and in SFT those of a drill after it.
        advantage: of the reply, in GRPO.
        marks: in SFT of each token of the completion: 0 is not learned, 1 is, 2 is a choice.
        reply: in SFT how many tokens of the completion are the reply's.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    advantage: float = 1.0
    marks: tuple[int, ...] = ()
    reply: int = 0

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def worker() -> int:
    """Return the number of this process among those of a training (`torchrun --nproc-per-node 2`)."""
    return int(os.environ.get("RANK", "0"))


def workers() -> int:
    """Return how many processes share a training's batches."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def load_trained(given: Any, adapter: Path | None = None) -> LanguageModel:
    """Return the model with an adapter to be trained: a new one over its upper half, or that of a folder."""
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    if workers() > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if given.device == "cuda" else "gloo")
    if adapter is not None:
        return load_language_model(given.model, str(adapter), given.device, given.dtype, trainable=True)
    made = load_language_model(given.model, None, given.device, given.dtype)
    count = made.model.config.num_hidden_layers
    parts = made.model.get_decoder().layers.named_modules()
    linear = {name.rpartition(".")[2] for name, each in parts if isinstance(each, torch.nn.Linear)}
    config = peft.LoraConfig(
        r=RANK,
        lora_alpha=4 * RANK,
        target_modules=sorted(linear),
        layers_to_transform=list(range(count // 2, count)),  # no gradient goes below them
        task_type="CAUSAL_LM",
    )
    return LanguageModel(peft.get_peft_model(made.model, config), made.tokenizer)


def logprobs(lm: LanguageModel, rows: Sequence[Row], temperature: float = 1.0) -> tuple[Any, Any]:
    """Return the log-probability of each token of the rows' completions, right-aligned, and where they stand.

    What the rows begin with is read once: the prompt's first words, or all of the prompt where replies to one are
    together. The rest is padded on the right: later tokens change nothing for earlier ones, and no mask is needed.
    Those of a model that is drawn from at a temperature are other ones than at 1.
    """
    device = next(lm.model.parameters()).device
    shared = shared_tokens([row.prompt for row in rows]) if len(rows) > 1 else 0
    cache = lm.new_cache() if shared else None
    if shared:
        start = _tensor(rows[0].prompt[:shared], device)[None]
        lm.model(input_ids=start, logits_to_keep=1, **lm.goes_on(cache))
        cache.batch_select_indices(torch.zeros(len(rows), dtype=torch.long, device=device))
    width, keep = max(map(len, rows)) - shared, max(len(row.completion) for row in rows)
    first = min(len(row.prompt) for row in rows) - shared - 1
    ids = torch.full((len(rows), width), lm.pad_id, dtype=torch.long, device=device)
    for number, row in enumerate(rows):
        ids[number, : len(row) - shared] = _tensor((*row.prompt, *row.completion)[shared:], device)
    told = lm.model(input_ids=ids, logits_to_keep=width - first, **lm.goes_on(cache)).logits
    found = torch.zeros((len(rows), keep), device=device)
    there = torch.zeros((len(rows), keep), dtype=torch.bool, device=device)
    parts = []
    for number, row in enumerate(rows):
        start, own = len(row.prompt) - shared - 1 - first, len(row.completion)
        scores = torch.log_softmax(told[number, start : start + own].float() / temperature, dim=-1)
        chosen = _tensor(row.completion, device)[:, None]
        parts.append(torch.cat([found[number, own:], scores.gather(-1, chosen)[:, 0]]))
        there[number, keep - own :] = True
    return torch.stack(parts), there


def _tensor(ids: Sequence[int], device: Any) -> Any:
    return torch.tensor(list(ids), dtype=torch.long, device=device)


def by_length(rows: Sequence[Row], size: int, draw: random.Random) -> Iterator[list[Row]]:
    """Yield batches of rows whose prompts are about as long, in random order, each row once.

    By the length of whole rows a batch would hold completions of a kind, those that keep nothing apart.
    """
    order = list(range(len(rows)))
    draw.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), 32 * size):
        near = sorted(order[start : start + 32 * size], key=lambda number: len(rows[number].prompt))
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    draw.shuffle(batches)
    for batch in batches:
        yield [rows[number] for number in batch]


def by_prompt(rows: Sequence[Row], size: int = 16) -> Iterator[list[Row]]:
    """Yield the rows whose prompts are alike together, at most so many: those of one chunk of one task."""
    for group in alike([row.prompt for row in rows], size):
        yield [rows[number] for number in group]


class Progress:
    """A training's folder: its checkpoint, which the same command goes on from, its log, and its adapters.

    Args:
        folder: the folder.
        lm: the model, whose trained weights are kept.
        settings: what the training is of; another in the same folder is refused.
        rate: the learning rate, reached over `warmup` steps.
        steps: over the last half of so many the rate falls to 0 in a line; none: it stays.
        report_to: `"tensorboard"`, or `"none"`.
    """

    def __init__(
        self,
        folder: Path,
        lm: LanguageModel,
        settings: dict[str, Any],
        rate: float,
        report_to: str,
        warmup: int = 10,
        steps: int | None = None,
    ) -> None:
        self.folder, self.lm, self.rate, self.warmup, self.steps = folder, lm, rate, warmup, steps
        self.weights = {name: each for name, each in lm.model.named_parameters() if each.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=rate, weight_decay=0.0, betas=(0.9, 0.99)
        )
        self.step = self.decisions = 0
        self._saved = time.monotonic()
        self._file = folder / "checkpoint.pt"
        folder.mkdir(parents=True, exist_ok=True)
        told = json.dumps(settings, sort_keys=True, default=str)
        if self._file.exists():
            kept = torch.load(self._file, map_location="cpu", weights_only=True)
            if kept["settings"] != told:
                raise SystemExit(f"{folder} holds another training: {kept['settings']}; give another --out")
            with torch.no_grad():
                for name, value in kept["weights"].items():
                    self.weights[name].copy_(value)
            self.optimizer.load_state_dict(kept["optimizer"])
            self.step, self.decisions = int(kept["step"]), int(kept["decisions"])
            print(f"going on after step {self.step} of {folder}", flush=True)
        for name in ("metrics.jsonl", "progress.jsonl") if not worker() else ():
            self._forget_after(folder / name)
        self._settings, self.model = told, str(settings["model"])
        self._board = None
        if report_to == "tensorboard" and not worker():
            self._board = load_local("torch.utils.tensorboard", "--report-to tensorboard").SummaryWriter(
                str(folder)
            )

    @property
    def left(self) -> float:
        """The share of the rate that the coming step has: 1, and over the last half of `steps` less and less."""
        return 1.0 if self.steps is None else min(1.0, 2 * (1 - self.step / self.steps))

    def update(self) -> float:
        """Take a step of the optimizer with the gradients that are there, of all workers; return their norm."""
        if workers() > 1:
            for each in self.weights.values():  # of a batch's last rows a worker may have had none
                each.grad = torch.zeros_like(each) if each.grad is None else each.grad
                torch.distributed.all_reduce(each.grad)
        left, self.step = self.left, self.step + 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(left, self.step / self.warmup)
        norm = float(torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def log(self, **values: float) -> None:
        """Add a line to `metrics.jsonl`, print it, and tell TensorBoard: the first worker does."""
        if worker():
            return
        line = {"step": self.step, **{name: round(float(value), 6) for name, value in values.items()}}
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(" ".join(f"{name} {value:g}" for name, value in line.items()), flush=True)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, self.step)

    def _forget_after(self, file: Path) -> None:
        """Drop what was written after the step of the checkpoint: it is done again."""
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= self.step]
        if len(kept) < len(lines):
            file.write_text("".join(kept), encoding="utf-8")

    def record(
        self, label: str, seed: int, train: dict[str, Any], held_out: dict[str, Any], source: str
    ) -> None:
        """Add a line to `progress.jsonl`, from which `atommem plot` draws operations a step and learning curves."""
        config = self.folder / "config.json"
        if not config.exists():
            config.write_text(
                json.dumps({"label": label, "sources": {"world": {"fit": source}}}), encoding="utf-8"
            )
        line = {
            "step": self.step,
            "phase": "rl",
            "decisions": self.decisions,
            "label": label,
            "seed": seed,
            "train": train,
            "held_out": held_out,
        }
        with open(self.folder / "progress.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def save(self, minutes: float = 0.0) -> None:
        """Write the checkpoint, unless the last one is younger than so many minutes."""
        if worker() or time.monotonic() - self._saved < 60 * minutes:
            return
        kept = {
            "settings": self._settings,
            "step": self.step,
            "decisions": self.decisions,
            "weights": {name: each.detach().cpu() for name, each in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(kept, self._file.with_suffix(".tmp"))
        os.replace(self._file.with_suffix(".tmp"), self._file)
        self._saved = time.monotonic()

    def adapter(self, name: str = "adapter") -> Path:
        """Write the adapter, in bfloat16, and return its folder: what `--adapter` takes."""
        place = self.folder / name
        if worker():
            return place
        state = peft.get_peft_model_state_dict(self.lm.model)
        with quiet(load_local("transformers", "the chain")):
            self.lm.model.save_pretrained(
                place, state_dict={key: value.to(torch.bfloat16) for key, value in state.items()}
            )
        config = place / "adapter_config.json"  # peft writes the folder that the model was loaded from
        told = {**json.loads(config.read_text(encoding="utf-8")), "base_model_name_or_path": self.model}
        told["target_modules"] = sorted(told["target_modules"])  # a set, in any order
        config.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return place
