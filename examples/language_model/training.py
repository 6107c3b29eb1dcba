"""What SFT and GRPO share: a model with LoRA, log-probabilities of completions, batches by length, checkpoints, logs.

Plain torch and peft rather than a trainer's loop, for four reasons that matter on a CPU: logits are computed where
completions stand and nowhere else (a vocabulary of 49,152 is a fifth of this model's work, and prompts are nine tenths
of the tokens); a batch is padded to its own longest row; what the layers below the adapter make of a row is computed
once; an episode has as many rows as it has steps, where TRL's GRPO wants the same number of each, and fills up.
`examples/paper_training` is the same chain with TRL.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atommem_env.llm.generation import LanguageModel, load_language_model
from atommem_env.llm.models import load_local, quiet

torch = load_local("torch", "the chain")
peft = load_local("peft", "the chain")

RANK = 4  # over all linear layers of SmolLM2-135M: 1.2 million weights, 2.4 MB in bfloat16; twice it over half of them


@dataclass(frozen=True)
class Row:
    """A step: the tokens of its prompt and of its completion, and what the completion's are weighed with."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    advantage: float = 1.0

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def load_trained(given: Any, adapter: Path | None = None) -> LanguageModel:
    """Return the model with an adapter whose weights are trained: a new one, or that of a folder."""
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    if adapter is not None:
        return load_language_model(given.model, str(adapter), given.device, given.dtype, trainable=True)
    made = load_language_model(given.model, None, given.device, given.dtype)
    count = made.model.config.num_hidden_layers
    parts = made.model.get_decoder().layers.named_modules()
    linear = {name.rpartition(".")[2] for name, each in parts if isinstance(each, torch.nn.Linear)}
    rank = 2 * RANK if given.upper_half else RANK
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=4 * rank,
        target_modules=sorted(linear),
        layers_to_transform=list(range(count // 2 if given.upper_half else 0, count)),
        task_type="CAUSAL_LM",
    )
    return LanguageModel(peft.get_peft_model(made.model, config), made.tokenizer)


def logprobs(lm: LanguageModel, rows: Sequence[Row], below: Below | None = None) -> tuple[Any, Any]:
    """Return the log-probability of each token of the rows' completions, right-aligned, and where they stand.

    Rows are padded on the right: later tokens change nothing for earlier ones, and no mask is needed.

    Args:
        lm: the model.
        rows: the rows.
        below: what the layers below the adapter have made of them.
    """
    device = next(lm.model.parameters()).device
    width, keep = max(map(len, rows)), max(len(row.completion) for row in rows)
    first = min(len(row.prompt) for row in rows) - 1
    if below is None:
        ids = torch.full((len(rows), width), lm.pad_id, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor([*row.prompt, *row.completion])
        told = lm.model(input_ids=ids.to(device), use_cache=False, logits_to_keep=width - first).logits
    else:
        told = below.above(below.of(rows), width - first)
    found = torch.zeros((len(rows), keep), device=device)
    there = torch.zeros((len(rows), keep), dtype=torch.bool, device=device)
    parts = []
    for number, row in enumerate(rows):
        start, own = len(row.prompt) - 1 - first, len(row.completion)
        scores = torch.log_softmax(told[number, start : start + own].float(), dim=-1)
        chosen = torch.tensor(row.completion, device=device)[:, None]
        parts.append(torch.cat([found[number, own:], scores.gather(-1, chosen)[:, 0]]))
        there[number, keep - own :] = True
    return torch.stack(parts), there


class Below:
    """The frozen layers below the adapter: what they make of a row is computed once, for all epochs and all seeds.

    It is kept in float16 in a file beside the rows, which processes may share: they would write the same numbers.

    Args:
        lm: a model whose decoder has `layers` and `norm` and takes `inputs_embeds` as they are (Llama and its kin).
        rows: all rows, in the order of their file.
        folder: where the file is.
    """

    def __init__(self, lm: LanguageModel, rows: Sequence[Row], folder: Path) -> None:
        self.lm, self.decoder = lm, lm.model.get_base_model().get_decoder()
        trained = [any(each.requires_grad for each in layer.parameters()) for layer in self.decoder.layers]
        self.first = trained.index(True)
        words = repr([(row.prompt, row.completion) for row in rows])
        told = f"{lm.model.config._name_or_path} {self.first} {lm.model.dtype} {words}"
        name = f"below-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
        self.starts = dict(zip(map(id, rows), np.cumsum([0, *map(len, rows)]).tolist(), strict=False))
        self.numbers = {id(row): number for number, row in enumerate(rows)}
        tokens = sum(map(len, rows))
        self.kept = _shared(folder / f"{name}.f16", (tokens, lm.model.config.hidden_size), np.float16)
        self.done = _shared(folder / f"{name}.done", (len(rows),), np.uint8)

    def of(self, rows: Sequence[Row]) -> Any:
        """Return the activations of rows, padded on the right."""
        device = next(self.lm.model.parameters()).device
        width, size = max(map(len, rows)), self.kept.shape[1]
        found = torch.zeros((len(rows), width, size), dtype=self.lm.model.dtype, device=device)
        for number, row in enumerate(rows):
            start = self.starts[id(row)]
            if not self.done[self.numbers[id(row)]]:
                ids = torch.tensor([[*row.prompt, *row.completion]], device=device)
                with torch.no_grad(), self._layers(slice(0, self.first), torch.nn.Identity()):
                    made = self.decoder(input_ids=ids, use_cache=False).last_hidden_state[0]
                self.kept[start : start + len(row)] = made.float().cpu().numpy()
                self.done[self.numbers[id(row)]] = 1
            own = torch.from_numpy(np.array(self.kept[start : start + len(row)]))
            found[number, : len(row)] = own.to(device)
        return found

    def above(self, activations: Any, keep: int) -> Any:
        """Return the logits of the last `keep` places."""
        with self._layers(slice(self.first, None), self.decoder.norm):
            return self.lm.model(inputs_embeds=activations, use_cache=False, logits_to_keep=keep).logits

    @contextlib.contextmanager
    def _layers(self, part: slice, norm: Any) -> Iterator[None]:
        """Let the decoder be some of its layers."""
        layers, last = self.decoder.layers, self.decoder.norm
        self.decoder.layers, self.decoder.norm = torch.nn.ModuleList(list(layers)[part]), norm
        try:
            yield
        finally:
            self.decoder.layers, self.decoder.norm = layers, last


def _shared(file: Path, shape: tuple[int, ...], kind: Any) -> Any:
    """Return an array that lies in a file, zeros where nothing was written."""
    with open(file, "ab") as made:
        made.truncate(int(np.prod(shape)) * np.dtype(kind).itemsize)
    return np.memmap(file, kind, "r+", shape=shape)


def by_length(rows: Sequence[Row], size: int, draw: random.Random) -> Iterator[list[Row]]:
    """Yield batches of rows of about the same length, in random order, each row once."""
    order = list(range(len(rows)))
    draw.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), 32 * size):
        near = sorted(order[start : start + 32 * size], key=lambda number: len(rows[number]))
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    draw.shuffle(batches)
    for batch in batches:
        yield [rows[number] for number in batch]


class Progress:
    """A training's folder: its checkpoint, which the same command goes on from, its log, and its adapters.

    Args:
        folder: the folder.
        lm: the model, whose trained weights are kept.
        settings: what the training is of; another in the same folder is refused.
        rate: the learning rate, reached over `warmup` steps.
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
    ) -> None:
        self.folder, self.lm, self.rate, self.warmup = folder, lm, rate, warmup
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
        for name in ("metrics.jsonl", "progress.jsonl"):
            self._forget_after(folder / name)
        self._settings = told
        self._board = None
        if report_to == "tensorboard":
            self._board = load_local("torch.utils.tensorboard", "--report-to tensorboard").SummaryWriter(
                str(folder)
            )

    def update(self) -> float:
        """Take a step of the optimizer with the gradients that are there; return their norm."""
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, self.step / self.warmup)
        norm = float(torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def log(self, **values: float) -> None:
        """Add a line to `metrics.jsonl`, print it, and tell TensorBoard."""
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
        if time.monotonic() - self._saved < 60 * minutes:
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
        state = peft.get_peft_model_state_dict(self.lm.model)
        with quiet(load_local("transformers", "the chain")):
            self.lm.model.save_pretrained(
                place, state_dict={key: value.to(torch.bfloat16) for key, value in state.items()}
            )
        return place
