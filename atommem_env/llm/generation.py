"""A causal language model in this process: its loading, its chat prompts, and what it writes for a batch of them.

Everything that needs torch and transformers is here; the engine ``local`` and the trainer's examples share it, so that
what is trained is what plays. A reply is drawn by its own seed: who else is in a batch changes it no more than rounding
does.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from atommem_env.llm.models import find_model, load_local, quiet

if TYPE_CHECKING:
    from atommem_env.llm.forks import Fork  # it needs torch

DTYPES: Final = ("auto", "float32", "bfloat16", "float16")
"""The numbers that a model computes in; ``"auto"``: bfloat16 where the device is fast with it, else float32."""

_SHRINK: Final = 0.75  # a batch in which fewer rows go on is cut to these


@dataclass(frozen=True)
class Written:
    """What a model wrote after one prompt.

    Attributes:
        ids: the tokens, the one that ends the turn included.
        logprobs: the log-probability of each, at the temperature at which it was drawn (1 where greedy).
        text: the same without special tokens.
        finish_reason: ``"stop"``, or ``"length"`` where the limit came first.
    """

    ids: list[int]
    logprobs: list[float]
    text: str
    finish_reason: str


class LanguageModel:
    """A model with its tokenizer.

    Args:
        model: a causal language model of transformers, or one of peft around it.
        tokenizer: its tokenizer, with a chat template.

    Raises:
        ValueError: when the tokenizer has no chat template.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.torch = load_local("torch", "a model in this process")
        if not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                "the model's tokenizer has no chat template, so it is no chat model: take an instruction-tuned one, "
                "or serve a base model and give --engine llm --route completions"
            )
        self.model = model
        self.tokenizer = tokenizer
        ends = [tokenizer.eos_token_id, getattr(model.generation_config, "eos_token_id", None)]
        flat = [id for end in ends for id in (end if isinstance(end, list) else [end])]
        self.end_ids = sorted({int(id) for id in flat if id is not None})
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        names = inspect.signature(base.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"  # transformers renamed it
        self.pad_id = int(self.end_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id)

    @property
    def context(self) -> int:
        """The longest sequence, in tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or 1 << 30)

    def prompt_ids(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the tokens of a conversation that ends where the model's turn begins."""
        text = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
        )
        return [int(id) for id in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def completion_ids(self, text: str) -> list[int]:
        """Return the tokens of a whole turn of the model that says ``text``."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*(int(id) for id in ids), int(self.tokenizer.eos_token_id)]

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seeds: Sequence[int] | None = None,
        pad_to: int = 64,
    ) -> list[Written]:
        """Return what the model writes after each prompt.

        What all of a batch begin with is read once, and so is what those have in common that are alike
        (:func:`alike`), and a prompt that several have.

        Args:
            prompts: the tokens of each, at least one; what follows the parts that they share is padded on the left
                to a multiple of ``pad_to``.
            max_tokens: the most tokens of a reply.
            temperature: 0 is greedy.
            top_p: the smallest set of tokens that has this much of the probability is drawn from.
            seeds: one for each prompt, for its draws.
            pad_to: see above.
        """
        from atommem_env.llm.forks import forks

        torch, model = self.torch, self.model
        device = next(model.parameters()).device
        draws = [torch.Generator().manual_seed(seed & (1 << 63) - 1) for seed in seeds or [0] * len(prompts)]
        written: list[list[int]] = [[] for _ in prompts]
        logprobs: list[list[float]] = [[] for _ in prompts]
        live = list(range(len(prompts)))  # the prompts of the batch's rows
        was_training = model.training
        model.eval()
        try:
            with torch.inference_mode(), forks(model) as fork:
                logits, mask, cache = self._read(prompts, pad_to, fork)
                positions = mask.sum(-1, keepdim=True) - 1
                for number in range(max_tokens):
                    chosen, told = self._choose(logits.float().cpu(), live, temperature, top_p, draws)
                    for row, prompt in enumerate(live):
                        if not written[prompt] or written[prompt][-1] not in self.end_ids:
                            written[prompt].append(chosen[row])
                            logprobs[prompt].append(told[row])
                    going = [
                        row for row, prompt in enumerate(live) if written[prompt][-1] not in self.end_ids
                    ]
                    if not going or number == max_tokens - 1:
                        break
                    ids = torch.tensor(chosen, device=device)[:, None]
                    positions = positions + 1
                    mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=-1)
                    if len(going) <= _SHRINK * len(live):
                        rows = torch.tensor(going, device=device)
                        cache.batch_select_indices(rows)
                        ids, positions, mask = ids[rows], positions[rows], mask[rows]
                        live = [live[row] for row in going]
                    logits = self._logits(ids, mask, positions, cache)
        finally:
            model.train(was_training)
        return [
            Written(
                ids,
                told,
                self.tokenizer.decode(ids, skip_special_tokens=True),
                "stop" if ids[-1] in self.end_ids else "length",
            )
            for ids, told in zip(written, logprobs, strict=True)
        ]

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """Let an adapter be part of the weights, with which the model writes faster; then they are what they were."""
        layers = [
            each for each in self.model.modules() if hasattr(each, "merge") and hasattr(each, "base_layer")
        ]
        kept = [each.base_layer.weight.detach().clone() for each in layers]
        try:
            for each in layers:
                each.merge()
            yield
        finally:
            for each, weight in zip(layers, kept, strict=True):
                if each.merged:
                    each.unmerge()
                each.base_layer.weight.data.copy_(weight)

    def _read(self, prompts: Sequence[Sequence[int]], pad_to: int, fork: Fork | None) -> tuple[Any, Any, Any]:
        """Read prompts part by part, equal parts once; return the logits after each, their mask, and the cache.

        Args:
            prompts: the tokens of each.
            pad_to: what follows the parts that they share is padded to a multiple of this.
            fork: what makes a forked cache (:mod:`atommem_env.llm.forks`), which the last part is read with.
        """
        torch = self.torch
        device = next(self.model.parameters()).device
        given = [tuple(prompt) for prompt in prompts]
        own = [len(prompt) for prompt in given]
        cache, mask = self.new_cache(), torch.ones((1, 0), dtype=torch.long, device=device)
        logits: Any = None
        # What has been read, and the row of the cache that holds it.
        known: dict[tuple[int, ...], int] = {(): 0}
        before, was_forked = [0] * len(given), False
        for ends, multiple in ((_by_all(given), 1), (_by_alike(given), 1), (own, pad_to)):
            if ends == before:
                continue
            spans = zip(given, before, ends, strict=True)
            parts = list(dict.fromkeys((prompt[:start], prompt[start:end]) for prompt, start, end in spans))
            width = math.ceil(max(len(part) for _, part in parts) / multiple) * multiple
            ids = torch.full((len(parts), width), self.pad_id, dtype=torch.long)
            there = torch.zeros_like(ids)
            for row, (_, part) in enumerate(parts):
                ids[row, width - len(part) :] = torch.tensor(part, dtype=torch.long)
                there[row, width - len(part) :] = 1
            rows = [known[start] for start, _ in parts]
            mostly = 2 * sum(before) >= sum(own)  # a long part of its own is read faster with a copy
            apart = fork(cache, mask, rows) if fork and ends is own and mostly else None
            mask = self._select(cache, rows, mask) if apart is None else mask[rows]
            cache, was_forked = (cache, False) if apart is None else (apart, True)
            mask = torch.cat([mask, there.to(device)], dim=-1)
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -width:]
            logits = self._logits(ids.to(device), mask, positions, cache)
            known = {start + part: row for row, (start, part) in enumerate(parts)}
            before = ends
        rows = [known[prompt] for prompt in given]
        # Where several go on from one prompt, what they write stands apart from it, and it is not copied for each.
        several = 2 * len(set(rows)) <= len(rows)
        apart = fork(cache, mask, rows) if fork and several and not was_forked else None
        if apart is None:
            return logits[rows], self._select(cache, rows, mask), cache
        return logits[rows], mask[rows], apart

    def _select(self, cache: Any, rows: list[int], mask: Any) -> Any:
        """Let a cache go on with these of its rows, and return the rows of its mask."""
        if rows != list(range(len(mask))) and mask.shape[1]:
            cache.batch_select_indices(self.torch.tensor(rows, device=mask.device))
        return mask[rows]

    def _logits(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """Return the logits after each row, which the model goes on with from what it keeps."""
        where = {"attention_mask": mask, "position_ids": positions}
        return self.model(input_ids=ids, logits_to_keep=1, **where, **self.goes_on(cache)).logits[:, -1]

    def new_cache(self) -> Any:
        """Return an empty cache of what the model has read."""
        return load_local("transformers", "a model in this process").DynamicCache(config=self.model.config)

    def goes_on(self, cache: Any) -> dict[str, Any]:
        """Return the arguments with which the model goes on from a cache, and adds to it; none: from nothing."""
        return {"use_cache": cache is not None, self._cache_name: cache}

    def _choose(
        self, logits: Any, live: Sequence[int], temperature: float, top_p: float, draws: Sequence[Any]
    ) -> tuple[list[int], list[float]]:
        """Return the next token of each row, and its log-probability."""
        torch = self.torch
        scores = torch.log_softmax(logits / temperature if temperature else logits, dim=-1)
        if not temperature:
            chosen = scores.argmax(-1)
        else:
            drawn = []
            for row, prompt in enumerate(live):
                probabilities = scores[row].exp()
                if top_p < 1.0:
                    probabilities = _nucleus(torch, probabilities, top_p)
                drawn.append(torch.multinomial(probabilities, 1, generator=draws[prompt]))
            chosen = torch.cat(drawn)
        told = scores.gather(-1, chosen[:, None])[:, 0]
        return [int(id) for id in chosen], [float(value) for value in told]


def alike(prompts: Sequence[tuple[int, ...]], size: int) -> list[list[int]]:
    """Return prompts by their numbers in groups that begin alike, as replies to one chunk do.

    Args:
        prompts: the tokens of each.
        size: the most that are together; all share half or more of their tokens with the group's first.
    """
    groups: list[list[int]] = []
    for number in sorted(range(len(prompts)), key=lambda number: prompts[number]):
        first = prompts[groups[-1][0]] if groups and len(groups[-1]) < size else ()
        longest = max(len(first), len(prompts[number]))
        if first and 2 * shared_tokens([first, prompts[number]]) >= longest:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _by_all(prompts: Sequence[tuple[int, ...]]) -> list[int]:
    """Return for each prompt how many tokens all begin with."""
    return [shared_tokens(prompts) if len(set(prompts)) > 1 else 0] * len(prompts)


def _by_alike(prompts: Sequence[tuple[int, ...]]) -> list[int]:
    """Return for each prompt how many tokens those begin with that are alike; what all begin with where none are."""
    apart = list(dict.fromkeys(prompts))
    groups = alike(apart, len(apart))
    if len(groups) == len(apart):
        return _by_all(prompts)
    shared = {
        apart[number]: shared_tokens([apart[each] for each in group]) for group in groups for number in group
    }
    return [shared[prompt] for prompt in prompts]


def shared_tokens(prompts: Sequence[tuple[int, ...]]) -> int:
    """Return how many tokens all prompts begin with; each keeps at least one of its own, from which it goes on."""
    first, last = min(prompts), max(prompts)  # these two differ the earliest
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


def _nucleus(torch: Any, probabilities: Any, top_p: float) -> Any:
    """Return the probabilities of the likeliest tokens that make up ``top_p``, 0 for the others."""
    ordered, order = probabilities.sort(descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return torch.zeros_like(probabilities).scatter(-1, order, ordered.masked_fill(outside, 0.0))


def load_language_model(
    model: str, adapter: str | None = None, device: str = "cpu", dtype: str = "auto", trainable: bool = False
) -> LanguageModel:
    """Load a model and its tokenizer, and a LoRA adapter over it.

    Args:
        model: a folder, a name of the hub, or a packaged model that is in the cache.
        adapter: the folder of an adapter that peft has written.
        device: where it computes, ``"cpu"`` or ``"cuda"``.
        dtype: one of :data:`DTYPES`.
        trainable: whether the adapter's weights are to be trained; otherwise they become part of the model's.

    Raises:
        ValueError: when it cannot be loaded, or is no chat model.
        ImportError: when a library is missing; names the pip command.
    """
    torch = load_local("torch", "a model in this process")
    transformers = load_local("transformers", "a model in this process")
    place = find_model(model)
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(place)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(
                place, dtype=getattr(torch, chosen_dtype(device, dtype))
            )
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"model {model!r} cannot be loaded ({error}): expected the folder of a checkpoint of transformers, or a "
            "name of the hub; `atommem model` lists the packaged ones"
        ) from error
    if adapter is not None:
        if not (Path(adapter) / "adapter_config.json").is_file():
            raise ValueError(
                f"adapter {adapter!r} holds no adapter_config.json: expected a folder that peft has written"
            )
        peft = load_local("peft", "an adapter")
        loaded = peft.PeftModel.from_pretrained(loaded, adapter, is_trainable=trainable)
        loaded = loaded if trainable else loaded.merge_and_unload()
    return LanguageModel(loaded.to(device).eval(), tokenizer)


def chosen_dtype(device: str, dtype: str) -> str:
    """Return the name of the numbers that ``dtype`` means on ``device``.

    A processor without instructions for bfloat16 is several times slower with it than with float32.
    """
    if dtype != "auto":
        return dtype
    if device != "cpu":
        return "bfloat16"
    cpu = load_local("torch", "a model in this process").cpu
    able = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return "bfloat16" if any(getattr(cpu, name, lambda: False)() for name in able) else "float32"
