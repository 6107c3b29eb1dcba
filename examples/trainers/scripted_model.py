"""A script in the place of a model's sampling: a trainer runs as it always does, and the words are a policy's.

A model with random weights calls no tool and earns nothing, so tests and examples of trainers that sample with
``model.generate`` put :func:`scripted_generate` there. The model's own probabilities of those words are computed and
trained as ever.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from atommem_env.core.operations import Operation
from atommem_env.integrations.text_episode import load_library
from atommem_env.integrations.trl.tools import OVER
from atommem_env.protocols.tool_calls import calls_of
from scripted_policy import ScriptedPolicy


def scripted_generate(
    tokenizer: Any, policies: Sequence[ScriptedPolicy], *, tool_calls: bool = True
) -> Callable[..., Any]:
    """Return what stands in for ``model.generate``.

    Args:
        tokenizer: the model's, with ChatML, such as that of ``make_tiny_model``.
        policies: they take turns, message by message, so that the rollouts of a group differ.
        tool_calls: whether operations are written as Qwen's tool calls, else in the policies' protocol.
    """
    torch = load_library("torch", "trl", "scripted_generate")
    turns = itertools.cycle(policies)

    def write(conversation: str) -> str:
        shown = conversation.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        if shown.endswith("</tool_response>"):
            shown = shown.rpartition("<tool_response>\n")[2].removesuffix("\n</tool_response>")
        policy = next(turns)
        if shown == OVER:
            return "Done."
        operations = policy.answer_view(f"\n{shown}")
        return _calls(operations) if tool_calls else policy.protocol.render_operations(operations)

    def generate(input_ids: Any, attention_mask: Any, **_: Any) -> Any:
        prompts = [ids[mask.bool()] for ids, mask in zip(input_ids, attention_mask, strict=True)]
        texts = [write(tokenizer.decode(prompt)) + tokenizer.eos_token for prompt in prompts]
        written = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        return torch.cat([input_ids, written["input_ids"]], dim=1)

    return generate


def _calls(operations: Sequence[Operation]) -> str:
    """Return ``operations`` as Qwen writes calls of tools."""
    calls = [{"name": name, "arguments": arguments} for name, arguments in calls_of(operations)]
    return "\n".join(f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in calls)
