"""A policy of your own, next to the ones that come with the package, on the same episodes.

    python examples/custom_policy.py

The same policy runs from the command line, from the folder that holds this file:

    atommem run --env AtomMem-World-v0 --policy rag --policy custom_policy:Skimmer --arg capacity=20
"""

import gymnasium as gym

from atommem_env import Answer, Create, Read, evaluate
from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.tasks.documents import DocumentStitcher
from atommem_env.text import tokens


class Skimmer:
    """Stores a document only when its title or text names something that a question names."""

    def __init__(self) -> None:
        self.engine = get_engine("rules")

    def reset(self, observation, info):
        self.stitcher = DocumentStitcher()
        self.names = {word for question in observation["questions"] for word in names(question)}

    def act(self, observation, info):
        if observation["phase"] == 0:
            final = observation["cursor"] == observation["num_chunks"] - 1
            documents = self.stitcher.feed(observation["chunk"], final)
            return [
                Create(f"{d.title}\n{d.text}")
                for d in documents
                if self.names & names(d.title + " " + d.text)
            ]
        question = observation["questions"][0]
        if question not in observation["queries"]:
            return [Read(question)]
        entries = [entry["content"] for entry in observation["retrieved"]]
        return [Answer(self.engine.answer(question, entries))]


def names(text):
    """Return the lower-cased capitalised words of a text."""
    return {token for word in text.split() if word[:1].isupper() for token in tokens(word) if len(token) > 3}


if __name__ == "__main__":
    env = gym.make("AtomMem-World-v0", num_docs=100, num_questions=4, capacity=20)
    run = evaluate(env, {"rag": make_policy("rag"), "skimmer": Skimmer()}, episodes=20)
    for policy in ("rag", "skimmer"):
        episodes = [episode["metrics"] for episode in run.episodes if episode["policy"] == policy]
        questions = [question for metrics in episodes for question in metrics["questions"]]
        kept = sum(question["evidence"]["kept"] for question in questions) / len(questions)
        em = sum(metrics["em"] for metrics in episodes) / len(episodes)
        print(f"{policy:8} evidence kept {kept:.2f}, exact match {em:.2f} (generated world, engine: rules)")
