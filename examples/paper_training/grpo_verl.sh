#!/usr/bin/env bash
# GRPO from the fine-tuned model with verl. Make its data first: python examples/paper_training/tasks_verl.py
# MODEL=FOLDER bash examples/paper_training/grpo_verl.sh [hydra overrides ...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
out=${OUT:-runs/paper}

python -m verl.trainer.main_ppo --config-path "$here" --config-name grpo_verl \
    actor_rollout_ref.model.path="${MODEL:-$out/sft}" \
    actor_rollout_ref.rollout.agent.agent_loop_config_path="$here/../trainers/verl_agent_loop.yaml" \
    data.train_files="$out/verl/train.parquet" data.val_files="$out/verl/validation.parquet" \
    trainer.default_local_dir="$out/grpo_verl" "$@"
