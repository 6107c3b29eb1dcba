"""What the package costs, measured beside what a user would install instead: ``atommem bench``."""

from atommem_env.bench.suite import FULL, QUICK, Settings, run_suite

__all__ = ["FULL", "QUICK", "Settings", "run_suite"]
