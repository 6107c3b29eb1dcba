"""TRL's own trainer drives an environment's tools: two steps of GRPO with a tiny model and a script for its words."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from atommem_env import QADataset
from atommem_env.integrations.text_episode import BENCHMARKS
from atommem_env.integrations.trl.text import TextTools, set_text_templates
from atommem_env.integrations.trl.tools import (
    OVER,
    MemoryTools,
    log_scores,
    make_environment_factory,
    tool_rows,
)
from atommem_env.protocols.tool_calls import ToolProtocol
from scripted_model import scripted_generate
from scripted_policy import ScriptedPolicy
from small_data import records
from tiny_model import make_tiny_model
from trainers import library, pytestmark  # noqa: F401

trl = library("trl")

CUSTOM = "AtomMem-Custom-v0"
# Of one document each, so that the rules that answer in the scripted policy can.
ONE_HOP = QADataset.from_records(
    {
        **record,
        "question": f"When was {record['documents'][0]['title']} born?",
        "answers": [str(1800 + number)],
    }
    for number, record in enumerate(records())
)
SMALL = {"source": ONE_HOP, "num_docs": 6, "num_questions": 1, "chunk_tokens": 100, "chunk_overlap": 20}
BRIEF = {**SMALL, "template": "Call your tools; writes wait until the next other call.\n\n$turn"}
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainers" / "trl_tools.py"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def policies(protocol: str = "json") -> list[ScriptedPolicy]:
    """Return scripts of which the first remembers all and the last nothing."""
    return [ScriptedPolicy(protocol, forget=share, engine="rules") for share in (0.0, 1.0)]


def trained(
    tmp_path: Path, model: Any, tokenizer: Any, factory: Any, rows: Sequence[dict[str, Any]], **config: Any
) -> Any:
    """Return the trainer after its steps, of 4 rollouts each."""
    from datasets import Dataset

    settings = {
        "output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no",
        "per_device_train_batch_size": 4, "num_generations": 4, "max_steps": 2, "max_completion_length": 4096,
        "learning_rate": 1e-3, "logging_steps": 1, "gradient_checkpointing": False, "disable_tqdm": True,
        **config,
    }  # fmt: skip
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=[log_scores],
        args=trl.GRPOConfig(**settings),
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        environment_factory=factory,
    )
    trainer.train()
    return trainer


def test_the_tools_definitions_are_those_that_transformers_derives() -> None:
    from transformers.utils import get_json_schema

    methods = [
        method
        for name, method in inspect.getmembers(MemoryTools, inspect.isfunction)
        if not name.startswith("_") and name not in ("reset", "get_reward")
    ]
    assert json.dumps([get_json_schema(method) for method in methods]) == json.dumps(ToolProtocol().tools())


def test_two_steps_of_grpo_move_the_weights_by_the_environments_rewards(tmp_path: Path) -> None:
    model, tokenizer = make_tiny_model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.generate = scripted_generate(tokenizer, policies())
    factory = make_environment_factory(CUSTOM, **BRIEF)
    trainer = trained(tmp_path, model, tokenizer, factory, tool_rows(range(2)))

    first, second = trainer.state.log_history[:2]
    assert first["tools/call_frequency"] >= 4
    assert first["tools/failure_frequency"] == 0
    assert first["env/over"] == second["env/over"] == 1.0
    for step in (first, second):
        assert step["rewards/MemoryTools/mean"] == step["reward"] == pytest.approx(step["env/em"])
    assert max(first["reward_std"], second["reward_std"]) > 0
    assert any((weight != before[name]).any() for name, weight in model.state_dict().items())
    assert len({tools.trajectory.trace.task_id for tools in trainer.environments}) == 1
    assert len({id(tools) for tools in trainer.environments}) == 4


def test_of_a_conversation_only_what_the_model_wrote_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = make_tiny_model()
    model.generate = scripted_generate(tokenizer, policies())
    seen: list[Any] = []
    generate = trl.GRPOTrainer._generate

    def recorded(self: Any, prompts: Any) -> Any:
        seen.append(generate(self, prompts))
        return seen[-1]

    monkeypatch.setattr(trl.GRPOTrainer, "_generate", recorded)
    trained(
        tmp_path, model, tokenizer, make_environment_factory(CUSTOM, **BRIEF), tool_rows([0]), max_steps=1
    )
    _, completions, masks, *_ = seen[0]
    for ids, mask in zip(completions, masks, strict=True):
        written = tokenizer.decode([token for token, kept in zip(ids, mask, strict=True) if kept])
        told = tokenizer.decode([token for token, kept in zip(ids, mask, strict=True) if not kept])
        assert "# Now:" not in written
        assert written.endswith("Done.<|im_end|>")
        assert '"name": "answer"' in written
        assert '"name": "answer"' not in told
        assert OVER in told


def test_each_benchmark_has_its_own_column_of_rewards(tmp_path: Path) -> None:
    model, tokenizer = make_tiny_model()
    model.generate = scripted_generate(tokenizer, policies())
    factories = make_environment_factory(dict.fromkeys(BENCHMARKS, CUSTOM), **BRIEF)
    rows = tool_rows([0], factories)
    trainer = trained(
        tmp_path,
        model,
        tokenizer,
        factories,
        rows,
        max_steps=1,
        num_generations=2,
        per_device_train_batch_size=6,
    )
    log = trainer.state.log_history[0]
    for name in BENCHMARKS:
        rewards = [tools.get_reward() for tools in trainer.environments if type(tools).__name__ == name]
        assert len(rewards) == 2
        assert log[f"rewards/{name}/mean"] == pytest.approx(sum(rewards) / 2)


def test_a_model_that_writes_tags_has_the_conversation_of_the_text_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = make_tiny_model()
    set_text_templates(tokenizer)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.generate = scripted_generate(tokenizer, policies("atommem"), tool_calls=False)
    seen: list[Any] = []
    generate = trl.GRPOTrainer._generate

    def recorded(self: Any, prompts: Any) -> Any:
        seen.append(generate(self, prompts))
        return seen[-1]

    monkeypatch.setattr(trl.GRPOTrainer, "_generate", recorded)
    factory = make_environment_factory(
        CUSTOM, tools=TextTools, **{**SMALL, "template": "Write tags.\n\n$turn"}
    )
    trainer = trained(tmp_path, model, tokenizer, factory, tool_rows(range(2)))
    assert all(log["env/over"] == 1.0 for log in trainer.state.log_history[:2])
    assert max(log["reward_std"] for log in trainer.state.log_history[:2]) > 0
    assert any((weight != before[name]).any() for name, weight in model.state_dict().items())

    prompts, completions, *_ = seen[-1]
    for ids, reply_ids, tools in zip(prompts, completions, trainer.environments, strict=True):
        turn = tools.trajectory.turns[-1]
        conversation = [
            *turn.messages,
            {"role": "assistant", "content": turn.text},
            {"role": "user", "content": OVER},
        ]
        text = tokenizer.apply_chat_template(conversation, tokenize=False)
        assert tokenizer.decode([*ids, *reply_ids]) == f"{text}<|im_start|>assistant\n(over)Done.<|im_end|>"
    assert any(tools.trajectory.turns[0].text == "" for tools in trainer.environments)


def test_every_message_before_the_end_is_a_call_and_none_after_it() -> None:
    from trl.chat_template_utils import (
        get_training_chat_template,
        is_chat_template_prefix_preserving,
        is_chat_template_stop_token_trained,
        parse_response,
        supports_tool_calling,
    )

    tokenizer = set_text_templates(make_tiny_model()[1])
    assert supports_tool_calling(tokenizer)
    assert is_chat_template_prefix_preserving(tokenizer)
    assert is_chat_template_stop_token_trained(tokenizer)
    assert get_training_chat_template(tokenizer) is None

    def read(reply: str, shown: str) -> dict[str, Any]:
        conversation: list[dict[str, Any]] = [
            {"role": "user", "content": "A prompt."},
            {"role": "assistant", "content": "", "tool_calls": [call("<scratchpad>x</scratchpad>")]},
            {"role": "tool", "name": "reply", "content": shown},
        ]
        prefix = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
        return dict(
            parse_response(tokenizer, tokenizer(reply)["input_ids"], prefix=prefix, tools=[TextTools.reply])
        )

    def call(text: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": "reply", "arguments": {"text": text}}}

    for text in (
        "<create_memory>\nA, B.\n</create_memory>\n<update_memory>id: 3\nC</update_memory>",
        "<read_memory>not closed",
        "<think>hm</think> no operation at all",
        "",
        "7",
    ):
        for end in ("<|im_end|>", ""):
            if text + end:
                assert read(text + end, "A turn.")["tool_calls"] == [call(text)]
    assert read("Done.<|im_end|>", OVER) == {"role": "assistant", "content": "(over)Done."}


def test_a_model_of_random_words_runs_and_earns_nothing(tmp_path: Path) -> None:
    model, tokenizer = make_tiny_model()
    set_text_templates(tokenizer)
    factory = make_environment_factory(CUSTOM, tools=TextTools, **SMALL)
    trainer = trained(
        tmp_path, model, tokenizer, factory, tool_rows([0]), max_steps=1, num_generations=2,
        per_device_train_batch_size=2, max_completion_length=32,
    )  # fmt: skip
    assert trainer.state.log_history[0]["reward"] == 0.0
    assert all(len(tools.trajectory.turns) >= 1 for tools in trainer.environments)


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "generated" in done.stdout
    assert "weights moved: True" in done.stdout
