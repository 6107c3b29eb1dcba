"""TRL: GRPO on the three benchmarks at once, with the environment as tools.

    pip install 'atommem_env[trl]'
    python examples/trainers/trl_tools.py

Two steps on a CPU, offline, in about a minute. The data is generated, the model is tiny and random, and its words are
those of a script, so that there is something to learn from: what it prints shows that rewards flow and weights move,
and is not a result. For a real run give a model's name to GRPOTrainer, and leave out what is marked below.
"""

import os
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", TRL_EXPERIMENTAL_SILENCE="1", OMP_NUM_THREADS="1")

from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from atommem_env.integrations.text_episode import BENCHMARKS
from atommem_env.integrations.trl.tools import log_scores, make_environment_factory, tool_rows
from scripted_model import scripted_generate
from scripted_policy import ScriptedPolicy
from tiny_model import make_tiny_model

disable_progress_bars()

# One environment for each benchmark; its name is a row's `environment`, and the name of its rewards.
factories = make_environment_factory(
    BENCHMARKS, source="generated", num_docs=4, num_questions=1, chunk_tokens=250, chunk_overlap=20
)
rows = Dataset.from_list(tool_rows(range(2), factories))

# Not in a real run: the model is made on the spot, and two scripts, of which one forgets a lot, write for it.
model, tokenizer = make_tiny_model()
model.generate = scripted_generate(tokenizer, [ScriptedPolicy("json", forget=share) for share in (0.0, 0.8)])
before = [weight.clone() for weight in model.parameters()]

with tempfile.TemporaryDirectory() as folder:
    trainer = GRPOTrainer(
        model,
        reward_funcs=[log_scores],  # logs em, f1, steps, ...; the reward is the environment's own
        processing_class=tokenizer,
        train_dataset=rows,
        environment_factory=factories,
        args=GRPOConfig(
            folder,
            num_generations=2,  # the paper: 16; the rollouts of a group share their task
            per_device_train_batch_size=6,
            shuffle_dataset=False,  # so that each step has a group of each benchmark
            max_completion_length=4096,  # bounds the whole conversation, with all the chunks in it
            learning_rate=1e-3,  # the paper: 1e-6, scale_rewards="none", beta=0, epsilon=0.2, epsilon_high=0.28
            scale_rewards="none",
            max_steps=2,
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()

print("\nData: generated. Model: tiny, random weights. Its words: a script's.")
for step, log in enumerate(trainer.state.log_history[:2], 1):
    rewards = ", ".join(f"{name} {log[f'rewards/{name}/mean']:.2f}" for name in factories)
    print(f"step {step}: reward {log['reward']:.2f} ({rewards}), loss {log['loss']:.3f}")
moved = any((old != new).any() for old, new in zip(before, model.parameters(), strict=True))
print(f"weights moved: {moved}")
