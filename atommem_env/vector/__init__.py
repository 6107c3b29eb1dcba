"""Many episodes in lock-step, behind Gymnasium's vector API."""

from atommem_env.vector.vector_env import MemoryVectorEnv, make_autoreset_mode

__all__ = ["MemoryVectorEnv", "make_autoreset_mode"]
