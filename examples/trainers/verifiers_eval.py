"""Evaluate a model with verifiers: the taskset and harness that come with atommem_env, from Python.

    pip install 'atommem_env[verifiers]'
    python examples/trainers/verifiers_eval.py

Offline, in about 15 seconds: the data is generated, and the "model" is a scripted policy behind a small
OpenAI-compatible server, so that the scores say only that everything runs. It prints a line for each rollout, once
with a fresh prompt at each step (each a branch of the trace, and a trainer's sample) and once as one conversation.

With a server of your own, such as vLLM's:

    export OPENAI_BASE_URL=http://localhost:8000/v1 ATOMMEM_MODEL=Qwen/Qwen3-8B  # and OPENAI_API_KEY, if it wants one
    python examples/trainers/verifiers_eval.py

The same from the command line, on the paper's setting of a benchmark:

    vf-eval atommem_env --env.taskset.env hotpotqa --env.taskset.source /data/hotpotqa -n 30 \\
        -m "$ATOMMEM_MODEL" --client.base-url "$OPENAI_BASE_URL" --client.api-key-var OPENAI_API_KEY \\
        --sampling.temperature 1 --sampling.max-tokens 4096 --no-push -o runs
"""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import verifiers.v1 as vf

from scripted_policy import ScriptedPolicy

TASKSET = {
    "id": "atommem_env",
    "source": "generated",
    "num_docs": 20,
    "num_questions": 2,
    "chunk_tokens": 1000,
}
TASKS, ROLLOUTS = 3, 2


class Stub(BaseHTTPRequestHandler):
    """Answers chat completions with what the scripted policy says."""

    policy = ScriptedPolicy()

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": self.policy(request["messages"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "scripted",
            "choices": [choice],
        }
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


async def evaluate(prompt_mode, model):
    """Play every rollout at once, and print what each trace holds."""
    config = vf.resolve_env_config({"taskset": TASKSET, "agent": {"harness": {"prompt_mode": prompt_mode}}})
    env = vf.load_environment(config)
    slots = [slot for task in env.taskset.take(TASKS) for slot in env.slots(task, ROLLOUTS)]
    async with env.serving():
        episodes = await asyncio.gather(*(env.run_slot(slot, model) for slot in slots))
    print(f"prompt_mode={prompt_mode!r}, {slots[0].task.data.source}")
    for episode in episodes:
        for error in [*episode.errors, *(error for trace in episode.traces for error in trace.errors)]:
            raise SystemExit(f"{error.type}: {error.message}")
        trace = episode.traces[0]
        messages = [len(branch.messages) for branch in trace.branches]
        print(
            f"  task {trace.task.data.task_index}: return {trace.reward:.2f}  f1 {trace.metrics['f1']:.2f}  "
            f"steps {trace.metrics['steps']:.0f}  branches {len(messages)} of {max(messages)} messages"
        )


def main():
    if "OPENAI_BASE_URL" in os.environ:
        name, url, server = os.environ["ATOMMEM_MODEL"], os.environ["OPENAI_BASE_URL"], None
        print(f"model {name} at {url}, on generated data")
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name, url = "scripted", f"http://127.0.0.1:{server.server_address[1]}/v1"
        print("a scripted policy, not a model, on generated data")
    client = vf.EvalClientConfig(base_url=url, api_key_var="OPENAI_API_KEY")
    model = vf.ModelContext(model=name, client=client, sampling=vf.Sampling(temperature=1.0, max_tokens=4096))
    for prompt_mode in ("reset", "append"):
        asyncio.run(evaluate(prompt_mode, model))
    if server is not None:
        server.shutdown()


if __name__ == "__main__":
    main()
