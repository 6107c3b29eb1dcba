"""verifiers 0.4 (its API ``verifiers.v1``), and prime-rl, which trains on its environments.

The route: a taskset whose rows hold a task's index and no text; a harness that plays the episode in this process,
each model call through the interception endpoint; and the environment that seats the two. verifiers finds them
under the id ``atommem_env``, as in ``vf-eval atommem_env``, since it looks a plugin up by the name of an installed
package and in that package's ``__all__``. The classes are in :mod:`atommem_env.integrations.verifiers.plugin`, made
from the library's own when one of them is first asked for.

A context reset is a branch: a trace is a graph of messages, a prompt that extends no other starts a new branch, and
a trainer makes one sample of each branch, all with the trace's advantage. ``prompt_mode="append"`` is one branch.

Tested with verifiers 0.4.0.
"""

from __future__ import annotations

from typing import Any, Final

from atommem_env.integrations.text_episode import load_library
from atommem_env.integrations.verifiers.playing import Reply, play, summarize

__all__ = ["PLUGINS", "Reply", "play", "summarize"]

PLUGINS: Final = ("VerifiersEnv", "VerifiersHarness", "VerifiersTaskset")
"""What the package lists in ``__all__`` where verifiers is installed; exactly one class of each kind."""


def __getattr__(name: str) -> Any:
    """Return one of :data:`PLUGINS`.

    Raises:
        ImportError: when verifiers is missing; names the extra.
    """
    if name not in PLUGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_library("verifiers.v1", "verifiers", name)
    from atommem_env.integrations.verifiers import plugin as verifiers_plugin

    return getattr(verifiers_plugin, name)
