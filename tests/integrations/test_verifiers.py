"""The adapter to verifiers, as far as it goes without the library."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from importlib.util import find_spec
from typing import Any

import pytest

import atommem_env
from atommem_env.integrations import verifiers as adapter
from atommem_env.integrations.text_episode import Message, TextEpisode
from scripted_policy import ScriptedPolicy

SMALL: dict[str, Any] = {"source": "generated", "num_docs": 12, "num_questions": 2, "chunk_tokens": 400}


def small_episode(**options: Any) -> TextEpisode:
    return TextEpisode("AtomMem-World-v0", **SMALL, **options)


def play(episode: TextEpisode, task_index: int, reply: adapter.Reply) -> dict[str, Any]:
    info: dict[str, Any] = {}
    asyncio.run(adapter.play(episode, task_index, reply, info))
    return dict(info["episode"])


async def scripted(messages: list[Message]) -> str:
    return ScriptedPolicy()(messages)


@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
def test_an_episode_is_the_one_that_is_played_directly(prompt_mode: str) -> None:
    episode = small_episode(prompt_mode=prompt_mode)
    played = play(episode, 3, scripted)
    turns = episode.trajectory.turns
    direct = small_episode(prompt_mode=prompt_mode).play(ScriptedPolicy(), 3)
    assert turns == direct.turns
    assert played["over"]
    assert played["return"] == direct.episode_return
    assert played["scores"] == direct.scores()
    assert played["questions"] == direct.metrics["questions"]
    assert played["source"].startswith("generated:")
    json.dumps(played, allow_nan=False)


def test_a_model_that_fails_leaves_the_record_of_what_it_did() -> None:
    answers = iter(["<create_memory>a note</create_memory>"])

    async def reply(messages: list[Message]) -> str:
        for answer in answers:
            return answer
        raise ConnectionError("gone")

    info: dict[str, Any] = {}
    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(adapter.play(small_episode(), 0, reply, info))
    played = info["episode"]
    assert not played["over"]
    assert played["return"] == 0.0
    assert played["scores"]["steps"] == played["scores"]["num_create"] == 1.0
    assert [question["prediction"] for question in played["questions"]] == [None, None]


def test_nonsense_is_data() -> None:
    async def reply(messages: list[Message]) -> str:
        return "<create_memory>never closed"

    played = play(small_episode(), 0, reply)
    assert played["over"]
    assert played["scores"]["num_malformed"] == played["scores"]["steps"] > 0


def test_a_task_that_cannot_be_made_says_why_and_leaves_no_record() -> None:
    info: dict[str, Any] = {}
    with pytest.raises(ValueError, match="task_index"):
        asyncio.run(adapter.play(small_episode(), -1, scripted, info))
    assert info == {}


def test_a_cancelled_rollout_ends_when_its_step_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    episode = small_episode()
    step, entered, let_go = episode.step, threading.Event(), threading.Event()

    def slow(text: str) -> list[Message]:
        entered.set()
        assert let_go.wait(10)
        return step(text)

    monkeypatch.setattr(episode, "step", slow)
    info: dict[str, Any] = {}

    async def cancel() -> None:
        rollout = asyncio.ensure_future(adapter.play(episode, 0, scripted, info))
        await asyncio.to_thread(entered.wait, 10)
        rollout.cancel()
        await asyncio.sleep(0)
        assert not rollout.done()
        let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await rollout

    asyncio.run(cancel())
    assert info["episode"]["scores"]["steps"] == 1.0


@pytest.mark.parametrize("name", adapter.PLUGINS)
def test_without_the_library_a_class_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verifiers.v1", None)
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[verifiers\]'"):
        getattr(adapter, name)


def test_the_package_lists_the_plugins_where_the_library_is_installed() -> None:
    installed = find_spec("verifiers") is not None
    assert [name in atommem_env.__all__ for name in adapter.PLUGINS] == [installed] * 3
    for module in (atommem_env, adapter):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'Craete'"):
            module.Craete  # noqa: B018
