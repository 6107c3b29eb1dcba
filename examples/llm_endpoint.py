"""Workflows with a language model of yours behind them, on a few episodes of the generated world.

    pip install atommem_env
    export OPENAI_BASE_URL=http://localhost:8000/v1  # any OpenAI-compatible server: vLLM, llama.cpp, Ollama, ...
    export ATOMMEM_MODEL=Qwen/Qwen3-8B               # as the server names it
    export OPENAI_API_KEY=...                        # where the server wants one
    python examples/llm_endpoint.py

The same from the command line:

    atommem run --env AtomMem-World-v0 --arg num_docs=20 --policy closed-book --policy rag --engine llm --episodes 5
"""

import os

from atommem_env import evaluate
from atommem_env.llm import Chat, ChatError, ChatSettings


def main():
    settings = ChatSettings.from_environment(max_tokens=1024, cache="replies")
    try:
        reply = Chat(settings).complete([{"role": "user", "content": "Say hello in one word."}])
    except ChatError as error:  # says what to do: set a key, name a model that the server has, ...
        raise SystemExit(str(error)) from error
    print(f"{settings.model} says {reply.text!r} ({reply.completion_tokens} tokens)")
    policies = ["closed-book", "rag"]
    print(evaluate("AtomMem-World-v0", policies, episodes=5, engine=settings, num_docs=20, num_questions=2))


if __name__ == "__main__":
    if "ATOMMEM_MODEL" in os.environ:
        main()
    else:
        print(__doc__)
