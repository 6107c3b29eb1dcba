"""What goes wrong with a run."""

from __future__ import annotations


class RunError(ValueError):
    """A run cannot be started, resumed or read; the message says why and what would mend it."""


class RunWarning(UserWarning):
    """Something of a run that can be done without is left out."""


class EpisodeError(RuntimeError):
    """A policy or an environment raised within an episode; the message names all three."""


class ReplayError(RuntimeError):
    """A stored trace does not lead to the state in which its episode ended; the message names the episode."""


class Stopped(BaseException):
    """Ends an episode of a run that has stopped; no policy catches it."""
