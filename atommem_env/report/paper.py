"""The tables of the paper: as recipes of runs, and the figures it reports, to stand next to what a run measures.

The figures are those of AtomMem, arXiv 2601.08323: exact match in percent, Qwen3-8B. The paper's fourth table is
the control with random retrieval; which of the others is its first, second or third is our own count: the
comparison of methods, the ablations, and the sizes of chunks and of what is retrieved. A figure of a trained
agent never stands next to a measured one of an untrained policy: it has its own line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from atommem_env.registration import PAPER_ENVS
from atommem_env.report.history_recipe import NAME as HISTORIES
from atommem_env.report.history_recipe import history_recipe
from atommem_env.report.recipe import Recipe
from atommem_env.report.update_recipe import NAME as UPDATES
from atommem_env.report.update_recipe import update_recipe
from atommem_env.runs.engines import MODELS
from atommem_env.runs.errors import RunError
from atommem_env.runs.variants import EnvVariant

CITATION: Final = "AtomMem, arXiv 2601.08323"
MODEL: Final = "Qwen3-8B"

TRAINED: Final = "AtomMem (trained)"
"""What the paper's own agent is called next to a run's policies."""

EPISODES: Final = {200: 30, 800: 10}
"""How many episodes a recipe has for each policy, by the number of documents."""

RECIPES: Final = {
    "paper-table1": "methods on the three benchmarks, 200 and 800 documents",
    "paper-table2": "without Update, Delete, scratchpad, storage, or both",
    "paper-table3": "chunks of 2048, 4096, 8192 tokens, top 3, 6, 12",
    "paper-table4": "random retrieval next to others",
    HISTORIES: "methods on conversations whose questions come afterwards, 20 entries, 100 and no limit",
    UPDATES: "what methods do to facts that a later one replaces, 20 entries, 100 and no limit",
}
"""The recipes by name, with what each is about."""

_FREE: Final = ("source", "split", "encoder", "tokenizer")
"""The environments' arguments that a recipe leaves open; any other would make it another experiment."""

_USES: Final[dict[str, frozenset[str]]] = {
    "rag": frozenset({"storage"}),
    "keep-best": frozenset({"storage"}),
    "generative-agents": frozenset({"storage"}),
    "mem0": frozenset({"storage", "update", "delete"}),
    "a-mem": frozenset({"storage", "update"}),
    "memory-bank": frozenset({"storage", "delete", "scratchpad"}),
    "memgpt": frozenset({"storage", "scratchpad"}),
    "memagent": frozenset({"scratchpad"}),
    "mem1": frozenset({"storage", "scratchpad"}),
    "atommem": frozenset({"storage", "update", "delete", "scratchpad"}),
}
"""What each workflow uses of what table 2 takes away; without a part of these it is the same workflow."""

_CONTROLS: Final = ("closed-book", "full-context", "oracle")

_ABLATIONS: Final[dict[str, tuple[frozenset[str], dict[str, Any]]]] = {
    "num_docs=200": (frozenset(), {}),
    "without update": (frozenset({"update"}), {"operations": ("create", "read", "delete", "answer")}),
    "without delete": (frozenset({"delete"}), {"operations": ("create", "read", "update", "answer")}),
    "without scratchpad": (frozenset({"scratchpad"}), {"scratchpad": False}),
    "without storage": (frozenset({"storage"}), {"storage": False}),
    "without scratchpad and storage": (
        frozenset({"storage", "scratchpad"}),
        {"scratchpad": False, "storage": False},
    ),
}

_METHODS: Final[dict[str, dict[int, tuple[float, float, float]]]] = {
    "full-context": {200: (63.5, 55.7, 42.8), 800: (62.0, 49.2, 41.9)},
    "rag": {200: (67.8, 46.5, 38.5), 800: (63.1, 40.0, 37.1)},
    "generative-agents": {200: (38.8, 12.3, 19.8), 800: (10.0, 2.0, 8.4)},
    "mem0": {200: (38.2, 24.2, 14.0), 800: (33.9, 18.3, 11.2)},
    "a-mem": {200: (73.5, 62.7, 47.1), 800: (70.4, 57.1, 41.6)},
    "MemAgent (trained)": {200: (76.5, 65.8, 54.7), 800: (71.1, 57.7, 44.5)},
    "atommem": {200: (65.9, 52.8, 47.8), 800: (60.1, 55.0, 40.0)},
    TRAINED: {200: (77.8, 67.5, 55.1), 800: (72.9, 62.5, 48.5)},
}

_TRAINED_WITHOUT: Final[dict[str, tuple[float, float, float]]] = {
    "num_docs=200": _METHODS[TRAINED][200],
    "without update": (71.4, 62.6, 47.9),
    "without delete": (76.5, 67.3, 54.2),
    "without scratchpad": (71.8, 56.3, 46.0),
    "without storage": (69.2, 59.4, 43.9),
    "without scratchpad and storage": (25.6, 27.1, 12.1),
}

_TRAINED_RETRIEVAL: Final[dict[str, tuple[float, float, float]]] = {
    "retriever=random": (68.5, 62.6, 46.1),
    "retriever=dense": _METHODS[TRAINED][200],
}


def make_recipe(
    name: str, engine: str = "rules", arguments: Mapping[str, Any] | None = None, episodes: int | None = None
) -> Recipe:
    """Return what the recipe ``name`` runs.

    Args:
        name: one of :data:`RECIPES`.
        engine: the engine's name; without ``"llm"`` the prompted agent is left out.
        arguments: the environments' arguments that are given: ``source``, ``split``, ``encoder``,
            ``tokenizer``.
        episodes: the number of episodes everywhere; ``None``: 30 with 200 documents, 10 with 800, and of histories
            what :data:`~atommem_env.report.history_recipe.EPISODES` says.

    Raises:
        RunError: when there is no such recipe, or an argument is one that the recipe sets.
    """
    if name not in RECIPES:
        raise RunError(f"--recipe {name!r}: expected one of {', '.join(RECIPES)}")
    given = dict(arguments or {})
    for argument in given:
        if argument not in _FREE:
            raise RunError(
                f"--arg {argument}: the recipe {name!r} says what its environments are; of their arguments, only "
                f"{', '.join(_FREE)} can be given"
            )
    encoder = given.pop("encoder", None)
    if encoder is not None and name != "paper-table4":
        raise RunError(f"--arg encoder: the recipe {name!r} searches with BM25, which has no use for one")
    if name == HISTORIES:
        return history_recipe(engine, given, episodes)
    if name == UPDATES:
        return update_recipe(engine, given, episodes)
    workflows = tuple(policy for policy in _USES if policy != "atommem" or engine in MODELS)
    notes = (
        []
        if engine in MODELS
        else ["the prompted agent (atommem) needs --engine llm or local; it is left out"]
    )
    variants: dict[str, tuple[dict[str, Any], tuple[str, ...]]]
    if name == "paper-table1":
        policies = (*_CONTROLS, *workflows)
        variants = {f"num_docs={size}": ({"num_docs": size}, policies) for size in (200, 800)}
    elif name == "paper-table2":
        variants = {
            label: ({"num_docs": 200, **switched}, tuple(w for w in workflows if _matters(w, off)))
            for label, (off, switched) in _ABLATIONS.items()
        }
    elif name == "paper-table3":
        variants = {
            f"chunk_tokens={size}, top_k={k}": (
                {"num_docs": 200, "chunk_tokens": size, "top_k": k},
                workflows,
            )
            for size in (2048, 4096, 8192)
            for k in (3, 6, 12)
        }
    else:
        searching = tuple(policy for policy in workflows if "storage" in _USES[policy])
        retrievers: dict[str, dict[str, Any]] = {"random": {}, "bm25": {}}
        if encoder is None:
            notes.append("dense and hybrid retrieval need --arg encoder=...; they are left out")
        else:
            retrievers |= {"dense": {"encoder": encoder}, "hybrid": {"encoder": encoder}}
        variants = {
            f"retriever={retriever}": ({"num_docs": 200, "retriever": retriever, **own}, searching)
            for retriever, own in retrievers.items()
        }
    envs = tuple(
        EnvVariant(
            id,
            dict(own),
            name=f"{id}[{label}]",
            policies=policies,
            episodes=EPISODES[own["num_docs"]] if episodes is None else episodes,
        )
        for id in PAPER_ENVS
        for label, (own, policies) in variants.items()
    )
    used = dict.fromkeys(policy for env in envs for policy in env.policies or ())
    return Recipe(envs, tuple(used), given, tuple(notes))


def _matters(policy: str, off: frozenset[str]) -> bool:
    """Return whether ``policy`` uses something of what is taken away; with nothing taken away, every one counts."""
    return bool(_USES[policy] & off) or not off


def figures(recipe: str, env: str) -> dict[str, float]:
    """Return what the paper reports for an environment of a recipe: exact match in [0, 1] by policy.

    A name that is not a policy of this package, such as :data:`TRAINED`, is an agent that a run does not have.

    Args:
        recipe: the recipe's name.
        env: the environment's name within its run; :func:`make_recipe` gives it.
    """
    id, _, rest = env.partition("[")
    label = rest.removesuffix("]")
    if id not in PAPER_ENVS:
        return {}
    column = PAPER_ENVS.index(id)
    return {policy: row[column] / 100 for policy, row in _rows(recipe, label)}


def _rows(recipe: str, label: str) -> Iterator[tuple[str, tuple[float, float, float]]]:
    if recipe == "paper-table1":
        for policy, by_size in _METHODS.items():
            for size, row in by_size.items():
                if label == f"num_docs={size}":
                    yield policy, row
    trained: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
        "paper-table2": _TRAINED_WITHOUT,
        "paper-table4": _TRAINED_RETRIEVAL,
    }
    if label in trained.get(recipe, {}):
        yield TRAINED, trained[recipe][label]
