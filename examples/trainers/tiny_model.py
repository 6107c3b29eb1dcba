"""A random causal language model and its tokenizer, made on the spot: what trainers' tests and examples train.

Nothing is downloaded: the tokenizer is learned from this package's own prompts over generated documents. The
model has two layers and knows nothing; a score of it says that a trainer runs, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from atommem_env.integrations.text_episode import BENCHMARKS, TextEpisode, load_library
from scripted_policy import ScriptedPolicy

_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MARKS: Final = tuple(
    f"<{slash}{name}>" for name in ("tool_call", "tool_response", "think") for slash in ("", "/")
)
_CHATML: Final = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def make_tiny_model(*, seed: int = 0, context: int = 16384, vocabulary: int = 2048) -> tuple[Any, Any]:
    """Return a tiny Qwen3 model with random weights, and its own tokenizer.

    The tokenizer has a byte-level vocabulary, so that it can write any text, and pads on the left; its chat
    template is that of Qwen3 where TRL is installed, which brings it, else plain ChatML. Both can be saved with
    ``save_pretrained`` and loaded again with ``AutoModelForCausalLM`` and ``AutoTokenizer``.

    Args:
        seed: of the weights; the tokenizer is always the same.
        context: the longest sequence, in tokens.
        vocabulary: the number of tokens, at most.

    Raises:
        ImportError: when transformers or torch is missing; names the extra.
    """
    torch = load_library("torch", "trl", "make_tiny_model")
    transformers = load_library("transformers", "trl", "make_tiny_model")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_learn(vocabulary),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = _chat_template()
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.Qwen3ForCausalLM(config)
    return model.eval(), tokenizer


def _learn(vocabulary: int) -> Any:
    """Return a byte-level BPE tokenizer, learned from prompts and completions over generated documents."""
    tokenizers = load_library("tokenizers", "trl", "make_tiny_model")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary - len(_MARKS),
        special_tokens=list(_SPECIAL),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_texts(), trainer)
    made.add_tokens([tokenizers.AddedToken(mark, normalized=False, special=False) for mark in _MARKS])
    return made


def _texts() -> Iterator[str]:
    for env in BENCHMARKS.values():
        for protocol in ("atommem", "json"):
            episode = TextEpisode(
                env, protocol=protocol, prompt_mode="append", source="generated", num_docs=20, num_questions=2
            )
            trajectory = episode.play(ScriptedPolicy(protocol), task_index=0)
            episode.close()
            last = trajectory.turns[-1]
            yield from (message["content"] for message in last.messages)
            yield last.text


def _chat_template() -> str:
    try:
        from trl.chat_template_utils import qwen3_chat_template
    except ModuleNotFoundError:
        return _CHATML
    return str(qwen3_chat_template)
