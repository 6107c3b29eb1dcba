"""What servers say, and how each of it ends: refusals in any shape, errors inside a 200, odd replies, odd servers."""

from __future__ import annotations

import gzip
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from atommem_env.llm import Chat, ChatError, ChatSettings, Reply, chat, endpoint
from atommem_env.llm.chat import read_reply
from atommem_env.llm.endpoint import EndpointError, says_too_long
from atommem_env.llm.secrets import mask, mask_error, masked_address, remember
from fake_server import Answer, FakeServer, failed, said, serving

ASK = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ATOMMEM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(chat, "_quirks", {})


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin()


def settings(server: FakeServer, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, **{"pause": 0.001, "retries": 2, **changes})


def reply(server: FakeServer, *plan: Answer, **changes: Any) -> Reply:
    server.plan = list(plan)
    return Chat(settings(server, **changes)).complete(ASK)


def refusal(server: FakeServer, *plan: Answer, **changes: Any) -> ChatError:
    with pytest.raises(ChatError) as caught:
        reply(server, *plan, **changes)
    return caught.value


def outcome(server: FakeServer, *plan: Answer) -> str:
    """Return the reply's text, or what the error says."""
    try:
        return reply(server, *plan).text
    except ChatError as error:
        return str(error)


def with_choice(**choice: Any) -> Answer:
    return Answer(body={"choices": [{"index": 0, "finish_reason": "stop", **choice}]})


# --- refusals ---------------------------------------------------------------------------------------

SHAPES = [
    lambda words: {"error": {"message": words}},
    lambda words: [{"error": {"message": words}}],
    lambda words: {"error": words},
    lambda words: {"detail": words},
    lambda words: {"detail": [{"loc": ["body", "x"], "msg": words}]},
    lambda words: {"message": words},
    lambda words: {"errors": [{"message": words}]},
    lambda words: {"error": {"error": {"message": words}}},
    lambda words: {"object": "error", "msg": words, "code": 40001},
    lambda words: words,
    lambda words: words.encode(),
]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_refused_seed_is_left_out_in_whatever_shape_it_is_said(
    server: FakeServer, status: int, shape: Any
) -> None:
    assert reply(server, Answer(status, shape("unknown field 'seed'"))).text == "Paris"
    assert ["seed" in request for request in server.asked] == [True, False]


def test_a_refused_seed_that_only_its_place_names_is_left_out(server: FakeServer) -> None:
    body = {"detail": [{"loc": ["body", "seed"], "msg": "extra inputs are not permitted"}]}
    assert reply(server, Answer(422, body)).text == "Paris"


def test_a_neutral_parameter_that_is_refused_is_left_out(server: FakeServer) -> None:
    refused = failed(400, "`temperature` and `top_p` cannot both be specified for this model.")
    assert reply(server, refused).text == "Paris"
    assert [("top_p" in asked, "temperature" in asked) for asked in server.asked] == [
        (True, True),
        (False, True),
    ]
    server.begin()
    monkey = refusal(server, refused, top_p=0.9)
    assert "top_p=None" in str(monkey)


def test_none_leaves_a_parameter_out_from_the_start(server: FakeServer) -> None:
    reply(server, top_p=None, temperature=None, seed=None)
    assert set(server.asked[0]) == {"model", "messages", "max_tokens"}


def test_further_fields_are_sent(server: FakeServer) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    for given_ in (extra, json.dumps(extra)):
        reply(server, extra_body=given_)
        assert server.asked[-1]["chat_template_kwargs"] == {"enable_thinking": False}
    assert settings(server, extra_body=extra) == settings(server, extra_body=json.dumps(extra))
    assert settings(server, extra_body=extra).describe()["extra_body"] == json.dumps(extra)
    for wrong in ("[1]", "{", {"model": "other"}):
        with pytest.raises(ValueError, match="extra_body"):
            settings(server, extra_body=wrong)


TOO_LONG = [
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length "
    "of only 4096 tokens, which is not enough.",
    "Context size has been exceeded.",
    "input is too long for requested model",
    "The input token count (5000) exceeds the maximum number of tokens allowed (4096).",
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Requested tokens (5000) exceed context window of 4096",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "The prompt (total length 5000) is too long to fit into the model",
    "Please reduce the length of the messages or completion.",
    "the request exceeds the available context size, try increasing it",
    "Prompt length 5000 is longer than the maximum model length of 4096",
    "Input length (5000) exceeds model's maximum sequence length",
    "Range of input length should be [1, 30720]; exceed max_seq_len",
    "Your request exceeded model token limit: 8192",
    "This model supports at most 4096 tokens",
    "The total length of input and output exceeds the max length",
    "prompt contains 5000 tokens, limit is 4096",
    "input_tokens must be less than 4096",
    "context overflow",
    "Input validation error: `max_new_tokens` must be <= 512; too many tokens",
]


@pytest.mark.parametrize("words", TOO_LONG)
@pytest.mark.parametrize("status", [400, 500])
def test_a_request_that_is_too_long_is_not_sent_again(server: FakeServer, words: str, status: int) -> None:
    error = refusal(server, Answer(status, {"error": words}))
    assert "lower chunk_tokens" in str(error)
    assert words[:40] in str(error)
    assert (error.fatal, len(server.asked)) == (True, 1)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "Request too large for model on tokens per minute (TPM): limit 6000, requested 8000"),
        (500, "the server had an error while processing your request"),
        (503, "overloaded"),
        (400, "seed: extra inputs are not permitted"),
        (400, "max_tokens must be at least 1"),
        (400, "Invalid 'temperature': must be <= 2"),
        (400, "messages must not be empty"),
        (400, "API key exceeded its limit"),
    ],
)
def test_other_refusals_are_not_taken_for_one_that_is_too_long(status: int, words: str) -> None:
    assert not says_too_long(status, words)


def test_a_rate_limit_is_held_out_for_two_minutes_by_default(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(endpoint.time, "sleep", pauses.append)
    server.plan = [failed(429, "per-minute limit")] * 40
    with pytest.raises(ChatError):
        Chat(ChatSettings("m", server.address)).complete(ASK)
    assert sum(pauses) >= 120


# --- errors inside a 200, and bodies that hold no reply ---------------------------------------------


def test_an_error_inside_a_200_is_said_and_its_code_is_the_status(server: FakeServer) -> None:
    body = {"error": {"message": "Insufficient credits", "code": 402}}
    error = refusal(server, Answer(body=body))
    assert "status 402: Insufficient credits" in str(error)
    assert len(server.asked) == 1
    assert reply(server, Answer(body={"error": {"message": "try later", "code": "rate_limit_exceeded"}})).text
    assert reply(server, Answer(body={"error": "oops"})).text == "Paris"


@pytest.mark.parametrize(
    "choices", [[], None, 5, {"0": {"message": {"content": "x"}}}, "x", [None], [5], [{}]]
)
def test_choices_of_any_other_shape_are_unreadable(server: FakeServer, choices: Any) -> None:
    assert reply(server, Answer(body={"choices": choices})).text == "Paris"
    assert len(server.asked) == 2
    error = refusal(server, *[Answer(body={"choices": choices})] * 3)
    assert "cannot be read in 3 tries" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1e999}}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": 5}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -3, "completion_tokens": NaN}}',
    ],
)
def test_a_usage_that_counts_nothing_counts_as_none(server: FakeServer, body: bytes) -> None:
    got = reply(server, Answer(body=body))
    assert (got.text, got.prompt_tokens, got.completion_tokens) == ("x", 0, 0)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"", b"\xff\xfe", b"null", b"5"])
def test_a_body_that_is_no_reply_is_unreadable(server: FakeServer, body: bytes) -> None:
    assert reply(server, Answer(body=body)).text == "Paris"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "choices", "content", "text", "code", "usage", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
@examples(max_examples=200, deadline=None)
def test_a_body_of_any_shape_is_a_reply_or_unreadable(body: Any, choice: Any, message: Any) -> None:
    for whole in (body, {"choices": [choice]}, {"choices": [{"message": message}], "usage": choice}):
        try:
            got = read_reply(whole)
        except (ValueError, EndpointError):
            continue
        assert isinstance(got.text, str)
        assert got.prompt_tokens >= 0


@given(st.sampled_from([400, 401, 404, 422, 429, 500]), JSON)
@examples(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_refusal_of_any_shape_ends_in_an_error_or_is_tried_again(
    server: FakeServer, status: int, body: Any
) -> None:
    server.begin().plan = [Answer(status, body)]
    assert "Paris" in outcome(server) or "status" in outcome(server.begin(), Answer(status, body))


# --- replies ----------------------------------------------------------------------------------------


def test_a_content_of_parts_is_its_texts_and_the_rest_is_reasoning(server: FakeServer) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Seine"}]},
        {"type": "text", "text": "Paris"},
    ]
    got = reply(server, with_choice(message={"content": parts}))
    assert (got.text, got.reasoning) == ("Paris", "Seine")


def test_calls_beside_or_instead_of_a_content_are_part_of_the_reply(server: FakeServer) -> None:
    from atommem_env.core.operations import Create
    from atommem_env.protocols import JSONProtocol

    calls = [{"id": "c", "type": "function", "function": {"name": "create", "arguments": '{"content": "x"}'}}]
    for content in (None, "", "I keep this."):
        got = reply(
            server, with_choice(message={"content": content, "tool_calls": calls}, finish_reason="tool_calls")
        )
        parsed = JSONProtocol().parse(got.text)
        assert (parsed.operations, parsed.malformed) == ([Create("x")], [])
        assert got.text.startswith(content or "{")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_a_reply_of_reasoning_alone_warns_once_in_a_run(server: FakeServer, field: str) -> None:
    run = settings(server)
    server.plan = [said(None, reasoning={field: "Paris, I think"})] * 3
    with pytest.warns(UserWarning, match="reasoning and no text.*enable_thinking") as caught:
        texts = [Chat(run).complete(ASK).text for _ in range(3)]
    assert texts == [""] * 3
    assert len(caught) == 1


def test_a_cut_prompt_warns_once_in_a_run(server: FakeServer) -> None:
    long = [{"role": "user", "content": "Ada Brandt lives in Vantor. " * 1200}]
    answer = said("Paris")
    answer.body["usage"]["prompt_tokens"] = 2050
    run = settings(server)
    server.plan = [answer, answer]
    with pytest.warns(UserWarning, match="the server of model 'm' cut a prompt.*2050.*num_ctx") as caught:
        [Chat(run).complete(long) for _ in range(2)]
    assert len(caught) == 1
    whole = said("Paris")
    whole.body["usage"]["prompt_tokens"] = 7500
    server.plan = [whole]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Chat(settings(server)).complete(long)


@pytest.mark.parametrize(
    "filtered",
    [
        failed(400, "The response was filtered due to the prompt", code="content_filter"),
        failed(400, "blocked", code="content_policy_violation"),
        Answer(400, {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        with_choice(message={"content": None}, finish_reason="content_filter"),
    ],
)
def test_what_a_filter_keeps_back_is_an_empty_reply(
    server: FakeServer, filtered: Answer, tmp_path: Path
) -> None:
    got = reply(server, filtered, cache=tmp_path)
    assert (got.text, got.finish_reason) == ("", "content_filter")
    assert reply(server, cache=tmp_path).text == "Paris"


def test_an_empty_reply_is_asked_for_again_and_never_kept(server: FakeServer, tmp_path: Path) -> None:
    assert reply(server, said(""), cache=tmp_path).text == "Paris"
    server.begin()
    other = {"temperature": 0.1, "cache": tmp_path}
    assert reply(server, said(""), said(" \n"), **other).text == ""
    assert reply(server, **other).text == "Paris"


@pytest.mark.parametrize(
    "broken",
    [
        with_choice(message={"content": "Par"}, finish_reason="error"),
        with_choice(message={"content": ""}, error={"message": "upstream", "code": 502}),
    ],
)
def test_a_reply_that_ended_in_an_error_is_never_kept(
    server: FakeServer, broken: Answer, tmp_path: Path
) -> None:
    assert reply(server, broken, cache=tmp_path).text == "Paris"
    assert len(server.asked) == 2


def test_a_reply_keeps_what_came_as_it_came(server: FakeServer, tmp_path: Path) -> None:
    text = "<think>France</think>\n\nParis<|im_end|>"
    for _ in range(2):
        got = reply(server, said(text), cache=tmp_path)
        assert (got.text, got.reasoning, got.raw) == ("Paris", "France", text)


# --- servers ----------------------------------------------------------------------------------------


def test_the_timeout_bounds_the_whole_of_a_call(server: FakeServer) -> None:
    start = time.monotonic()
    error = refusal(server, *[Answer(drips=0.05)] * 2, timeout=0.4, retries=1)
    assert "no whole answer within 0.4 seconds" in str(error)
    assert time.monotonic() - start < 10  # the 1,050 bytes would take twice 52 seconds


def test_a_redirect_to_another_server_is_refused_with_its_address(server: FakeServer) -> None:
    with serving() as other:
        for status in (301, 302, 307, 308):
            answer = Answer(status, {}, {"Location": f"{other.address}/chat/completions"})
            error = refusal(server, answer)
            assert f"redirects to {other.address}/chat/completions" in str(error)
            assert error.fatal
        assert other.asked == []


@pytest.mark.parametrize(
    "there",
    [
        "http://localhost:{port}/v1/chat/completions", "http://127.0.0.2:{port}/v1/chat/completions",
        "http://127.1:{port}/v1", "http://[::1]:{port}/v1", "http://[::ffff:127.0.0.1]:{port}/v1",
        "http://127.0.0.1.evil.invalid:{port}/v1", "http://127.0.0.1/v1/chat/completions",
        "https://127.0.0.1:{port}/v1/chat/completions", "HTTPS://127.0.0.1:{port}/", "//localhost:{port}/v1",
        "//127.0.0.1:{other}/v1", "http://ada:pass@localhost:{port}/v1", "http://127.0.0.1:{port}@localhost:{other}/",
        "http://bücher.invalid:{port}/", "ftp://127.0.0.1:{port}/v1", "file:///etc/passwd", "javascript:alert(1)",
        "data:application/json,{{}}", "unix:///var/run/docker.sock", "http:///v1", "//[", "http://[",
        "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://169.254.169.254/latest/meta-data",
    ],
)  # fmt: skip
def test_a_redirect_to_any_other_address_is_not_followed(server: FakeServer, there: str) -> None:
    port = int(server.address.rpartition(":")[2].partition("/")[0])
    address = there.format(port=port, other=port + 1)
    with pytest.raises(ChatError) as caught:
        reply(server, *[Answer(307, {}, {"Location": address})] * 3, retries=0)
    assert len(server.asked) == 1
    assert ":pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "there",
    [
        "/v1/chat/completions", "completions", "./completions#x", "../chat/completions?a=b", "", "//", "http://",
        "{own}/chat/completions", "/v1/chat/../chat/completions",
    ],
)  # fmt: skip
def test_a_redirect_within_the_server_is_followed(server: FakeServer, there: str) -> None:
    answer = Answer(307, {}, {"Location": there.format(own=server.address)})
    assert reply(server, answer).text == "Paris"
    assert len(server.asked) == 2


def test_redirects_in_a_circle_come_to_an_end(server: FakeServer) -> None:
    error = refusal(server, *[Answer(307, {}, {"Location": "/v1/chat/completions"})] * 9)
    assert "redirects without end" in str(error)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 99 Foo 12345 00:00:00 GMT",
        "-5",
        "-1e9",
        "1e9",
        "+7e8",
        "0x10",
        "1,5",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 +9999",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "2099-01-01T00:00:00Z",
        "9" * 400,
        "x" * 4000,
        "nan",
        "1e400",
        "soon",
        "٣",
        "",
    ],
)
def test_absurd_dates_to_wait_for_end_at_once_or_count_as_none(server: FakeServer, date: str) -> None:
    header = {"Retry-After": date.encode("ascii", "ignore").decode()}
    said_ = outcome(server, failed(503, "wait", headers=header))
    assert said_ == "Paris" or "asks to wait" in said_


def test_an_answer_that_inflates_without_end_is_refused(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atommem_env.llm import http

    monkeypatch.setattr(http, "MOST_BYTES", 10_000)
    packed = gzip.compress(b" " * 1_000_000)
    error = refusal(server, Answer(body=packed, headers={"Content-Encoding": "gzip"}))
    assert "longer than" in str(error)
    small = gzip.compress(json.dumps(said("Paris").body).encode())
    assert reply(server, Answer(body=small, headers={"Content-Encoding": "gzip"})).text == "Paris"


def test_connections_are_shared_and_one_that_the_server_closed_is_opened_anew(server: FakeServer) -> None:
    for _ in range(3):
        reply(server)
    assert reply(server, Answer(body=said("x").body, headers={"Connection": "close"})).text == "x"
    assert reply(server).text == "Paris"


# --- secrets ----------------------------------------------------------------------------------------


def secret_servers(server: FakeServer) -> Iterator[str]:
    bare = server.address.removeprefix("http://")
    yield f"http://user:pass-w0rd@{bare}"
    yield f"{server.address}?token=pass-w0rd"


def test_no_secret_of_an_address_is_shown_or_written(server: FakeServer, tmp_path: Path) -> None:
    for address in secret_servers(server):
        chosen = ChatSettings("m", address, retries=0, cache=tmp_path)
        server.plan = [said("the password is pass-w0rd")]
        assert "pass-w0rd" not in Chat(chosen).complete(ASK).raw
        server.plan = [failed(400, f"refused at {address}")]
        with pytest.raises(ChatError) as caught:
            Chat(chosen).complete([{"role": "user", "content": address}])
        for shown in (
            str(caught.value),
            repr(caught.value.__cause__),
            repr(chosen),
            json.dumps(chosen.describe()),
        ):
            assert "pass-w0rd" not in shown
    assert not any(b"pass-w0rd" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_reply_that_echoes_the_key_is_kept_without_it(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    got = reply(server, said("<think>sk-very-secret</think>your key: sk-very-secret"), cache=tmp_path)
    assert (got.text, got.reasoning) == ("your key: ***", "***")
    assert not any(b"sk-very-secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_short_or_plain_is_not_masked() -> None:
    remember("none", "abc", None)
    assert mask("none abc") == "none abc"
    assert masked_address("http://h:1/v1?api-version=2024") == "http://h:1/v1?api-version=2024"


def test_an_error_and_what_led_to_it_are_shown_without_secrets() -> None:
    remember("sk-very-secret")
    cause = OSError("refused with sk-very-secret")
    error = RuntimeError("key sk-very-secret")
    error.__cause__ = cause
    assert str(mask_error(error)) == "key ***"
    assert str(cause) == "refused with ***"


@pytest.mark.parametrize(
    "address",
    [
        "http://ada:s3cret-w0rd@h:1/v1", "http://s3cret-w0rd@h/v1", "http://:s3cret-w0rd@h/v1",
        "https://ada:s3cret%2Dw0rd@[::1]:9/v1", "http://a@b:s3cret-w0rd@h/v1", "http://h/v1?token=s3cret-w0rd",
        "http://h/v1?api_key=s3cret-w0rd&api-version=1", "http://h/v1?a=1&sig=s3cret-w0rd#x",
        "http://h/v1?X-Amz-Signature=s3cret-w0rd", "http://ada:s3cret-w0rd@h/v1?key=s3cret-w0rd",
        "http://h/v1?token=s3cret%2Dw0rd", "http://h/v1?s3cret-w0rd=s3cret-w0rd",
    ],
)  # fmt: skip
def test_no_form_of_an_address_shows_its_secret(address: str) -> None:
    chosen = ChatSettings("m", address)
    told = [
        repr(chosen),
        json.dumps(chosen.describe()),
        str(masked_address(address)),
        mask(f"no answer at {address}"),
    ]
    for shown in told:
        assert "s3cret-w0rd" not in shown
        assert "s3cret%2Dw0rd" not in shown
