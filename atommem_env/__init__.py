"""Gymnasium environments in which an agent reads a long text, edits its own memory, and answers from it.

Importing this package registers the environments (``AtomMem-HotpotQA-v0`` and its siblings).
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from atommem_env import scoring
from atommem_env._version import __version__
from atommem_env.core.operations import SCRATCHPAD, Answer, Create, Delete, OperationResult, Read, Update
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import GeneratedDataWarning
from atommem_env.env import MemoryEnv
from atommem_env.policies import Policy, Trace, rollout
from atommem_env.registration import register_envs

if TYPE_CHECKING:
    from atommem_env.runs import evaluate
    from atommem_env.vector.vector_env import MemoryVectorEnv
    from atommem_env.wrappers import DiscreteOperations, RecordTrace, TextProtocol

__all__ = [
    "SCRATCHPAD",
    "Answer",
    "Create",
    "Delete",
    "DiscreteOperations",
    "GeneratedDataWarning",
    "MemoryEnv",
    "MemoryVectorEnv",
    "OperationResult",
    "Policy",
    "QADataset",
    "Read",
    "RecordTrace",
    "TextProtocol",
    "Trace",
    "Update",
    "__version__",
    "evaluate",
    "register_envs",
    "rollout",
    "scoring",
]

_LATER: Final = {
    "DiscreteOperations": "atommem_env.wrappers",
    "MemoryVectorEnv": "atommem_env.vector.vector_env",
    "RecordTrace": "atommem_env.wrappers",
    "TextProtocol": "atommem_env.wrappers",
    "evaluate": "atommem_env.runs",
}
"""The modules of names that are imported when somebody asks for them: a command needs few of them."""

if find_spec("verifiers") and not TYPE_CHECKING:  # it looks for its plugins in a package's __all__
    from atommem_env.integrations import verifiers as _verifiers

    _LATER.update(dict.fromkeys(_verifiers.PLUGINS, _verifiers.__name__))
    __all__ += _verifiers.PLUGINS


if not TYPE_CHECKING:  # for a type checker every other name stays unknown

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value


register_envs()
