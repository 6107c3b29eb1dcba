"""The server: an application that gives every web socket a session with its own environment."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, Final

import gymnasium as gym
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from openenv.core.env_server import create_app
from openenv.core.env_server.types import ConcurrencyConfig

from atommem_env.core.checks import at_least
from atommem_env.integrations.openenv.environment import AtomMemEnvironment
from atommem_env.integrations.openenv.guard import DEFAULT_IDLE, Guard, check_idle
from atommem_env.integrations.openenv.models import AtomMemAction, AtomMemObservation, AtomMemState
from atommem_env.runs.arguments import check_arguments, env_arguments, find_spec, parse_env

DEFAULT_ENV: Final = "AtomMem-HotpotQA-v0"
DEFAULT_SESSIONS: Final = 64


def make_app(
    env: str = DEFAULT_ENV,
    *,
    protocol: str = "atommem",
    prompt_mode: str = "reset",
    sessions: int = DEFAULT_SESSIONS,
    idle: float = DEFAULT_IDLE,
    origins: Sequence[str] = (),
    **arguments: Any,
) -> FastAPI:
    """Return the application that serves ``env``; ``uvicorn`` runs it.

    Args:
        env: the environment's id.
        protocol: how a text says operations.
        prompt_mode: ``"reset"`` or ``"append"``.
        sessions: how many sessions there can be at once; each has a thread.
        idle: seconds after which a session that says nothing is closed; it should be longer than a model thinks.
        origins: the pages that may ask besides those of this machine, see
            :class:`~atommem_env.integrations.openenv.guard.Guard`.
        **arguments: the arguments of ``gym.make``.

    Raises:
        ValueError: when an argument is unknown or out of range.
    """
    at_least("sessions", sessions, 1)
    limits = ConcurrencyConfig(max_concurrent_envs=sessions, session_timeout=check_idle(idle))
    arguments = check_arguments(env, arguments, env_arguments(find_spec(env)))
    factory = functools.partial(
        AtomMemEnvironment, env, protocol=protocol, prompt_mode=prompt_mode, **arguments
    )
    factory().close()  # what is wrong with the arguments is told now, and data are converted once
    app: FastAPI = create_app(
        factory,
        AtomMemAction,
        AtomMemObservation,
        env_name=env,
        concurrency_config=limits,
        state_cls=AtomMemState,
    )
    app.add_exception_handler(ValueError, _refuse)
    app.add_exception_handler(gym.error.Error, _refuse)
    app.add_middleware(Guard, idle=idle, origins=tuple(origins))
    return app


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Tell over HTTP, as the web socket does by itself, what is wrong with a request."""
    return JSONResponse({"detail": str(error)}, status_code=422)


def app_from_environment() -> FastAPI:
    """Return the application that environment variables describe, as containers are configured.

    ``ATOMMEM_ENV`` is an id, or ``ID[key=value,...]`` with arguments (``AtomMem-HotpotQA-v0[num_docs=50]``);
    ``ATOMMEM_PROTOCOL``, ``ATOMMEM_PROMPT_MODE``, ``ATOMMEM_SESSIONS``, ``ATOMMEM_IDLE`` and ``ATOMMEM_ORIGINS``
    (separated by spaces) are the other arguments of :func:`make_app`.

    Raises:
        ValueError: when one of them is wrong.
    """
    env, arguments = parse_env(os.environ.get("ATOMMEM_ENV", DEFAULT_ENV))
    sessions = os.environ.get("ATOMMEM_SESSIONS", str(DEFAULT_SESSIONS))
    return make_app(
        env,
        protocol=os.environ.get("ATOMMEM_PROTOCOL", "atommem"),
        prompt_mode=os.environ.get("ATOMMEM_PROMPT_MODE", "reset"),
        sessions=int(sessions) if sessions.isdecimal() else at_least("ATOMMEM_SESSIONS", sessions, 1),
        idle=_seconds(os.environ.get("ATOMMEM_IDLE", str(DEFAULT_IDLE))),
        origins=os.environ.get("ATOMMEM_ORIGINS", "").split(),
        **arguments,
    )


def _seconds(text: str) -> float:
    try:
        return check_idle(float(text))
    except ValueError:
        raise ValueError(f"ATOMMEM_IDLE={text!r}: expected a number of seconds above 0") from None
