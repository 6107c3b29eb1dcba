"""SkyRL's trainer: the generator that makes a training row of each step, and the entry point that uses it.

Two routes, told apart by SkyRL's setting ``generator.step_wise_trajectories``. Where it is true,
:class:`ContextReset` shows a complete prompt at each step, as in the paper: an episode is one row per step, and
all of them get the advantage of the last. Where it is false, SkyRL's own generator appends every turn to one
conversation. Start training with::

    python -m skyrl.train.entrypoints.main_base trainer.override_entrypoint=atommem_env.integrations.skyrl.trainer ...

Tested with the generator, dataset, advantages and configuration of skyrl 0.4.0 (Python 3.12) on CPU; training itself
was not run. ``ContextResetGenerator`` (a ``SkyRLGymGenerator``) and ``Experiment`` (a ``BasePPOExp``) are made from
the classes below when they are first asked for.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from atommem_env.integrations.skyrl import ENV_CLASS, register
from atommem_env.integrations.text_episode import Message


class ContextReset:
    """What makes ``SkyRLGymGenerator`` show complete prompts: what ``ContextResetGenerator`` adds to it.

    The next prompt takes the place of the conversation, and is not part of the row of the step before.

    Raises:
        ValueError: when ``generator.step_wise_trajectories`` is not set.
    """

    def __init__(self, generator_cfg: Any, *args: Any, **others: Any) -> None:
        if not generator_cfg.step_wise_trajectories:
            raise ValueError(
                "generator.step_wise_trajectories=False: an episode whose context is reset is one row per step; set it "
                "to true, or use SkyRL's own generator, which appends"
            )
        super().__init__(generator_cfg, *args, **others)  # type: ignore[call-arg]

    def _setup_env_extras(
        self, env_class: str, env_extras: Mapping[str, Any], sampling_params: Any, trajectory_id: Any
    ) -> dict[str, Any]:
        if env_class != ENV_CLASS:
            raise ValueError(
                f"env_class={env_class!r}: ContextResetGenerator drops the conversation, so all rows must be of "
                f"{ENV_CLASS!r}; train others with SkyRL's own generator"
            )
        if json.loads(env_extras["env_arguments"]).get("reward_timing") == "immediate":
            raise ValueError(
                "reward_timing='immediate': with step_wise_trajectories SkyRL counts the reward of the last step "
                "alone; make the rows with reward_timing='terminal'"
            )
        return {**env_extras, "prompt_mode": "reset"}

    def _update_chat_history(
        self, chat_history: list[Message], output: str, new_obs: list[Message]
    ) -> list[Message]:
        chat_history[:] = new_obs  # in place: the generator's loop holds on to the list
        return chat_history

    def get_obs_ids_from_obs(self, new_obs: list[Message], is_done: bool) -> list[int]:
        """Return no tokens: the next prompt belongs to the next row."""
        return []


class ResetExperiment:
    """Chooses the generator by ``generator.step_wise_trajectories``: what ``Experiment`` adds to ``BasePPOExp``."""

    def get_generator(self, cfg: Any, tokenizer: Any, inference_engine_client: Any) -> Any:
        """Return a ``ContextResetGenerator`` or, where rows are whole conversations, SkyRL's own."""
        if not cfg.generator.step_wise_trajectories:
            return super().get_generator(cfg, tokenizer, inference_engine_client)  # type: ignore[misc]
        servers = _trainer_module("skyrl.backends.skyrl_train.inference_servers.utils")
        return __getattr__("ContextResetGenerator")(
            generator_cfg=cfg.generator,
            skyrl_gym_cfg=cfg.environment.skyrl_gym,
            inference_engine_client=inference_engine_client,
            tokenizer=tokenizer,
            policy_model_name=servers.resolve_policy_model_name(cfg),
        )


def main() -> None:
    """Train by the settings of the command line: the target of SkyRL's ``trainer.override_entrypoint``."""
    base = _trainer_module("skyrl.train.entrypoints.main_base")
    settings = [text for text in sys.argv[1:] if not text.startswith("trainer.override_entrypoint=")]
    cfg = base.SkyRLTrainConfig.from_cli_overrides(settings)
    base.validate_cfg(cfg)
    base.initialize_ray(cfg)
    base.ray.get(base.ray.remote(num_cpus=1)(_train).remote(cfg))


def _train(cfg: Any) -> None:
    register()
    __getattr__("Experiment")(cfg).run()


def _trainer_module(name: str) -> ModuleType:
    if importlib.util.find_spec("skyrl") is None:
        raise ImportError(
            f"{name} belongs to SkyRL's trainer, which the extra atommem_env[skyrl] does not bring: "
            "pip install 'skyrl[fsdp]' (Python 3.12 or newer)"
        )
    return importlib.import_module(name)


_MADE: Final = {
    "ContextResetGenerator": (
        ContextReset,
        "skyrl.train.generators.skyrl_gym_generator",
        "SkyRLGymGenerator",
    ),
    "Experiment": (ResetExperiment, "skyrl.train.entrypoints.main_base", "BasePPOExp"),
}
"""The classes over SkyRL's: what they add, and the module and the name of what they add it to."""


def __getattr__(name: str) -> Any:
    if name not in _MADE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in globals():
        added, module, base = _MADE[name]
        bases = (added, getattr(_trainer_module(module), base))
        globals()[name] = type(name, bases, {"__module__": __name__, "__doc__": added.__doc__})
    return globals()[name]
