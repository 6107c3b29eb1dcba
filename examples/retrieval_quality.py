"""How good retrieval is before any policy: the share of gold paragraphs among the first k hits of a question.

    python examples/retrieval_quality.py                     # the generated world, no download: shows the form
    python examples/retrieval_quality.py hotpot_dev_distractor_v1.json 2wikimultihopqa_dev.json \
        musique_ans_v1.0_dev.jsonl --docs 200 800 --retrievers bm25 dense hybrid random \
        --encoder sentence-transformers/all-MiniLM-L6-v2 --vectors vectors.sqlite

Every document of a task is stored as title, line break, text. *One step* reads with the question. *Two steps*
reads with the question for the first half of k (the larger half), then with one name after the other for one
entry each: names that stand in the entries found so, in their order, and that neither the question nor the
titles of these entries have. Entries shown already count once; what the names leave over of k is filled with the
question's next hits.

An average is over questions; its interval is the 95 % percentile bootstrap over tasks, as questions of a task
share their documents. A gold paragraph is one that holds a unit of evidence. Nothing depends on chance but the
retriever `random`, which is a hash.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from atommem_env.baselines.engines.rules.passages import bare_title, find_words
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.core.memory import MemoryStore
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.musique import MUSIQUE
from atommem_env.envs.wiki2 import WIKI2
from atommem_env.retrieval import CachedEncoder, make_encoder, make_retriever
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import Task
from atommem_env.text import tokens

RESAMPLES = 2000
ENCODING = {"dense", "hybrid"}  # the retrievers that need an encoder


def names_to_follow(question: str, contents: Sequence[str]) -> Iterator[str]:
    """Yield the names in the texts of ``contents`` that neither the question nor their titles have, once each."""
    asked = tokens(question)
    titles = [content.partition("\n")[0] for content in contents]
    known = {tuple(tokens(name)) for title in titles for name in (title, bare_title(title))}
    for content in contents:
        for span in names(content.partition("\n")[2]):
            words = tuple(tokens(span.text))
            if words and words not in known and find_words(words, asked) < 0:
                known.add(words)
                yield span.text


def one_step(store: MemoryStore, question: str, k: int) -> list[int]:
    """Return the ids of the first k hits of the question."""
    return [hit.id for hit in store.search(question, k)]


def second_reads(store: MemoryStore, question: str, k: int) -> list[str]:
    """Return the names to read when k entries are to be shown in two steps."""
    first = store.search(question, (k + 1) // 2)
    return list(islice(names_to_follow(question, [hit.content for hit in first]), k - len(first)))


def two_steps(store: MemoryStore, question: str, k: int) -> list[int]:
    """Return the ids of the first hits of the question, then of the names found in them."""
    hits = one_step(store, question, k)
    found = dict.fromkeys(hits[: (k + 1) // 2])
    for name in second_reads(store, question, k):
        found.update(dict.fromkeys(one_step(store, name, 1)))
    found.update(dict.fromkeys(hits))
    return list(found)[:k]


STEPS = {"one step": one_step, "two steps": two_steps}


def recalls(
    task: Task, retriever: str, encoder: CachedEncoder | None, ks: Sequence[int]
) -> dict[tuple[str, int], list[float]]:
    """Return, for each way of reading and each k, the recall of every question with evidence, in [0, 1]."""
    make = make_retriever(retriever, encoder=encoder)
    store = MemoryStore(lambda: make(task.id))
    for document in task.documents:  # entry i holds document i
        store.create(f"{document.title}\n{document.text}")
    if encoder is not None:  # names one by one would be a call of the encoder each
        texts = [question.question for question in task.questions]
        encoder.encode(texts, "query")
        encoder.encode([name for text in texts for k in ks for name in second_reads(store, text, k)], "query")
    found: dict[tuple[str, int], list[float]] = {(way, k): [] for way in STEPS for k in ks}
    for number, question in enumerate(task.questions):
        gold = {unit.document + 1 for unit in task.units if unit.question == number}
        if gold:
            for (way, k), scores in found.items():
                ids = STEPS[way](store, question.question, k)
                scores.append(len(gold.intersection(ids)) / len(gold))
    return found


def interval(by_task: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Return the mean over questions and its 95 % interval over tasks."""
    sums = np.array([sum(scores) for scores in by_task])
    counts = np.array([len(scores) for scores in by_task])
    draws = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / np.maximum(1, counts[draws].sum(axis=1))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sums.sum() / max(1, counts.sum())), float(low), float(high)


def benchmark_of(source: str) -> Benchmark:
    """Return the benchmark that a file's name speaks of; HotpotQA for generated data."""
    name = Path(source).name.lower()
    return MUSIQUE if "musique" in name else WIKI2 if "wiki" in name and "hotpot" not in name else HOTPOTQA


def main() -> None:
    """Print the table of every source."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="*", default=["generated"], help="official files, or 'generated'")
    parser.add_argument("--split", default="validation", help="the split that the files hold")
    parser.add_argument("--docs", nargs="+", type=int, default=[200], help="documents stored")
    parser.add_argument(
        "--retrievers", nargs="+", default=["bm25", "random"], help="bm25, dense, hybrid, random"
    )
    parser.add_argument("--k", nargs="+", type=int, default=[3, 6, 12], help="entries shown")
    parser.add_argument("--tasks", type=int, default=None, help="tasks per source (default: one epoch)")
    parser.add_argument("--encoder", default=None, help="what dense and hybrid encode with, as in gym.make")
    parser.add_argument("--vectors", default=None, help="a file that keeps what was encoded")
    arguments = parser.parse_args()

    encoder = None
    if ENCODING.intersection(arguments.retrievers):
        made = make_encoder(arguments.encoder)
        encoder = (
            CachedEncoder(made.encoder, size=200_000, disk=arguments.vectors) if arguments.vectors else made
        )
    columns = [f"{way} @{k}" for way in STEPS for k in arguments.k]
    for source in arguments.sources:
        dataset = open_dataset(benchmark_of(source), source, arguments.split, world=WorldConfig(size=120))
        print(f"\n{dataset.source}, {dataset.num_questions} questions\n")
        print("| documents | tasks | questions | retriever | " + " | ".join(columns) + " |")
        print("| --- | --- | --- | --- |" + " --- |" * len(columns))
        for docs in arguments.docs:
            tasks = PooledTasks(dataset, num_docs=docs)
            count = min(tasks.num_tasks, arguments.tasks or (tasks.num_tasks if source != "generated" else 6))
            built = [tasks.build(index) for index in range(count)]
            for retriever in arguments.retrievers:
                bar = tqdm(built, desc=f"{docs} documents, {retriever}", disable=None, leave=False)
                using = encoder if retriever in ENCODING else None
                by_task = [recalls(task, retriever, using, arguments.k) for task in bar]
                cells = []
                for way in STEPS:
                    for k in arguments.k:
                        mean, low, high = interval([scores[way, k] for scores in by_task])
                        cells.append(f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})")
                questions = sum(len(scores["one step", arguments.k[0]]) for scores in by_task)
                print(
                    f"| {docs} | {count} | {questions} | {retriever} | " + " | ".join(cells) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
