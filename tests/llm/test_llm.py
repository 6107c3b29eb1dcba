"""A chat endpoint: what is sent, what comes back, and how each fault ends."""

from __future__ import annotations

import concurrent.futures
import pickle
import socket
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from atommem_env.llm import Chat, ChatError, ChatSettings, chat, endpoint
from atommem_env.protocols.thinking import split_thinking
from fake_server import Answer, FakeServer, failed, prompt_of, said, serving

ASK = [{"role": "user", "content": "What is the capital of France?"}]
VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ATOMMEM_MODEL", "VENDOR_KEY")


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(chat, "_quirks", {})


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin()


def settings(server: FakeServer, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, **{"pause": 0.001, "retries": 2, **changes})


def ask(server: FakeServer, **changes: Any) -> str:
    return Chat(settings(server, **changes)).complete(ASK).text


def refusal(server: FakeServer, **changes: Any) -> ChatError:
    with pytest.raises(ChatError) as caught:
        ask(server, **changes)
    return caught.value


# --- what is sent, what comes back ------------------------------------------------------------------


def test_a_request_says_how_the_model_is_asked(server: FakeServer) -> None:
    reply = Chat(settings(server, temperature=0.2, top_p=0.9, max_tokens=7, seed=5)).complete(ASK)
    assert server.asked == [
        {"model": "m", "messages": ASK, "temperature": 0.2, "top_p": 0.9, "max_tokens": 7, "seed": 5}
    ]
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.finish_reason) == (
        "Paris",
        11,
        3,
        "stop",
    )
    assert not reply.cached


def test_a_base_model_goes_on_with_a_text(server: FakeServer) -> None:
    reply = Chat(settings(server, route="completions")).complete(ASK, stop=["\n"])
    assert reply.text == "Paris"
    assert server.asked[0]["prompt"] == ASK[0]["content"]
    assert server.asked[0]["stop"] == ["\n"]


def test_the_key_comes_from_the_variable_that_the_settings_name(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "vendor-secret")
    ask(server, api_key_variable="VENDOR_KEY")
    assert server.keys == ["Bearer vendor-secret"]


def test_address_and_model_come_from_the_environment(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    monkeypatch.setenv("ATOMMEM_MODEL", "n")
    assert Chat(ChatSettings.from_environment(retries=0)).complete(ASK).text == "Paris"
    assert server.asked[0]["model"] == "n"


def test_lone_surrogates_are_sent_as_replacement_characters(server: FakeServer) -> None:
    Chat(settings(server)).complete([{"role": "user", "content": "a\ud800b"}])
    assert prompt_of(server.asked[0]) == "a\ufffdb"


def test_a_reply_without_usage_counts_no_tokens(server: FakeServer) -> None:
    server.plan = [said("Paris", usage=False)]
    reply = Chat(settings(server)).complete(ASK)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("Paris", 0, 0)


# --- thinking, and replies that are cut off ---------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_in_a_field_of_its_own_is_kept_apart(server: FakeServer, field: str) -> None:
    server.plan = [said("Paris", reasoning={field: "Which country?"})]
    reply = Chat(settings(server)).complete(ASK)
    assert (reply.text, reply.reasoning) == ("Paris", "Which country?")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\nFrance...\n</think>\n\nParis", "France...", "Paris"),
        ("France...</think>Paris", "France...", "Paris"),
        ("<think>France, I think", "France, I think", ""),
        ("Paris", "", "Paris"),
        ("Paris <think>or</think> Lyon", "", "Paris <think>or</think> Lyon"),
    ],
)
def test_thinking_at_the_head_of_a_reply_is_kept_apart(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)


def test_a_reply_that_was_cut_off_counts_as_it_is(server: FakeServer) -> None:
    server.plan = [said("Par", finish="length")]
    reply = Chat(settings(server)).complete(ASK)
    assert (reply.text, reply.finish_reason) == ("Par", "length")


@pytest.mark.parametrize("answer", [said(None, finish="length"), said("<think>hm, F", finish="length")])
def test_a_model_that_never_came_to_its_answer_replies_nothing_and_warns(
    server: FakeServer, answer: Answer
) -> None:
    server.plan = [answer]
    with pytest.warns(UserWarning, match="max_tokens=1024 before any answer came: raise max_tokens"):
        assert ask(server) == ""


# --- what passes is tried again ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_fails_in_passing_is_asked_again(server: FakeServer, status: int) -> None:
    server.plan = [failed(status, "busy")] * 2
    assert ask(server) == "Paris"
    assert len(server.asked) == 3


def test_a_connection_that_breaks_off_is_asked_again(server: FakeServer) -> None:
    whole = said("Paris")
    server.plan = [Answer(body=whole.body, breaks_off=True)]
    assert ask(server) == "Paris"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [b'{"choices": [', b"<html>a proxy's page</html>", {"object": "chat.completion"}, {"choices": [{}]}],
    ids=["cut", "html", "no choices", "no message"],
)
def test_an_answer_that_cannot_be_read_is_asked_again(server: FakeServer, body: Any) -> None:
    server.plan = [Answer(body=body)]
    assert ask(server) == "Paris"
    server.plan = [Answer(body=body)] * 3
    error = refusal(server)
    assert "cannot be read in 3 tries" in str(error)
    assert not error.fatal


def test_an_answer_that_does_not_come_in_time_is_asked_again(server: FakeServer) -> None:
    server.plan = [Answer(hangs=True)]
    assert ask(server, timeout=0.2) == "Paris"


def test_a_server_that_never_answers_in_time_is_an_error_that_may_pass(server: FakeServer) -> None:
    server.plan = [Answer(hangs=True)] * 2
    error = refusal(server, timeout=0.2, retries=1)
    assert "did not answer in 2 tries" in str(error)
    assert "raise timeout" in str(error)
    assert not error.fatal


def test_a_server_that_is_not_there_is_an_error_with_its_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with pytest.raises(ChatError, match=rf"{address} did not answer in 1 tries.*--base-url") as caught:
        Chat(ChatSettings("m", address, retries=0)).complete(ASK)
    assert not caught.value.fatal


def test_what_fails_at_every_try_is_an_error_that_may_pass(server: FakeServer) -> None:
    server.plan = [failed(503, "loading the model")] * 3
    error = refusal(server)
    assert "failed 3 times, last with status 503: loading the model. See the server's log" in str(error)
    assert not error.fatal


def test_rate_limits_that_last_say_what_to_lower(server: FakeServer) -> None:
    server.plan = [failed(429, "slow down")] * 3
    error = refusal(server)
    assert "Lower concurrency (and jobs), or raise retries" in str(error)
    assert not error.fatal


def test_pauses_double_and_the_servers_own_go_first(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(endpoint.time, "sleep", pauses.append)
    server.plan = [
        failed(500, "no"),
        failed(429, "slow down", headers={"Retry-After": "7"}),
        failed(503, "no", headers={"Retry-After": formatdate(time.time() + 60, usegmt=True)}),
        failed(429, "slow down", headers={"retry-after-ms": "1500"}),
        failed(500, "no"),
        failed(500, "no"),
    ]
    assert ask(server, retries=6, pause=1.0) == "Paris"
    assert 0.75 <= pauses[0] <= 1
    assert pauses[1] == 7
    assert 55 <= pauses[2] <= 60
    assert pauses[3] == 1.5
    assert 12 <= pauses[4] <= 16
    assert 24 <= pauses[5] <= 32


def test_a_server_that_asks_to_wait_for_long_is_not_waited_for(server: FakeServer) -> None:
    server.plan = [failed(429, "daily limit", headers={"Retry-After": "86400"})]
    error = refusal(server)
    assert "asks to wait 86400 seconds" in str(error)
    assert error.fatal
    assert len(server.asked) == 1


# --- what does not pass stops at once ---------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_names_the_variable_and_never_the_key(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "sk-vendor-secret")
    server.plan = [failed(status, "invalid key sk-vendor-secret")]
    error = refusal(server, api_key_variable="VENDOR_KEY")
    assert "Set VENDOR_KEY" in str(error)
    assert "secret" not in str(error)
    assert error.fatal
    assert len(server.asked) == 1


def test_an_unknown_model_names_those_that_the_server_has(server: FakeServer) -> None:
    server.plan = [failed(404, "the model does not exist")]
    server.models = ["qwen3-8b", "qwen3-1.7b"]
    error = refusal(server)
    assert "status 404" in str(error)
    assert "it has 'qwen3-8b', 'qwen3-1.7b'" in str(error)
    assert error.fatal


def test_a_wrong_path_says_how_an_address_ends(server: FakeServer) -> None:
    with pytest.raises(ChatError, match=r"base_url ends where /chat/completions follows \(often in /v1\)"):
        Chat(ChatSettings("m", server.address.removesuffix("/v1"), retries=0)).complete(ASK)


@pytest.mark.parametrize(
    "answer",
    [
        failed(400, "This model's maximum context length is 4096 tokens, you requested 5000"),
        failed(400, "the request exceeds the available context size"),
        failed(400, "too long", code="context_length_exceeded"),
        failed(
            400,
            "'max_tokens' or 'max_completion_tokens' is too large: 9. This model's maximum context length",
        ),
    ],
)
def test_a_request_beyond_the_context_says_what_to_lower(server: FakeServer, answer: Answer) -> None:
    server.plan = [answer]
    error = refusal(server)
    assert "does not fit in the model's context: lower chunk_tokens, top_k" in str(error)
    assert error.fatal
    assert len(server.asked) == 1


def test_no_quota_is_no_rate_limit(server: FakeServer) -> None:
    server.plan = [
        failed(429, "You exceeded your quota", type="insufficient_quota", code="insufficient_quota")
    ]
    error = refusal(server)
    assert "no quota left" in str(error)
    assert error.fatal
    assert len(server.asked) == 1


def test_any_other_refusal_is_an_error_with_what_the_server_said(server: FakeServer) -> None:
    server.plan = [failed(422, "unknown role")]
    error = refusal(server)
    assert "status 422: unknown role" in str(error)
    assert "would refuse it again" in str(error)
    assert pickle.loads(pickle.dumps(error)).fatal


# --- servers that do not take a parameter -----------------------------------------------------------


def test_a_server_that_refuses_the_seed_is_asked_without_it_from_then_on(server: FakeServer) -> None:
    server.plan = [failed(400, "Unsupported parameter: 'seed'")]
    assert ask(server) == "Paris"
    assert ask(server) == "Paris"
    assert ["seed" in request for request in server.asked] == [True, False, False]


def test_a_server_that_wants_the_newer_name_of_max_tokens_gets_it(server: FakeServer) -> None:
    server.plan = [failed(400, "'max_tokens' is not supported: use 'max_completion_tokens' instead")]
    assert ask(server, max_tokens=9) == "Paris"
    assert ask(server, max_tokens=9) == "Paris"
    assert [request.get("max_completion_tokens") for request in server.asked] == [None, 9, 9]
    assert "max_tokens" not in server.asked[-1]


def test_a_refused_temperature_is_an_error_since_leaving_it_out_would_change_the_replies(
    server: FakeServer,
) -> None:
    server.plan = [failed(400, "temperature must be 1")]
    assert "temperature must be 1" in str(refusal(server))


# --- many at once -----------------------------------------------------------------------------------


def test_no_more_calls_are_under_way_than_the_settings_admit() -> None:
    pairs, underway, most = threading.Barrier(2, timeout=10), 0, 0
    lock = threading.Lock()

    def reply(prompt: str) -> str:  # waits until another request is there: with one at a time it would fail
        nonlocal underway, most
        with lock:
            underway += 1
            most = max(most, underway)
        pairs.wait()
        with lock:
            underway -= 1
        return "Paris"

    with serving(reply) as server:
        chats = [Chat(settings(server, concurrency=2)) for _ in range(8)]  # as threads of a run have them
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda one: one.complete(ASK).text, chats * 2))
    assert texts == ["Paris"] * 16
    assert most == 2


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said_"),
    [
        ({"model": " "}, "model"),
        ({"base_url": "localhost:8000"}, "http://localhost:8000/v1"),
        ({"route": "talk"}, "'chat' or 'completions'"),
        ({"temperature": -1}, "from 0"),
        ({"top_p": 0}, "at most 1"),
        ({"max_tokens": 0}, "1 or more"),
        ({"timeout": 0}, "above 0"),
        ({"retries": -1}, "0 or more"),
        ({"concurrency": 0}, "1 or more"),
        ({"pause": -1}, "from 0"),
    ],
)
def test_settings_out_of_range_are_errors_that_name_the_value(change: dict[str, Any], said_: str) -> None:
    (name, value), *_ = change.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}.*{said_}"):
        ChatSettings(**{"model": "m", **change})


def test_settings_are_values() -> None:
    made = ChatSettings("m", "http://localhost:1/v1", cache="a")
    assert pickle.loads(pickle.dumps(made)) == made
    assert len({made, ChatSettings("m", "http://localhost:1/v1", cache="a")}) == 1


def test_a_record_tells_what_determines_the_replies_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:secret@localhost:1/v1")
    record = ChatSettings("m", retries=9).describe()
    assert record["base_url"] == "http://localhost:1/v1"
    assert len(record["prompts"]) == 16
    assert record | {"prompts": ""} == {
        "model": "m",
        "base_url": "http://localhost:1/v1",
        "route": "chat",
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": 1024,
        "seed": 0,
        "prompts": "",
    }
    assert "secret" not in repr(record)


def test_no_model_and_no_key_are_errors_that_name_the_variables() -> None:
    with pytest.raises(ValueError, match="ATOMMEM_MODEL"):
        ChatSettings.from_environment()
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        Chat(ChatSettings("m"))
