"""Wrappers around an environment."""

from atommem_env.discrete.wrapper import DiscreteOperations
from atommem_env.wrappers.record_trace import RecordTrace
from atommem_env.wrappers.text_protocol import TextProtocol

__all__ = ["DiscreteOperations", "RecordTrace", "TextProtocol"]
