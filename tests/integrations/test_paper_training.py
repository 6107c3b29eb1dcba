"""The full-scale recipe says what the paper does, in every file that says it; what needs no trainer."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import pytest
import yaml

import atommem_env  # noqa: F401  (registers the environments)
from atommem_env.integrations.text_episode import BENCHMARKS
from atommem_env.retrieval import EndpointEncoder
from atommem_env.runs.arguments import env_arguments

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "paper_training"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the examples are not next to the tests")


def settings(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that reads the task."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "task", raising=False)
    return importlib.import_module("task")


def test_the_task_is_the_papers(task: ModuleType) -> None:
    envs, arguments = task.read_task()
    assert envs == list(BENCHMARKS.values())
    assert arguments["num_docs"] == 200
    assert arguments["num_questions"] == [1, 10]
    assert arguments["chunk_tokens"] == 4096
    assert arguments["top_k"] == 6
    assert arguments["retriever"] == "dense"
    for env in envs:
        assert set(arguments) <= set(env_arguments(gym.spec(env)))


def test_the_encoder_is_the_papers_and_takes_an_instruction(
    monkeypatch: pytest.MonkeyPatch, task: ModuleType
) -> None:
    module, name = task.read_task()[1]["encoder"].split(":")
    monkeypatch.setenv("EMBEDDINGS_URL", "http://127.0.0.1:9/v1")
    encoder = getattr(importlib.import_module(module), name)()
    assert isinstance(encoder, EndpointEncoder)
    assert encoder.model == "Qwen/Qwen3-Embedding-0.6B"
    assert encoder.base_url == "http://127.0.0.1:9/v1"
    assert encoder.query_instruction.startswith("Instruct: ")
    assert encoder.document_instruction == ""


def test_a_change_of_the_task_is_read_as_json_and_null_leaves_an_argument_out(task: ModuleType) -> None:
    _, arguments = task.read_task(["num_docs=800", "encoder=null", "retriever=bm25", "num_questions=[2,3]"])
    assert arguments["num_docs"] == 800
    assert "encoder" not in arguments
    assert arguments["retriever"] == "bm25"
    assert arguments["num_questions"] == [2, 3]
    with pytest.raises(SystemExit, match=r"num_docs.*KEY=VALUE"):
        task.read_task(["num_docs"])


def test_the_task_as_options_of_atommem_run() -> None:
    command = [sys.executable, str(FOLDER / "task.py"), "num_docs=800", "tokenizer=null"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert words[:2] == ["--env", "AtomMem-HotpotQA-v0"]
    assert words.count("--env") == 3
    assert "num_docs=800" in words
    assert "num_questions=[1, 10]" in words
    assert "retriever=dense" in words
    assert not any(word.startswith("tokenizer") for word in words)


def test_verls_settings_are_the_papers() -> None:
    found = settings("grpo_verl.yaml")
    actor, rollout = found["actor_rollout_ref"]["actor"], found["actor_rollout_ref"]["rollout"]
    assert found["data"]["train_batch_size"] == 16
    assert rollout["n"] == 16
    assert actor["optim"]["lr"] == 1e-6
    assert (actor["clip_ratio_low"], actor["clip_ratio_high"]) == (0.2, 0.28)
    assert actor["use_kl_loss"] is found["algorithm"]["use_kl_in_reward"] is False
    assert actor["entropy_coeff"] == 0
    assert found["algorithm"]["adv_estimator"] == "grpo"
    assert found["algorithm"]["norm_adv_by_std_in_grpo"] is False
    assert (rollout["temperature"], rollout["top_p"]) == (1, 1)
    val = rollout["val_kwargs"]
    assert (val["do_sample"], val["temperature"], val["top_p"]) == (True, 0.7, 1)


def test_trls_settings_are_the_papers() -> None:
    found = settings("grpo_trl.yaml")
    rows = found["rows_per_episode"]
    assert found["num_generations"] == 16 * rows
    assert found["generation_batch_size"] == 16 * 16 * rows
    assert found["learning_rate"] == 1e-6
    assert (found["epsilon"], found["epsilon_high"]) == (0.2, 0.28)
    assert found["beta"] == found["entropy_coef"] == 0
    assert found["scale_rewards"] == "none"
    assert (found["temperature"], found["top_p"], found["top_k"]) == (1, 1, 0)


def test_the_reward_is_the_papers_by_default(task: ModuleType) -> None:
    envs, arguments = task.read_task()
    assert not {"reward", "reward_timing"} & set(arguments)
    for env in envs:
        defaults = env_arguments(gym.spec(env))
        assert (defaults["reward"].default, defaults["reward_timing"].default) == ("em", "terminal")


def test_the_lengths_agree() -> None:
    verl, trl, sft = settings("grpo_verl.yaml"), settings("grpo_trl.yaml"), settings("sft_trl.yaml")
    prompt, reply = verl["data"]["max_prompt_length"], verl["data"]["max_response_length"]
    assert (trl["max_prompt_tokens"], trl["max_completion_length"]) == (prompt, reply)
    assert verl["actor_rollout_ref"]["rollout"]["max_model_len"] == prompt + reply
    assert trl["vllm_max_model_length"] == sft["max_length"] == prompt + reply
    assert verl["actor_rollout_ref"]["actor"]["ppo_max_token_len_per_gpu"] >= prompt + reply


def test_evaluation_is_at_the_papers_sizes_and_sampling() -> None:
    for name in ("evaluate.sh", "released.sh"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "for docs in 200 800; do" in text
        assert "--temperature 0.7 --top-p 1.0" in text
    assert "atommem.protocol=released" in text
    assert "chunk_tokens=4200 chunk_overlap=200" in text  # 4000 new tokens, with 100 more on each side


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_well_formed_and_executable(path: Path) -> None:
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_the_agent_loop_that_verl_is_given_is_ours() -> None:
    agent = settings("grpo_verl.yaml")["actor_rollout_ref"]["rollout"]["agent"]
    assert (FOLDER.parents[1] / agent["agent_loop_config_path"]).is_file()
    from atommem_env.integrations.verl import AGENT_NAME

    assert agent["default_agent_loop"] == AGENT_NAME


def test_every_file_of_the_recipe_is_named_in_its_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FOLDER.iterdir():
        if path.suffix in (".py", ".sh", ".yaml"):
            assert path.name in text, path.name


def test_the_dry_runs_vectors_depend_on_the_text_alone(
    monkeypatch: pytest.MonkeyPatch, task: ModuleType
) -> None:
    dry_run = importlib.import_module("dry_run")
    monkeypatch.delitem(sys.modules, "dry_run")
    with dry_run.serving() as server:
        monkeypatch.setenv("EMBEDDINGS_URL", server.url)
        encoder = importlib.import_module("qwen_encoder").make_encoder()
        vectors = encoder.encode(["a cat", "a dog", "a cat"], "document")
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[0] != vectors[1]).any()
