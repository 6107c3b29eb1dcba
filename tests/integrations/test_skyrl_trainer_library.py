"""Context resets in SkyRL's own generator, dataset and trainer; the model is a script, and nothing is trained."""

from __future__ import annotations

import asyncio
import json
import pickle
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atommem_env.integrations.skyrl import dataset_rows, register, write_dataset
from atommem_env.integrations.skyrl import trainer as adapter
from atommem_env.integrations.text_episode import Trajectory, row_episode
from scripted_policy import ScriptedPolicy
from trainers import library, pytestmark  # noqa: F401

library("skyrl")
generators = library("skyrl.train.generators.skyrl_gym_generator")
config = library("skyrl.train.config")

WORLD: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}
TRAINING = Path(__file__).resolve().parents[2] / "examples" / "trainers" / "skyrl_train.sh"


def documented() -> list[str]:
    """The settings of the example of a training."""
    command = TRAINING.read_text(encoding="utf-8").partition("python -m ")[2].replace("\\\n", " ")
    return [text for text in shlex.split(command)[1:] if not text.startswith("trainer.override_entrypoint")]


def settings(*more: str) -> Any:
    small = [
        "generator.n_samples_per_prompt=2",
        "trainer.max_prompt_length=6144",
        "generator.max_input_length=6144",
    ]
    return config.SkyRLTrainConfig.from_cli_overrides([*documented(), *small, *more])


def policy(repetition: int) -> ScriptedPolicy:
    """The rollouts of a group forget different documents."""
    return ScriptedPolicy(forget=0.4, seed=repetition)


class ScriptedServer:
    """Answers where an inference engine would, from the tokens of a prompt alone."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.prompts: list[str] = []
        self.open_sessions: set[str] = set()

    async def generate(self, request: Any, model: str | None = None) -> dict[str, Any]:
        prompt = self.tokenizer.decode(request["prompt_token_ids"][0])
        session = request["session_ids"][0]
        self.prompts.append(prompt)
        self.open_sessions.add(session)
        turn = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        answer = policy(int(session.rpartition("_")[2]))([{"role": "user", "content": turn}])
        ids = self.tokenizer.encode(f"{answer}<|im_end|>", add_special_tokens=False)
        return {
            "responses": [answer],
            "response_ids": [ids],
            "stop_reasons": ["stop"],
            "response_logprobs": [[-0.5] * len(ids)],
        }

    async def finish_session(self, session: str) -> None:
        self.open_sessions.discard(session)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tiny_model import make_tiny_model

    return make_tiny_model()[1]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Any:
    path = tmp_path_factory.mktemp("rows") / "train.parquet"
    write_dataset(path, dataset_rows("AtomMem-World-v0", [3, 9], **WORLD))
    return library("skyrl.train.dataset").PromptDataset(str(path), tokenizer, 6144, num_workers=1)


@pytest.fixture(scope="module")
def reset_mode(tokenizer: Any, rows: Any) -> tuple[ScriptedServer, Any]:
    return generate(settings(), tokenizer, rows)


def generate(cfg: Any, tokenizer: Any, rows: Any) -> tuple[ScriptedServer, Any]:
    """Let the experiment's generator make two rollouts of each row; return the server, and what was generated."""
    register()
    server = ScriptedServer(tokenizer)
    generator = object.__new__(adapter.Experiment).get_generator(cfg, tokenizer, server)
    batch = rows.collate_fn([rows[number] for number in range(len(rows))])
    prepare = library("skyrl.train.generators.utils").prepare_generator_input
    asked, _ = prepare(batch, cfg.generator.n_samples_per_prompt, None, "gsm8k", "train", 0)
    made = asyncio.run(generator.generate(asked, disable_tqdm=True))
    assert not server.open_sessions
    return server, made


def played(rows: Any, **options: Any) -> list[Trajectory]:
    """The same rollouts without SkyRL, in its order."""
    return [
        row_episode(extras, **options).play(policy(repetition), extras["task_index"])
        for extras in (rows[0][2], rows[1][2])
        for repetition in (0, 1)
    ]


def test_the_dataset_keeps_the_rows_and_hands_the_rest_over_as_extras(rows: Any) -> None:
    assert len(rows) == 2
    prompt, env_class, extras, _ = rows[1]
    assert env_class == "atommem"
    assert (extras["env"], extras["task_index"], json.loads(extras["env_arguments"])) == (
        "AtomMem-World-v0",
        9,
        WORLD,
    )
    assert prompt == row_episode(extras).reset(9)


def test_an_episode_is_a_row_per_step_of_its_own_prompt_and_its_own_answer(
    tokenizer: Any, rows: Any, reset_mode: tuple[ScriptedServer, Any]
) -> None:
    server, made = reset_mode
    trajectories = played(rows)
    turns = [turn for trajectory in trajectories for turn in trajectory.turns]
    shown = [tokenizer.decode(ids) for ids in made["prompt_token_ids"]]
    assert shown == [
        tokenizer.apply_chat_template(turn.messages, add_generation_prompt=True, tokenize=False)
        for turn in turns
    ]
    assert sorted(shown) == sorted(server.prompts)
    assert [tokenizer.decode(ids) for ids in made["response_ids"]] == [
        f"{turn.text}<|im_end|>" for turn in turns
    ]
    assert made["loss_masks"] == [[1] * len(ids) for ids in made["response_ids"]]
    assert made["is_last_step"] == [turn is t.turns[-1] for t in trajectories for turn in t.turns]


def test_rewards_and_metrics_are_those_of_the_episodes(
    rows: Any, reset_mode: tuple[ScriptedServer, Any]
) -> None:
    _, made = reset_mode
    trajectories = played(rows)
    assert [sum(reward) for reward in made["rewards"]] == [
        t.reward for each in trajectories for t in each.turns
    ]
    returns = [each.episode_return for each in trajectories]
    assert len(set(returns)) > 1
    for name in ("em", "num_create", "num_malformed"):
        expected = sum(each.scores()[name] for each in trajectories) / len(trajectories)
        assert made["rollout_metrics"][f"environment/{name}"] == pytest.approx(expected)


def test_the_trainer_gives_every_row_of_an_episode_the_same_advantage(
    tokenizer: Any, rows: Any, reset_mode: tuple[ScriptedServer, Any]
) -> None:
    trainer = object.__new__(library("skyrl.train.trainer").RayPPOTrainer)
    trainer.cfg, trainer.tokenizer, trainer.all_metrics = (
        settings("trainer.train_batch_size=2"),
        tokenizer,
        {},
    )
    trainer.cfg.trainer.policy_mini_batch_size = 2
    trainer.dispatch = SimpleNamespace(get_lcm_dp_size=lambda: 1)
    made = dict(reset_mode[1])
    uids = [trajectory.instance_id for trajectory in made["trajectory_ids"]]
    data = trainer.convert_to_training_input(*trainer.postprocess_generator_output(made, uids))
    data["values"] = None
    advantages = trainer.compute_advantages_and_returns(data)["advantages"]
    trajectories = played(rows)
    returns = [each.episode_return for each in trajectories]
    means = [sum(returns[start : start + 2]) / 2 for start in (0, 0, 2, 2)]
    expected = [value - mean for value, mean in zip(returns, means, strict=True)]
    wanted = [value for value, each in zip(expected, trajectories, strict=True) for _ in each.turns]
    assert any(wanted)
    for row, value, ids in zip(advantages.tolist(), wanted, made["response_ids"], strict=True):
        assert sum(row) == pytest.approx(value * len(ids), abs=1e-4)


def test_without_step_wise_rows_skyrls_own_generator_appends(tokenizer: Any, rows: Any) -> None:
    cfg = settings("generator.step_wise_trajectories=false", "generator.max_input_length=60000")
    server, made = generate(cfg, tokenizer, rows)
    trajectories = played(rows, prompt_mode="append")
    assert [sum(reward) for reward in made["rewards"]] == [each.episode_return for each in trajectories]
    assert max(server.prompts, key=len).count("<|im_start|>assistant\n") == max(
        len(t.turns) for t in trajectories
    )
    assert all(0 < sum(mask) < len(mask) for mask in made["loss_masks"])


def test_a_conversation_that_skyrl_gives_up_as_too_long_is_no_error(tokenizer: Any, rows: Any) -> None:
    cfg = settings("generator.step_wise_trajectories=false", "generator.max_input_length=3000")
    _, made = generate(cfg, tokenizer, rows)
    assert set(made["stop_reasons"]) == {"length"}
    assert made["rollout_metrics"]["environment/em"] == 0.0


def test_the_documented_settings_pass_skyrls_own_validation() -> None:
    cfg = config.SkyRLTrainConfig.from_cli_overrides(documented())
    library("skyrl.train.utils.utils").validate_cfg(cfg)
    assert (cfg.environment.env_class, cfg.generator.step_wise_trajectories) == ("atommem", True)
    assert cfg.generator.n_samples_per_prompt == cfg.trainer.train_batch_size == 16


def test_the_classes_are_skyrls_and_can_be_named_to_a_worker() -> None:
    assert issubclass(adapter.ContextResetGenerator, generators.SkyRLGymGenerator)
    assert issubclass(adapter.Experiment, library("skyrl.train.entrypoints.main_base").BasePPOExp)
    assert pickle.loads(pickle.dumps(adapter.Experiment)) is adapter.Experiment


def test_skyrls_entry_point_hands_the_settings_over_to_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    base = library("skyrl.train.entrypoints.main_base")
    started: list[tuple[Any, Any]] = []
    worker = SimpleNamespace(
        remote=lambda **needs: lambda run: SimpleNamespace(remote=lambda cfg: started.append((run, cfg))),
        get=lambda reference: reference,
    )
    monkeypatch.setattr(base, "ray", worker)
    monkeypatch.setattr(base, "initialize_ray", lambda cfg: None)
    override = "trainer.override_entrypoint=atommem_env.integrations.skyrl.trainer"
    monkeypatch.setattr("sys.argv", ["main_base", override, *documented()])
    base.main()
    ((run, cfg),) = started
    assert cfg.generator.step_wise_trajectories
    built: list[Any] = []
    monkeypatch.setattr(adapter, "Experiment", lambda cfg: SimpleNamespace(run=lambda: built.append(cfg)))
    run(cfg)
    assert built == [cfg]
