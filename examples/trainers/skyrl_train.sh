#!/bin/sh
# A training with SkyRL by the paper's settings, with BM25 in the place of its encoder. It needs `pip install 'skyrl[fsdp]'`,
# eight GPUs, and the rows of docs/trainers.md. Usage: sh examples/trainers/skyrl_train.sh
python -m skyrl.train.entrypoints.main_base \
    trainer.override_entrypoint=atommem_env.integrations.skyrl.trainer \
    data.train_data="['train.parquet']" data.val_data="['validation.parquet']" \
    environment.env_class=atommem \
    generator.step_wise_trajectories=true \
    generator.n_samples_per_prompt=16 \
    generator.max_turns=200 \
    generator.max_input_length=16384 \
    generator.sampling_params.temperature=1.0 \
    generator.sampling_params.max_generate_length=4096 \
    generator.inference_engine.num_engines=8 \
    trainer.policy.model.path=Qwen/Qwen3-8B \
    trainer.policy.optimizer_config.lr=1e-6 \
    trainer.placement.policy_num_gpus_per_node=8 \
    trainer.max_prompt_length=16384 \
    trainer.train_batch_size=16 \
    trainer.policy_mini_batch_size=16 \
    trainer.algorithm.advantage_estimator=grpo \
    trainer.algorithm.grpo_norm_by_std=false \
    trainer.algorithm.eps_clip_low=0.2 \
    trainer.algorithm.eps_clip_high=0.28 \
    trainer.algorithm.use_kl_loss=false \
    trainer.algorithm.use_entropy_loss=false \
    trainer.logger=console
