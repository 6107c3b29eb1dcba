"""Train a policy that learns what to remember: a supervised start, then reinforcement learning (MaskablePPO).

    pip install 'atommem_env[sb3]'
    python examples/learned_memory/train.py --quick --out runs/quick         # under three minutes, two cores
    python examples/learned_memory/train.py --out runs/world                 # under half an hour
    python examples/learned_memory/train.py --out runs/mine \\
        --data hotpotqa=hotpot_train_v1.1.json --data musique=musique_ans_v1.0_train.jsonl
    python examples/learned_memory/train.py --out runs/blind --blind         # with the questions unseen
    python examples/learned_memory/train.py --resume runs/mine               # go on where it stopped

A network says what a text is worth for a question (atommem_env.discrete). The supervised start fits it to what an
oracle knows, whether the text holds the question's evidence, in the states that the policy itself gets into.
MaskablePPO then improves the choices; its reward is the change, with each choice, in the share of the evidence that
would be read. Nothing of either is in an observation.

With --blind no question is shown while reading: it learns from generated chats and the world with revisions what is
worth keeping for whoever asks later.

A fifth of the questions, by the hash of their ids, is held out; of chats, those of another split. The checkpoint
that reads the most of *their* evidence, taking the best action each time, is kept as best.npz. The folder:

    config.json       the arguments, versions and data
    progress.jsonl    what was measured: one object for each round
    start.npz         the policy after the supervised start
    best.npz          the best by evidence read on held-out questions: `--policy-arg learned.checkpoint=...`
    final.npz         the last
    checkpoints/      what --resume goes on from: weights, optimizer, counters
    tb/               for `tensorboard --logdir`

A round of reinforcement learning begins with fresh episodes and its own seed, so that a training that was
stopped between rounds and resumed comes to the same bytes as one that was not. Ctrl-C saves a checkpoint at once.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import sb3_contrib
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

import atommem_env
from atommem_env import DiscreteOperations
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.data.world.chat import ChatConfig
from atommem_env.discrete.network import Network
from atommem_env.discrete.training import lessons, operations_per_step, scores, split
from atommem_env.envs.chat import CHAT
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.musique import MUSIQUE
from atommem_env.envs.wiki2 import WIKI2
from atommem_env.envs.world import WORLD
from atommem_env.integrations.sb3 import SlotPolicy, load_network, to_network

BENCHMARKS = {
    "hotpotqa": (HOTPOTQA, "AtomMem-HotpotQA-v0"),
    "2wikimultihopqa": (WIKI2, "AtomMem-2WikiMultihopQA-v0"),
    "musique": (MUSIQUE, "AtomMem-MuSiQue-v0"),
    "world": (WORLD, "AtomMem-World-v0"),
    "world-revisions": (WORLD, "AtomMem-World-v0"),
}

CHATS = {  # generated conversations, for --blind; all of a history's questions are asked
    "chat": {},
    "chat-long": {"sessions": 40, "noise": 0.7, "revisions": 0.6},
}

QUERIES = ("question", "bridge")  # a look with the question, then one with the names that lead on

# --- the arguments --------------------------------------------------------------------------------------


def arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "--data",
        action="append",
        metavar="NAME[=FILE]",
        help=f"what to train on, as often as you like: {', '.join(BENCHMARKS)}; without FILE, the generated world "
        "in its schema; without --data, all of these, generated",
    )
    add(
        "--blind",
        action="store_true",
        help=f"questions are shown when asked, after reading; --data may be {', '.join(CHATS)}, too",
    )
    add("--split", default="train", help="which split of it")
    add("--questions", type=int, nargs="+", default=[1, 4, 10], help="the numbers of questions of the tasks")
    add("--docs", type=int, default=200, help="documents of a task")
    add("--capacity", type=int, default=20, help="the most entries")
    add("--world-seed", type=int, default=1, help="which generated world")
    add("--world-size", type=int, default=1000, help="questions of each generated source")
    add("--start", metavar="FILE.npz", help="begin with the weights of this checkpoint")
    add("--warm-start", action=argparse.BooleanOptionalAction, default=True, help="the supervised start")
    add("--warm-episodes", type=int, default=360, help="episodes of the supervised start")
    add("--rl", action=argparse.BooleanOptionalAction, default=True, help="reinforcement learning")
    add("--decisions", type=int, default=300_000, help="choices of reinforcement learning")
    add("--reward", choices=["evidence", "read"], default="read", help="evidence held, or that would be read")
    add("--scratchpad", action="store_true", help="the engine also sums up each chunk in the scratchpad")
    add("--no-storage", action="store_true", help="an ablation: the scratchpad alone, no entries")
    add("--seed", type=int, default=0, help="of all that is drawn")
    add("--processes", action="store_true", help="a process for each environment, for more than two cores")
    add("--held-out-tasks", type=int, default=8, help="of each source and number of questions, each round")
    add("--patience", type=int, default=0, help="stop after so many rounds without a new best; 0: never")
    add("--quick", action="store_true", help="a small training, to see that everything works")
    add("--out", type=Path, default=Path("runs/learned"), help="the folder to write")
    add("--resume", type=Path, metavar="OUT", help="go on with this folder's training, with its arguments")
    ppo = parser.add_argument_group("MaskablePPO").add_argument
    ppo("--round", type=int, default=36_000, help="choices from one evaluation to the next")
    ppo("--steps", type=int, default=4500, help="choices from one update to the next")
    ppo("--batch", type=int, default=512, help="choices of a gradient step")
    ppo("--epochs", type=int, default=4, help="passes over the choices of an update")
    ppo("--learning-rate", type=float, default=5e-4, help="at first; it falls to a tenth")
    ppo("--gamma", type=float, default=0.99, help="discount")
    ppo("--gae-lambda", type=float, default=0.9, help="of the advantages")
    ppo("--clip", type=float, default=0.2, help="clip range")
    ppo("--target-kl", type=float, default=0.03, help="an update that goes further ends early")
    ppo("--sharpen", type=float, default=2.0, help="scales the first scores: the higher, the less is tried")
    args = parser.parse_args(argv)
    if args.resume:
        told = json.loads((args.resume / "config.json").read_bytes())["arguments"]
        args = argparse.Namespace(**{**told, "out": args.resume, "resume": True})
    elif args.quick:
        args.questions, args.docs, args.world_size = [1, 4], 60, 200
        args.warm_episodes, args.decisions, args.round, args.steps = 60, 8000, 4000, 1000
        args.held_out_tasks = 3
    args.data = args.data or ([*CHATS, "world-revisions"] if args.blind else list(BENCHMARKS))
    if args.blind and not args.resume:
        args.questions = [max(args.questions)]
    return args


# --- the data and the environments ----------------------------------------------------------------------


def open_parts(args):
    """Return, by name, the environment's id, the part to train on and the part that is held out."""
    parts = {}
    for item in args.data:
        name, _, file = item.partition("=")
        if name in CHATS and args.blind:
            parts[name] = ("AtomMem-Chat-v0", *open_chats(args, CHATS[name]))
            continue
        if name not in BENCHMARKS:
            raise SystemExit(
                f"--data {item}: expected NAME or NAME=FILE, NAME one of {', '.join(BENCHMARKS)}"
            )
        benchmark, id = BENCHMARKS[name]
        revisions = 0.5 if name == "world-revisions" else 0.0
        world = WorldConfig(seed=args.world_seed, size=args.world_size, revisions=revisions)
        parts[name] = (id, *split(open_dataset(benchmark, file or "generated", args.split, world)))
    return parts


def open_chats(args, settings):
    """Return generated chats to train on, a tenth of a split's, and others of another world."""
    sizes = {"train": args.world_size, "validation": max(args.world_size // 4, 20)}
    return [
        open_dataset(CHAT, "generated", split, ChatConfig(seed=args.world_seed, size=size, **settings))
        for split, size in sizes.items()
    ]


def make_env(args, id, dataset, questions):
    scratchpad = args.scratchpad or args.no_storage
    pooled = {"num_docs": args.docs, "num_questions": questions}
    shown = {"questions_shown": "when_asked", "isolate_questions": True} if args.blind else {}
    env = gym.make(
        id,
        source=dataset,
        **({} if questions is None else pooled),
        **shown,
        capacity=args.capacity,
        entry_tokens=256,
        scratchpad_tokens=256,
        scratchpad=scratchpad,
        storage=not args.no_storage,
    )
    engine = get_engine("rules")
    return DiscreteOperations(
        env,
        max_questions=max(args.questions),
        queries=QUERIES,
        answer=engine.answer,
        compress=engine.compress if scratchpad else None,
        reward=args.reward,
    )


# --- the supervised start -------------------------------------------------------------------------------


def warm_start(trainer, rounds=6):
    """Fit what a text is worth to whether it holds evidence, in the states that the policy itself gets into."""
    args, policy = trainer.args, trainer.model.policy
    rng = np.random.default_rng(args.seed)
    network = policy.features_extractor
    optimizer = torch.optim.Adam(network.text.parameters(), weight_decay=1e-5)
    known = []
    for number in range(rounds):
        choose = to_network(policy, {"blind": args.blind}).choose
        for _ in range(max(1, args.warm_episodes // rounds // len(trainer.fit))):
            for env in trainer.fit:
                for lesson in lessons(env, choose, int(rng.integers(64 * env.get_wrapper_attr("num_tasks")))):
                    trainer.decisions += 1
                    if lesson.serves[0].any() or rng.random() < (
                        0.4 if args.blind else 0.12
                    ):  # most hold nothing
                        known.append(lesson.halved())
                trainer.episodes += 1
        first = 1e-3 if number == rounds - 1 else 3e-3
        losses = [
            fit(network, optimizer, known, rng.permutation(len(known)), rate)
            for rate in np.geomspace(first, 0.3 * first, 4)
        ]
        if number in (0, rounds - 1):
            trainer.measure("warm-start", loss=losses[-1])
    trainer.network("warm-start").save(args.out / "start.npz")


def fit(network, optimizer, known, order, rate):
    """Go through the lessons once; return the mean loss."""
    optimizer.param_groups[0]["lr"] = rate
    losses = []
    for start in range(0, len(order), 64):
        part = [known[number] for number in order[start : start + 64]]
        view = {key: stack(lesson.view[key] for lesson in part) for key in part[0].view}
        serves, there = stack(lesson.serves for lesson in part), stack(lesson.there for lesson in part)
        each = network.each(view)
        asked = there[:, :, None] * view["questions"][:, None]
        by_question = binary_cross_entropy_with_logits(each, serves, asked, reduction="sum") / asked.sum()
        worth = torch.logsumexp(each, 2).clamp(min=-50)
        by_text = (
            binary_cross_entropy_with_logits(worth, serves.amax(2), there, reduction="sum") / there.sum()
        )
        loss = 2 * by_question + by_text
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def stack(arrays):
    return torch.from_numpy(np.stack(list(arrays)).astype(np.float32))


def sharpen(policy, factor):
    """Scale the scores, so that a policy that draws its choices draws fewer of those that it holds to be worse."""
    network = policy.features_extractor
    with torch.no_grad():
        for layer in (network.text[2], network.bias):
            for values in layer.parameters():
                values.mul_(factor)


# --- reinforcement learning -----------------------------------------------------------------------------


class Watch(BaseCallback):
    """Moves the progress bar, and notes the result of each episode."""

    def __init__(self, bar):
        super().__init__()
        self.bar, self.rewards, self.operations = bar, [], []

    def _on_training_start(self):
        self.sums = np.zeros(self.training_env.num_envs)

    def _on_step(self):
        self.bar.update(self.training_env.num_envs)
        self.sums += self.locals["rewards"]
        for number in np.flatnonzero(self.locals["dones"]):
            self.rewards.append(float(self.sums[number]))
            self.operations.append(operations_per_step(self.locals["infos"][number]["metrics"]))
            self.sums[number] = 0
        return True

    def summary(self):
        if not self.rewards:
            return None
        mean = {kind: float(np.mean([one[kind] for one in self.operations])) for kind in self.operations[0]}
        return {"reward": float(np.mean(self.rewards)), "operations_per_step": mean}


def reinforce(trainer):
    """Improve the choices, round by round."""
    args, model = trainer.args, trainer.model
    with tqdm(total=args.decisions, initial=model.num_timesteps, unit=" decisions", mininterval=1) as bar:
        while model.num_timesteps < args.decisions and not 0 < args.patience <= trainer.since_best:
            seed = args.seed * 1_000_003 + model.num_timesteps
            set_random_seed(seed)
            model.env.seed(seed)
            model._last_obs = None  # fresh episodes
            rate = args.learning_rate * max(0.1, 1 - model.num_timesteps / args.decisions)
            model.lr_schedule = lambda _, rate=rate: rate
            watch, before = Watch(bar), model.num_timesteps
            size = min(args.round, args.decisions - before)
            model.learn(size, watch, reset_num_timesteps=False)
            trainer.decisions += model.num_timesteps - before
            trainer.episodes += len(watch.rewards)
            trainer.measure("rl", watch.summary())
            trainer.save()


# --- what both share ------------------------------------------------------------------------------------


class Trainer:
    """The policy, the environments, and what has been measured.

    Attributes:
        counters: what a checkpoint holds besides the model, each an attribute, too.
    """

    counters = ("decisions", "episodes", "records", "since_best", "best", "seconds")

    def __init__(self, args):
        self.args = args
        self.decisions = self.episodes = self.records = self.since_best = 0
        self.best, self.seconds = -1.0, 0.0
        self.parts = open_parts(args)
        asked = {name: [None] if name in CHATS else args.questions for name in self.parts}
        specs = [(id, part, number) for name, (id, part, _) in self.parts.items() for number in asked[name]]
        self.fit = [make_env(args, *spec) for spec in specs]
        self.held_out = {
            name: {number: make_env(args, id, part, number) for number in asked[name]}
            for name, (id, _, part) in self.parts.items()
        }
        makers = [lambda spec=spec: make_env(args, *spec) for spec in specs]
        self.model = MaskablePPO(
            SlotPolicy,
            SubprocVecEnv(makers) if args.processes else DummyVecEnv(makers),
            policy_kwargs={"trim": not args.blind},
            n_steps=max(1, args.steps // len(makers)),
            batch_size=args.batch,
            n_epochs=args.epochs,
            learning_rate=args.learning_rate,
            gamma=args.gamma,
            gae_lambda=args.gae_lambda,
            clip_range=args.clip,
            target_kl=args.target_kl,
            seed=args.seed,
            device="cpu",
        )
        self.model.set_logger(configure(str(args.out / "tb"), ["tensorboard"]))
        self.label = "no storage" if args.no_storage else "full" if args.scratchpad else "no scratchpad"
        self.began = time.monotonic()

    def network(self, phase):
        """Return the policy as a network that needs no torch, which tells where it comes from."""
        about = {
            "trained_on": [part.source for _, part, _ in self.parts.values()],
            "questions": self.args.questions,
            "blind": self.args.blind,
            "seed": self.args.seed,
            "phase": phase,
            "decisions": self.decisions,
            "queries": list(QUERIES),
            "scratchpad": self.args.scratchpad or self.args.no_storage,
            "version": atommem_env.__version__,
        }
        return to_network(self.model.policy, about)

    def measure(self, phase, train=None, **logged):
        """Score the policy on held-out questions, note that, and keep the policy if it is the best."""
        network, held_out = self.network(phase), {}
        for name, envs in self.held_out.items():
            found = {
                number: scores(env, network.choose, self.args.held_out_tasks) for number, env in envs.items()
            }
            mean = {
                key: float(np.mean([one[key] for one in found.values()]))
                for key in ("kept", "read", "em", "return")
            }
            tasks = sum(one["tasks"] for one in found.values())
            held_out[name] = {**mean, "tasks": tasks, "by_questions": found}
        record = {
            "phase": phase,
            "decisions": self.decisions,
            "episodes": self.episodes,
            "seconds": round(self.seconds + time.monotonic() - self.began, 1),
            "label": self.label,
            "seed": self.args.seed,
            "train": train,
            "held_out": held_out,
        }
        self.records += 1
        with open(self.args.out / "progress.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        read = float(np.mean([one["read"] for one in held_out.values()]))
        self.since_best += 1
        if read > self.best:
            self.best, self.since_best = read, 0
            network.save(self.args.out / "best.npz")
        network.save(self.args.out / "final.npz")
        logger = self.model.logger
        for key, value in {**logged, **({"reward": train["reward"]} if train else {})}.items():
            logger.record(f"{phase}/{key}", value)
        for name, one in held_out.items():
            for key in ("kept", "read", "em"):
                logger.record(f"{phase} {key}/{name}", one[key])
        logger.dump(self.decisions)
        told = ", ".join(f"{name} {one['kept']:.3f} {one['read']:.3f}" for name, one in held_out.items())
        tqdm.write(f"{phase} {self.decisions}: held-out kept and read: {told}; mean read {read:.4f}")

    def save(self):
        """Write what --resume goes on from."""
        path = self.args.out / "checkpoints" / f"step_{self.model.num_timesteps:09}"
        told = {name: getattr(self, name) for name in self.counters}
        told["seconds"] += time.monotonic() - self.began
        path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")
        self.model.save(path)

    def load(self):
        """Go back to the latest checkpoint; return whether there is one."""
        latest = max((self.args.out / "checkpoints").glob("step_*.zip"), default=None)
        if latest is None:
            return False
        told = json.loads(latest.with_suffix(".json").read_bytes())
        for name in self.counters:
            setattr(self, name, told[name])
        self.model.set_parameters(latest, device="cpu")
        self.model.num_timesteps = int(latest.stem.removeprefix("step_"))
        progress = self.args.out / "progress.jsonl"
        lines = progress.read_text(encoding="utf-8").splitlines(keepends=True)
        progress.write_text("".join(lines[: self.records]), encoding="utf-8")
        return True


def main():
    args = arguments()
    torch.set_num_threads(1)
    set_random_seed(args.seed)
    (args.out / "checkpoints").mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args)
    if not (args.resume and trainer.load()):
        config = {
            "arguments": {**vars(args), "out": str(args.out)},
            "label": trainer.label,
            "sources": {
                name: {"fit": fit.source, "held_out": held_out.source}
                for name, (_, fit, held_out) in trainer.parts.items()
            },
            "versions": {
                "atommem_env": atommem_env.__version__,
                "sb3_contrib": sb3_contrib.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        (args.out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (args.out / "progress.jsonl").write_text("", encoding="utf-8")
        if args.start:
            load_network(trainer.model.policy, Network.load(args.start))
        if args.warm_start:
            warm_start(trainer)
        else:
            trainer.measure("rl")
        if args.warm_start or args.start:
            sharpen(trainer.model.policy, args.sharpen)
        trainer.save()
    if args.rl:
        try:
            reinforce(trainer)
        except KeyboardInterrupt:
            trainer.save()
            raise SystemExit(f"stopped; go on with --resume {args.out}") from None


if __name__ == "__main__":
    main()
