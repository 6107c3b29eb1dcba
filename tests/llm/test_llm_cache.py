"""Replies kept on disk: the same request gets the same reply, whoever asks, and a broken file does no harm."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atommem_env.llm import Chat, ChatSettings, Reply
from atommem_env.llm.cache import ReplyCache
from fake_server import FakeServer, serving

KEY = "ab" * 16


def ask(settings: ChatSettings, text: str = "a", **options: Any) -> Reply:
    return Chat(settings).complete([{"role": "user", "content": text}], **options)


def counting() -> Any:
    """Return what replies 1, 2, 3, ..."""
    numbers = itertools.count(1)
    return serving(lambda prompt: str(next(numbers)))


def settings(server: FakeServer, folder: Path, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, cache=folder, retries=0, **changes)


def test_the_same_request_gets_the_same_reply_at_no_cost(tmp_path: Path) -> None:
    with counting() as server:
        first = ask(settings(server, tmp_path))
        again = ask(settings(server, tmp_path, timeout=9, concurrency=1))
        assert again == replace(first, cached=True)
        assert len(server.asked) == 1


def test_another_request_gets_its_own_reply(tmp_path: Path) -> None:
    with counting() as server:
        changes: list[dict[str, Any]] = [{}, {"temperature": 0.1}, {"top_p": 0.5}, {"max_tokens": 5}]
        changes += [{"seed": 1}, {"seed": None}, {"route": "completions"}]
        replies = [ask(settings(server, tmp_path, **change)).text for change in changes]
        replies.append(ask(settings(server, tmp_path), "b").text)
        replies.append(ask(settings(server, tmp_path), stop=["\n"]).text)
        with counting() as other:
            assert ask(settings(other, tmp_path)).text == "1"
            assert len(other.asked) == 1
    assert len(set(replies)) == len(replies)


def test_replies_are_spread_over_folders_one_file_each(tmp_path: Path) -> None:
    with counting() as server:
        for text in "abcdef":
            ask(settings(server, tmp_path), text)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert all(path.parent.parent == tmp_path and len(path.parent.name) == 2 for path in files)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 9, "key": "x"}'])
def test_a_broken_file_is_ignored_and_written_anew(tmp_path: Path, content: bytes) -> None:
    with counting() as server:
        ask(settings(server, tmp_path))
        (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
        path.write_bytes(content)
        assert ask(settings(server, tmp_path)).text == "2"
        assert ask(settings(server, tmp_path)).text == "2"
        assert len(server.asked) == 2


def test_of_two_replies_to_one_request_the_first_stands(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    assert cache.put(KEY, Reply("one")).text == "one"
    assert cache.put(KEY, Reply("two")).text == "one"


def test_without_links_a_reply_is_kept_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    cache = ReplyCache(tmp_path)
    cache.put(KEY, Reply("one"))
    kept = cache.get(KEY)
    assert kept is not None
    assert kept.text == "one"


def test_threads_that_ask_at_once_agree_on_one_reply(tmp_path: Path) -> None:
    with counting() as server, ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: ask(settings(server, tmp_path)).text, range(16)))
    assert len(texts) == 1


def _keep(folder: Path, text: str) -> str:
    return ReplyCache(folder).put(KEY, Reply(text)).text


@pytest.mark.heavy
def test_processes_that_ask_at_once_agree_on_one_reply(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        kept = set(pool.starmap(_keep, [(tmp_path, str(number)) for number in range(40)]))
    assert len(kept) == 1
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
