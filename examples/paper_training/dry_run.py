"""Everything of the recipe up to the first call of a model: ``python examples/paper_training/dry_run.py``.

A line for each check: OK, SKIPPED with what is missing on this machine, or FAILED; the exit status is 1 when one
failed. The scripts, files and programs of this folder are the very ones that a training uses, with real-size tasks. In
the model's place, and in the encoder's, is a local server with a scripted policy and made-up vectors; where a trainer
wants its own model, a tiny random one, and nothing is generated with it. So no score here means anything.

``--source FOLDER`` takes the official files instead of generated data.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml
from task import FOLDER, read_task

sys.path.insert(0, str(FOLDER.parent / "trainers"))  # the scripted policy and the tiny model are there

from atommem_env import Create, Read, Update
from atommem_env.core.operations import Operation
from atommem_env.integrations.text_episode import Message, TextEpisode
from atommem_env.text import Tokenizer, make_tokenizer, tokens
from scripted_policy import ScriptedPolicy

CONTEXT: Final = 32768
"""The longest sequence of Qwen3-8B, in tokens, without a change of its position encoding."""

MARGIN: Final = 1.15
"""How many tokens of Qwen3 there are at most for one of the package's own counter; in prompts, 1.13 was seen."""

TEMPLATE_TOKENS: Final = 8
"""What the chat template adds to a message."""

FORGET: Final = 0.5
"""The share of documents that the scripted policy does not store, so that its replies are as short as a model's."""


class SkippedError(Exception):
    """A check cannot be made on this machine."""


# --- what stands in for models ------------------------------------------------------------------------


class StubServer(ThreadingHTTPServer):
    """Answers chats as a scripted policy does, and embeddings with counts of hashed words."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.policies = {name: ScriptedPolicy(name, FORGET) for name in ("atommem", "released")}

    def answer(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the body of the answer to ``request``."""
        if path.endswith("/embeddings"):
            rows = [{"index": i, "embedding": _vector(text)} for i, text in enumerate(request["input"])]
            return {"object": "list", "model": request["model"], "data": rows, "usage": {}}
        messages = request["messages"]
        protocol = "released" if "<add_memory>" in messages[0]["content"] else "atommem"
        message = {"role": "assistant", "content": self.policies[protocol](messages)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "0", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice]}


class _Handler(BaseHTTPRequestHandler):
    server: StubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps(self.server.answer(self.path, request)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[StubServer]:
    """Serve while the context lasts."""
    with StubServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _vector(text: str, width: int = 256) -> list[float]:
    vector = [0.0] * width
    for token in tokens(text):
        vector[zlib.crc32(token.encode()) % width] += 1.0
    return vector


# --- the checks ---------------------------------------------------------------------------------------


class DryRun:
    """The checks, in their order; each returns what it found.

    Args:
        source: where the data comes from.
        work: a folder for what is written.
        url: where the stub server is.
    """

    def __init__(self, source: str, work: Path, url: str) -> None:
        self.source, self.work, self.url = source, work, url
        self.changes: list[str] = []  # of the task, for what this machine lacks

    @property
    def checks(self) -> list[tuple[str, Callable[[], str]]]:
        """Each check with its name."""
        return [
            ("tokenizer", self.tokenizer_at_hand),
            ("encoder", self.encoder_endpoint),
            ("expert.sh", self.expert),
            ("SFT rows", self.sft_rows),
            ("sft_trl.yaml", self.sft_config),
            ("tasks_verl.py", self.verl_tasks),
            ("prompts", self.prompts),
            ("grpo_verl.sh", self.verl_config),
            ("verl's agent loop", self.verl_loop),
            ("grpo_trl.yaml", self.trl_config),
            ("TRL's rollouts", self.trl_rollouts),
            ("evaluate.sh", self.evaluation),
            ("released.sh", self.released),
        ]

    def tokenizer_at_hand(self) -> str:
        """The model's tokenizer, by which chunks and contents are measured."""
        name = read_task()[1]["tokenizer"]
        try:
            make_tokenizer(name)
        except (ImportError, ValueError) as error:
            self.changes.append("tokenizer=null")
            raise SkippedError(
                f"{name} is not on this machine: the package's counter stands in, with a margin of {MARGIN - 1:.0%}"
            ) from error
        return name

    def encoder_endpoint(self) -> str:
        """The route to the encoder: its module and an embeddings endpoint."""
        from atommem_env.retrieval import make_encoder

        vectors = make_encoder(read_task()[1]["encoder"]).encode(["Where?"], "query")
        return f"dense retrieval by {os.environ['EMBEDDINGS_URL']} (made-up vectors, {vectors.shape[1]} wide)"

    def expert(self) -> str:
        """Traces and their export, one real-size task of each benchmark."""
        self._script("expert.sh", EPISODES="1", MIN_SCORE="0")
        return f"{self._count('expert')} episodes run and exported (scripted: any score counts)"

    def sft_rows(self) -> str:
        """The exported rows, as datasets reads them, and their length."""
        from sft_trl import read_rows

        limit = _yaml("sft_trl.yaml")["max_length"]
        rows = read_rows(str(self.work / "sft.parquet"))
        longest = max(self._length(row["prompt"] + row["completion"]) for row in rows)
        if longest > limit:
            raise ValueError(f"a row has {longest} tokens, and max_length is {limit}")
        return (
            f"{len(rows)} rows of {', '.join(rows.column_names)}; the longest has {longest} tokens of {limit}"
        )

    def sft_config(self) -> str:
        """The configuration of fine-tuning, by TRL's own classes."""
        self._needs("trl")
        from sft_trl import read_options

        _, config, model = read_options(["--config", str(FOLDER / "sft_trl.yaml"), *_ON_CPU])
        return (
            f"SFTConfig for {model.model_name_or_path}: lr {config.learning_rate}, {config.max_length} tokens"
        )

    def verl_tasks(self) -> str:
        """The tasks of a training with verl, exported and read back."""
        options = [
            "--source",
            self.source,
            "--out",
            str(self.work / "verl"),
            "--train",
            "2",
            "--validation",
            "1",
        ]
        _run([sys.executable, str(FOLDER / "tasks_verl.py"), *options, *self.changes])
        path = str(self.work / "verl" / "train.parquet")
        if not _installed("verl"):
            from datasets import load_dataset

            rows = load_dataset("parquet", data_files=path, split="train")
            return f"{len(rows)} rows, read by datasets; verl is not installed"
        from omegaconf import OmegaConf
        from verl.utils.dataset.rl_dataset import RLHFDataset

        config = OmegaConf.create({**_yaml("grpo_verl.yaml")["data"], "filter_overlong_prompts": False})
        rows = RLHFDataset(path, self._tiny[1], config)
        return f"{len(rows)} rows, read by RLHFDataset; the first is {rows[0]['extra_info']['task_id']}"

    def prompts(self) -> str:
        """The prompts of real-size tasks of 10 questions, against the limits."""
        limit = _yaml("grpo_verl.yaml")["data"]["max_prompt_length"]
        reply = _yaml("grpo_verl.yaml")["data"]["max_response_length"]
        if limit + reply > CONTEXT:
            raise ValueError(f"prompt and reply have up to {limit + reply} tokens, the model {CONTEXT}")
        envs, arguments = read_task(self.changes)
        count = 0
        longest = dict.fromkeys(("scripted", "hoarding"), 0)
        policies = {"scripted": ScriptedPolicy(forget=FORGET), "hoarding": self._hoard(arguments)}
        for env in envs:
            options = {**arguments, "num_questions": 10, "source": self.source, "split": "train"}
            with contextlib.closing(TextEpisode(env, **options)) as episode:
                for name, policy in policies.items():
                    turns = episode.play(policy, task_index=0).turns
                    count += len(turns)
                    longest[name] = max(longest[name], *(self._length(turn.messages) for turn in turns))
        if max(longest.values()) > limit:
            raise ValueError(f"a prompt has {max(longest.values())} tokens, and max_prompt_length is {limit}")
        return (
            f"{count} of {arguments['num_docs']} documents and 10 questions; at most {longest['scripted']} tokens, "
            f"with memory and search results full {longest['hoarding']}, of {limit}"
        )

    def verl_config(self) -> str:
        """The configuration that the launch script makes, by verl's own classes and its own validation."""
        config = self._verl
        from verl.trainer.ppo.utils import need_critic, need_reference_policy
        from verl.utils.config import omega_conf_to_dataclass, validate_config

        validate_config(config, need_reference_policy(config), need_critic(config))
        parts = ("actor", "rollout", "model")
        actor, rollout, _ = (omega_conf_to_dataclass(config.actor_rollout_ref[part]) for part in parts)
        algorithm = omega_conf_to_dataclass(config.algorithm)
        return (
            f"{algorithm.adv_estimator}, batch {config.data.train_batch_size}, group {rollout.n}, lr {actor.optim.lr}, "
            f"clip {actor.clip_ratio_low}/{actor.clip_ratio_high}; validate_config passed"
        )

    def verl_loop(self) -> str:
        """An episode through the agent loop that the configuration names."""
        config = self._verl
        from hydra.utils import instantiate
        from omegaconf import OmegaConf
        from verl.experimental.agent_loop.agent_loop import DictConfigWrap
        from verl.utils.dataset.rl_dataset import RLHFDataset

        tokenizer = self._tiny[1]
        dataset = RLHFDataset(str(config.data.train_files), tokenizer, config.data)
        agent = OmegaConf.load(config.actor_rollout_ref.rollout.agent.agent_loop_config_path)[0]
        row = dataset[0]
        if not agent.name == config.actor_rollout_ref.rollout.agent.default_agent_loop == row["agent_name"]:
            raise ValueError(f"the agent loop is {agent.name!r}, the row's {row['agent_name']!r}")

        async def play() -> list[Any]:
            loop = instantiate(
                agent,
                trainer_config=DictConfigWrap(config),
                server_manager=_StubManager(tokenizer),
                tokenizer=tokenizer,
                processor=None,
                dataset_cls=RLHFDataset,
                data_config=DictConfigWrap(config.data),
            )
            outputs: list[Any] = await loop.run({"temperature": 1.0}, **row)
            return outputs

        outputs = asyncio.run(play())
        return f"{len(outputs)} rows of one episode, reward {outputs[-1].reward_score} on the last"

    def trl_config(self) -> str:
        """The configuration of GRPO, by TRL's own classes."""
        config = self._trl[1]
        return (
            f"GRPOConfig: {config.generation_batch_size} rows a batch, {config.num_generations} a task, lr "
            f"{config.learning_rate}, clip {config.epsilon}/{config.epsilon_high}, scale_rewards {config.scale_rewards}"
        )

    def trl_rollouts(self) -> str:
        """Two episodes of one task through the trainer's rollout function."""
        from grpo_trl import make_trainer

        tasks, config, _ = self._trl
        config.use_vllm = False
        policy = ScriptedPolicy(forget=FORGET)

        def generate(prompts: list[list[Message]]) -> list[str]:
            return [policy(prompt) for prompt in prompts]

        trainer = make_trainer(tasks, config, self._tiny[0], generate)
        trainer.model.train()
        rows = trainer.rollout_func(
            [trainer.train_dataset[0]["prompt"]] * 2 * tasks.rows_per_episode, trainer
        )
        trained = sum(any(mask) for mask in rows["env_mask"])
        reward = rows["env_reward"][0]
        return f"{len(rows['prompt_ids'])} rows of 2 episodes, {trained} of them trained on, reward {reward} on each"

    def evaluation(self) -> str:
        """A trained model's evaluation, one task of each benchmark and size."""
        self._script("evaluate.sh", EPISODES="1")
        return f"{self._count('evaluation-200')} episodes of 200 documents, {self._count('evaluation-800')} of 800"

    def released(self) -> str:
        """The released agent's evaluation, one task of each benchmark and size."""
        self._script("released.sh", EPISODES="1")
        return (
            f"{self._count('released-200')} episodes of 200 documents, {self._count('released-800')} of 800"
        )

    # what they share

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return make_tokenizer(read_task(self.changes)[1].get("tokenizer"))

    def _length(self, messages: Sequence[Message]) -> int:
        """Return the tokens of ``messages``, with the margin where another counter stands in."""
        count = sum(self._tokenizer.count(message["content"]) + TEMPLATE_TOKENS for message in messages)
        return round(count * MARGIN) if "tokenizer=null" in self.changes else count

    def _hoard(self, arguments: dict[str, Any]) -> Callable[[list[Message]], str]:
        """Return a policy that fills its scratchpad, and stores and shows entries of the longest size."""
        scripted = ScriptedPolicy()

        def cut(text: str, length: int) -> str:
            starts = self._tokenizer.starts(text)
            return text[: starts[length]] if len(starts) > length else text

        def policy(messages: list[Message]) -> str:
            operations: list[Operation] = scripted.operations(messages)
            stored = "\n".join(operation.content for operation in operations if isinstance(operation, Create))
            if stored:
                size = arguments["entry_tokens"] - 8
                pieces = [cut(stored, size), cut(stored[len(stored) // 2 :], size)]
                pad = Update(0, cut(stored, arguments["scratchpad_tokens"] - 8))
                operations = [pad, *map(Create, pieces), Read(stored.partition("\n")[0])]
            return scripted.protocol.render_operations(operations)

        return policy

    @cached_property
    def _tiny(self) -> tuple[str, Any]:
        """A folder with a tiny random model, and its tokenizer."""
        self._needs("transformers")
        from tiny_model import make_tiny_model

        folder = str(self.work / "tiny")
        model, tokenizer = make_tiny_model(context=CONTEXT)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder, tokenizer

    @cached_property
    def _verl(self) -> Any:
        """The configuration that the launch script gives verl."""
        self._needs("verl")
        from omegaconf import OmegaConf

        words = ["--cfg", "job", "--resolve"]
        return OmegaConf.create(self._script("grpo_verl.sh", *words, MODEL=self._tiny[0]))

    @cached_property
    def _trl(self) -> tuple[Any, Any, Any]:
        """The options of GRPO with TRL."""
        self._needs("trl")
        from grpo_trl import read_options

        words = ["--config", str(FOLDER / "grpo_trl.yaml"), *_ON_CPU, "--output_dir", str(self.work / "grpo")]
        words += ["--source", self.source, "--tasks", "1"]
        return read_options(words + (["--change", *self.changes] if self.changes else []))

    def _script(self, name: str, *words: str, **variables: str) -> str:
        """Run a script of this folder and return its output."""
        own = {
            "MODEL": "stub",
            "BASE_URL": self.url,
            "SOURCE": self.source,
            "OUT": str(self.work),
            **variables,
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return _run(["bash", str(FOLDER / name), *(words or self.changes)], {**own, "PATH": path})

    def _count(self, run: str) -> int:
        return len((self.work / run / "episodes.jsonl").read_text(encoding="utf-8").splitlines())

    def _needs(self, library: str) -> None:
        if not _installed(library):
            raise SkippedError(f"{library} is not installed")


_ON_CPU: Final = ("--use_cpu", "True", "--bf16", "False")


class _StubManager:
    """verl's server, with the scripted policy behind it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._policy = tokenizer, ScriptedPolicy(forget=FORGET)

    async def generate(self, request_id: str, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        prompt = self._tokenizer.decode(prompt_ids).rpartition("<|im_start|>user\n")[2]
        reply = self._policy.protocol.render_operations(
            self._policy.answer_view(prompt.partition("<|im_end|>")[0])
        )
        ids = self._tokenizer(reply, add_special_tokens=False)["input_ids"]
        return TokenOutput(token_ids=[*ids, self._tokenizer.eos_token_id])


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _run(command: Sequence[str], variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env={**os.environ, **(variables or {})}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Make the checks, say how each went, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="generated", help="a folder with the official files")
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1"}
    print(f"Data: {options.source}. Policy: scripted, no model. No score here means anything.")
    failed = 0
    with tempfile.TemporaryDirectory() as work, serving() as server:
        os.environ["EMBEDDINGS_URL"] = server.url
        run = DryRun(options.source, Path(work), server.url)
        for name, check in run.checks:
            noise = io.StringIO()
            try:
                with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
                    status, found = "OK", check()
            except SkippedError as why:
                status, found = "SKIPPED", str(why)
            except Exception as error:
                failed += 1
                status, found = "FAILED", f"{type(error).__name__}: {error}\n{noise.getvalue()}"
            print(f"{status:8} {name}: {found}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
