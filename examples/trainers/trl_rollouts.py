"""TRL: GRPO with the paper's context reset, through ``rollout_func``: each step of an episode is a separate row.

    pip install 'atommem_env[trl]'
    python examples/trainers/trl_rollouts.py

Two steps on a CPU, offline, in under a minute. The data is generated, the model is tiny and random, and its words are
those of a script, of which some rollouts forget a lot: what it prints shows that rewards flow and weights move, and is
no result. For a real run give a model's name to GRPOTrainer, and leave out what is marked below; in trl_chain.py the
model itself writes.
"""

import os
import tempfile

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "OMP_NUM_THREADS": "1"}

from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from atommem_env.integrations.trl.rollouts import episode_return, make_rollout_func, rollout_rows
from scripted_policy import ScriptedPolicy
from tiny_model import make_tiny_model

ROWS = 5  # for each episode, best its number of steps; the paper's tasks of 200 documents take about ten
EPISODES = 4  # in a group; the paper: 16

# Not in a real run: the model is made on the spot, prompts are without the instructions, and scripts write.
model, tokenizer = make_tiny_model()
before = [weight.clone() for weight in model.parameters()]


def write(prompts):
    return [
        ScriptedPolicy(forget=0.9 * (number % 2), seed=number)(messages)
        for number, messages in enumerate(prompts)
    ]


rows = rollout_rows(
    "AtomMem-2WikiMultihopQA-v0",
    range(1, 5),
    source="generated",
    num_docs=4,
    num_questions=1,
    chunk_tokens=250,
    chunk_overlap=20,
)

with tempfile.TemporaryDirectory() as folder:
    trainer = GRPOTrainer(
        model,
        reward_funcs=episode_return,  # logs em, f1, steps, ... too
        processing_class=tokenizer,
        rollout_func=make_rollout_func(ROWS, template="$turn", generate=write),
        train_dataset=Dataset.from_list(list(rows)),
        args=GRPOConfig(
            folder,
            num_generations=EPISODES * ROWS,
            per_device_train_batch_size=EPISODES * ROWS,
            max_completion_length=256,  # of a step, not of the episode
            learning_rate=1e-3,  # the paper: 1e-6, beta=0, epsilon=0.2, epsilon_high=0.28
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

print("generated documents, a tiny random model, a script that writes")
for entry in trainer.state.log_history:
    if "reward" in entry:
        names = ("reward", "reward_std", "loss", "grad_norm", "env/em", "env/num_create", "env/steps")
        print(f"step {entry['step']}:", ", ".join(f"{name} {entry[name]:.3f}" for name in names))
moved = sum(bool((old != new).any()) for old, new in zip(before, model.parameters(), strict=True))
print(f"{moved} of {len(before)} weights moved")
