"""OpenEnv: the environments behind a server, for trainers that reach them over the web socket.

Route: an OpenEnv environment, its FastAPI server, and a typed client; nothing here knows a trainer. Each
connection is a session with its own environment. The server is started with
``python -m atommem_env.integrations.openenv --env AtomMem-HotpotQA-v0 --port 8000``, or made by :func:`make_app`.
Context resets: with ``prompt_mode="reset"`` the ``messages`` of every observation are a complete prompt; with
``"append"`` they are what to add to the conversation.

Only ``/ws`` keeps an episode: OpenEnv makes a new environment for every request to ``/reset`` or ``/step``.

Tested with openenv 0.10.0 (never install ``openenv-core`` next to it: both bring the package ``openenv``).
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from atommem_env.integrations.text_episode import load_library

_PLACES: Final = {
    "AtomMemAction": "models",
    "AtomMemObservation": "models",
    "AtomMemState": "models",
    "AtomMemEnvironment": "environment",
    "AtomMemClient": "client",
    "app_from_environment": "server",
    "make_app": "server",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_library("openenv.core", "openenv", "the OpenEnv adapter")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
