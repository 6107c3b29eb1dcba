"""What goes wrong with a run."""

from __future__ import annotations


class RunError(ValueError):
    """A run cannot be started, resumed or read; the message says why and what would mend it."""


class EpisodeError(RuntimeError):
    """A policy or an environment raised within an episode; the message names all three."""


class ReplayError(RuntimeError):
    """A stored trace does not lead to the state in which its episode ended; the message names the episode."""
