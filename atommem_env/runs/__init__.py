"""Many episodes: runs that can be resumed and repeated, and the tables of their results."""

from atommem_env.runs.errors import EpisodeError, RunError
from atommem_env.runs.evaluation import evaluate
from atommem_env.runs.run import Run

__all__ = ["EpisodeError", "Run", "RunError", "evaluate"]
