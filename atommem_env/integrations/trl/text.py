"""TRL's ``GRPOTrainer`` with a model that writes tags: the tools class and the templates that go with it.

Route: ``environment_factory``, as in :mod:`atommem_env.integrations.trl.tools`, tested with TRL 1.16.0 and transformers
5.23.0. A response template makes one call of each message of the model, and the protocol's own parser reads it: a
message is an action, as everywhere else in this package, and an episode is one conversation that is appended to. For
example::

    GRPOTrainer(
        model,
        processing_class=set_text_templates(tokenizer),
        environment_factory=make_environment_factory("AtomMem-HotpotQA-v0", tools=TextTools, num_docs=20),
        ...
    )

Nothing here imports TRL.
"""

from __future__ import annotations

import re
from typing import Any, Final

import gymnasium as gym

from atommem_env.integrations.trl.tools import OVER, EnvironmentTools
from atommem_env.protocols import Protocol


class TextTools(EnvironmentTools):
    """An environment as one tool, the message: for models that write a text protocol, see :func:`set_text_templates`.

    The prompts, and what a text does, are those of ``TextProtocol`` in the mode ``"append"``.

    Args:
        env: an environment's id, or an environment.
        protocol: how operations are written, see :func:`atommem_env.protocols.get_protocol`.
        template: the complete prompt in other words, as a file's path or as text.
        **arguments: the arguments of ``gym.make``, when ``env`` is an id.

    Raises:
        ValueError: when an argument names nothing.
    """

    def __init__(
        self,
        env: str | gym.Env[Any, Any],
        *,
        protocol: str | Protocol = "atommem",
        template: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(env, protocol=protocol, template=template, **arguments)

    def reply(self, text: str) -> str:
        """Carry out the operations in a message.

        Args:
            text: The whole message.
        """
        return self._act(text)


_GONE: Final = "(over)"
"""How the assistant's message after the end begins: it is the one message that is not a call."""

RESPONSE_TEMPLATE: Final[dict[str, Any]] = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open_pattern": rf"\A(?!{re.escape(_GONE)})",
            "close": "<|im_end|>",
            "repeats": True,
            "content": "text",
            "content_args": {"strip": False},
            "transform": {
                "type": "function",
                "function": {"name": "reply", "arguments": {"text": "{content}"}},
            },
        },
        "content": {"content": "text"},
    },
}
"""How transformers reads a message: as one call of ``reply``, with the message for its text."""

CHAT_TEMPLATE: Final = """\
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
        {{- message.content }}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {{- call.arguments.text if call.name == 'reply' and call.arguments.text is string else call | tojson }}
        {%- endfor %}
        {{- '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- '<|im_start|>' + ('user' if message.role == 'tool' else message.role) + '\\n' }}
        {{- message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if messages[-1].role == 'tool' and messages[-1].content == '$over' %}
        {{- '$gone' }}
    {%- endif %}
{%- endif %}""".replace("$over", OVER).replace("$gone", _GONE)
"""ChatML in which a tool's result is a user's turn, so that the model sees a plain conversation."""


def set_text_templates(tokenizer: Any) -> Any:
    """Make each message of a model that speaks ChatML (Qwen and its kin) a call of :class:`TextTools`; return it.

    Sets :data:`RESPONSE_TEMPLATE` and :data:`CHAT_TEMPLATE` on ``tokenizer``, which is changed. The model then
    writes plain text, with a protocol's tags for example, and sees what a conversation of the mode ``"append"``
    shows; fine-tune it on conversations (``atommem export --format messages``) with the same tokenizer.

    Args:
        tokenizer: a tokenizer of transformers 5.13 or later.

    Raises:
        ValueError: when the tokenizer has no ChatML marks, or ends a turn with something else.
    """
    vocabulary = tokenizer.get_vocab()
    if tokenizer.eos_token != "<|im_end|>" or "<|im_start|>" not in vocabulary:
        raise ValueError(
            f"the tokenizer ends a text with {tokenizer.eos_token!r}: expected ChatML, with the tokens '<|im_start|>' "
            "and '<|im_end|>', the latter as eos_token. For other models write a chat template and a response template "
            "like those of atommem_env.integrations.trl.tools"
        )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.response_template = RESPONSE_TEMPLATE
    return tokenizer
