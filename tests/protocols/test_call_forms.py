"""Calls in the forms in which models write them: each is the operation that was meant, or one malformed piece."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update, to_dict
from atommem_env.protocols import JSONProtocol, XMLProtocol
from atommem_env.protocols.thinking import split_thinking

JSON = JSONProtocol()
TAGS = XMLProtocol()


def tagged(name: str, inside: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{inside}</{name}>"


CREATES = [
    # the same object, written with little care
    '{"op": "create", "content": "x"}',
    "{'op': 'create', 'content': 'x'}",
    '{op: "create", content: "x"}',
    "{op: create, content: x}",
    "{“op”: “create”, “content”: “x”}",
    "{‘op’: ‘create’, ‘content’: ‘x’}",
    "{`op`: `create`, `content`: `x`}",
    '{"op": "create", "content": "x",}',
    '[{"op": "create", "content": "x",},]',
    '{"op": "create", // a note\n "content": "x" /* the fact */}',
    '{"op": "create", # a note\n "content": "x"}',
    '{"op" = "create", "content" = "x"}',
    '{"op": "create", "content": """x"""}',
    '{"op": "create", "content": "x", "id": null, "query": null, "k": None}',
    '{"op": "create", "content": "x", "query": ""}',
    '{"op": "CREATE", "content": "x"}',
    # no object
    'create content="x"',
    "create content='x'",
    "- create_memory content = “x”,",
    'Action: create content="x"',
    '`create content="x"`',
    '["create", "x"]',
    "['Create', 'x']",
    '[["create", "x"]]',
    '["create", {"content": "x"}]',
    'create "x"',
    "- create_memory 'x'.",
    "create: x",
    "**Create:** x",
    "Action: create: “x”",
    # other keys
    '{"tool": "create", "args": {"content": "x"}}',
    '{"type": "tool_use", "id": "toolu_1", "name": "create", "input": {"content": "x"}}',
    '{"tool_name": "create", "tool_input": {"content": "x"}}',
    '{"tool_call_id": "0", "tool_name": "create", "parameters": {"content": "x"}}',
    '{"action": "create", "action_input": {"content": "x"}}',
    '{"action": "create", "content": "x"}',
    '{"name": "create", "content": "x"}',
    '{"name": "create_memory", "arguments": {"content": "x"}}',
    '{"name": "functions.create", "arguments": {"content": "x"}}',
    '{"recipient_name": "functions.create", "parameters": {"content": "x"}}',
    '{"function": "create", "arguments": {"content": "x"}}',
    '{"functionCall": {"name": "create", "args": {"content": "x"}}}',
    '{"function_call": {"name": "create", "arguments": "{\\"content\\": \\"x\\"}"}}',
    '{"toolUse": {"toolUseId": "t", "name": "create", "input": {"content": "x"}}}',
    '{"tool_uses": [{"recipient_name": "functions.create", "parameters": {"content": "x"}}]}',
    '{"thought": "hm", "calls": [{"name": "create", "arguments": {"content": "x"}}]}',
    '{"create": {"content": "x"}}',
    '{"create": "x"}',
    '{"Op": "Create", "Content": "x"}',
    '{"tool_calls": "[{\\"name\\": \\"create\\", \\"arguments\\": {\\"content\\": \\"x\\"}}]"}',
    '[{"create": {"content": "x"}}]',
    # encoded
    json.dumps('{"op": "create", "content": "x"}'),
    json.dumps({"name": "create", "arguments": json.dumps({"content": "x"})}),
    json.dumps({"name": "create", "arguments": json.dumps(json.dumps({"content": "x"}))}),
    json.dumps(['{"op": "create", "content": "x"}']),
    '{\\"op\\": \\"create\\", \\"content\\": \\"x\\"}',
    html.escape('<tool_call>{"op": "create", "content": "x"}</tool_call>'),
    html.escape("<tool_call><function=create><parameter=content>x</parameter></function></tool_call>"),
    # around it
    '```json\n{"op": "create", "content": "x"}\n```',
    '```tool_code\ncreate(content="x")\n```',
    '<tool_call>\n{"name": "create", "arguments": {"content": "x"}}\n</tool_call>',
    '<TOOLCALL>[{"name": "create", "arguments": {"content": "x"}}]</TOOLCALL>',
    '[TOOL_CALLS] [{"name": "create", "arguments": {"content": "x"}}]',
    '[TOOL_CALLS]create[ARGS]{"content": "x"}',
    '[TOOL_CALLS]create{"content": "x"}',
    '<|python_tag|>{"name": "create", "parameters": {"content": "x"}}',
    '<|python_tag|>create.call(content="x")',
    '<|tool_call|>[{"name": "create", "arguments": {"content": "x"}}]',
    '<|START_ACTION|>[{"tool_name": "create", "parameters": {"content": "x"}}]<|END_ACTION|>',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>create\n"
    '```json\n{"content": "x"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    '<｜tool▁call▁begin｜>create<｜tool▁sep｜>{"content": "x"}<｜tool▁call▁end｜>',
    '<|tool_call_begin|>functions.create:0<|tool_call_argument_begin|>{"content": "x"}<|tool_call_end|>',
    '<|channel|>commentary to=functions.create <|constrain|>json<|message|>{"content": "x"}<|call|>',
    '>>>create\n{"content": "x"}',
    'Action: create\nAction Input: {"content": "x"}',
    'Thought: a fact.\nAction: create\nAction Input: {"content": "x"}\n',
    "Thought: a fact.\nAction: create\nAction Input: x\n",
    "<longcat_tool_call>create\n<longcat_arg_key>content</longcat_arg_key>\n"
    "<longcat_arg_value>x</longcat_arg_value>\n</longcat_tool_call>",
    "<start_function_call>call:create{content:<escape>x<escape>}<end_function_call>",
    '<|tool_call>call:create{content:<|"|>x<|"|>}<tool_call|>',
    # Python
    'create(content="x")',
    "create(content='x')",
    'create("x")',
    '[create(content="x")]',
    '<|tool_call_start|>[create(content="x")]<|tool_call_end|>',
    'memory.create(content="x")',
    'print(create(content = "x"))',
    'create({"content": "x"})',
    'create(content="""x""")',
    # tags
    "<tool_call><function=create><parameter=content>x</parameter></function></tool_call>",
    "<tool_call>\n<function=create>\n<parameter=content>\nx\n</parameter>\n</function>\n</tool_call>",
    "<function=create>\n<parameter=content>\nx\n</parameter>\n</function>\n</tool_call>",
    '<function=create>{"content": "x"}</function>',
    '<function name="create">{"content": "x"}</function>',
    tagged(
        "function_calls", '<invoke name="create">' + tagged("parameter", "x", ' name="content"') + "</invoke>"
    ),
    '<ns:invoke name="create">' + '<ns:parameter name="content">x' + "</ns:parameter></ns:invoke>",
    '<｜NS｜invoke name="create"><｜NS｜parameter name="content" string="true">x</｜NS｜parameter></｜NS｜invoke>',
    "<seed:tool_call>" + "<function=create><parameter=content>x" + "</parameter></function></seed:tool_call>",
    "<tool_call>create\n<arg_key>content</arg_key>\n<arg_value>x</arg_value>\n</tool_call>",
    "<create><content>x</content></create>",
    "<create>x</create>",
    '<create content="x"/>',
    "<create_memory>x</create_memory>",
    '<op name="create"><content>x</content></op>',
    '<operation type="create"><content>x</content></operation>',
    "<op>create</op><content>x</content>",
    "<tool_call><name>create</name><arguments>" + '{"content": "x"}' + "</arguments></tool_call>",
    "<tool_call><tool_name>create</tool_name><parameters><content>x</content></parameters></tool_call>",
    '<tool name="create" content="x" />',
    # lines
    'op = "create"\ncontent = "x"',
    "- create:\n    content: x",
    "op: create\ncontent: x",
    "- op: create\n  content: x",
    "```yaml\nop: create\ncontent: x\n```",
    'op: "create"\ncontent: "x"',
    "tool: create\ncontent: |\n  x\n",
    "name: create\narguments:\n  content: x",
]


@pytest.mark.parametrize("text", CREATES)
def test_a_create_is_a_create_in_every_form(text: str) -> None:
    for protocol in (JSON, TAGS):
        parsed = protocol.parse(text)
        assert (parsed.operations, parsed.malformed) == ([Create("x")], []), protocol.name
        parsed = protocol.parse(f"I keep this one.\n\n{text}\n\nThat is all.")
        if not text.startswith(('"', "{\\")):  # escaped as a whole, which prose around it is not
            assert (parsed.operations, parsed.malformed) == ([Create("x")], []), protocol.name


@pytest.mark.parametrize(
    "id",
    [
        "3",
        "3.0",
        '"3"',
        '"#3"',
        "#3",
        "[3]",
        '["3"]',
        '"[3]"',
        '"entry 3"',
        '"Entry #3"',
        '"id: 3"',
        '"memory 3"',
    ],
)
def test_an_id_is_a_number_in_every_form(id: str) -> None:
    for text in (f'{{"op": "delete", "id": {id}}}', f"delete(id={id})", f"<delete><id>{id}</id></delete>"):
        assert JSON.parse(text).operations == [Delete(3)], text
    bare = id.replace('"', "")
    assert TAGS.parse(f"<delete_memory>{bare}</delete_memory>").operations == [Delete(3)]
    assert TAGS.parse(f'<update_memory id="{bare}">new</update_memory>').operations == [Update(3, "new")]


@pytest.mark.parametrize(
    "id", ["true", '"three"', "3.5", "null", '"3, 4"', "[3, 4]", '"2024-03-01"', "1e400"]
)
def test_what_is_no_id_is_one_malformed_piece(id: str) -> None:
    parsed = JSON.parse(f'{{"op": "delete", "id": {id}}}')
    assert parsed.operations == []
    assert len(parsed.malformed) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('update(3, "new")', [Update(3, "new")]),
        ('read("who?", 2)', [Read("who?", 2)]),
        ("read(query='who?', k=2)", [Read("who?", 2)]),
        ("[delete(3), create('a'), answer(\"it's b\")]", [Delete(3), Create("a"), Answer("it's b")]),
        ("delete 3", [Delete(3)]),
        (
            "1. Delete entry #3\n2. update 4: a\n3. Update: entry 5, 'b'\n",
            [Delete(3), Update(4, "a"), Update(5, "b")],
        ),
        ("read: who?\nAnswer: b", [Read("who?"), Answer("b")]),
        ("- op: delete\n  id: 3\n- op: answer\n  content: b\n", [Delete(3), Answer("b")]),
        ('[{"delete": {"id": 3}}, {"answer": "b"}]', [Delete(3), Answer("b")]),
        ('{"op": "answer", "content": 1931}', [Answer("1931")]),
        ("<scratchpad>notes</scratchpad><scratchpad></scratchpad>", [Update(0, "notes"), Delete(0)]),
        (
            "<function=update>\n<parameter=id>\n3\n</parameter>\n<parameter=content>\na\nb\n</parameter>\n</function>",
            [Update(3, "a\nb")],
        ),
        ('{"op": "create", "content": "He said "hi" to her."}', [Create('He said "hi" to her.')]),
        (
            '{"op": "create", "content": "see {\\"op\\": \\"delete\\", \\"id\\": 1}"}',
            [Create('see {"op": "delete", "id": 1}')],
        ),
    ],
)
def test_other_operations_are_read_likewise(text: str, expected: list[Operation]) -> None:
    parsed = JSON.parse(text)
    assert (parsed.operations, parsed.malformed) == (expected, [])


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>create the fact</tool_call>",
        "<function=create>",
        "<function=remember><parameter=content>x",
        '{"op": "create", "content"',
        'create(content="x',
        "<create>x",
        "[TOOL_CALLS] create x",
        '{"op": "create", "contents": "x"}',
        '{"op": "create" "content": "x"}',
        '{"op": "create", "content": "x", "why": "old"}',
        '["create"]',
        '["create", "x", "y"]',
        "create content=Lena lives in Ulm",
        'create content="x',
        'update id=3 content=Lena lives in "Ulm"',
    ],
)
def test_what_cannot_be_read_is_one_malformed_piece(text: str) -> None:
    parsed = JSON.parse(text)
    assert parsed.operations == []
    assert len(parsed.malformed) == 1


@pytest.mark.parametrize(
    "text",
    [
        "I will create a note (as said) and delete nothing.",
        "Update: nothing new (3 entries).",
        "The function create(x) is documented elsewhere.",
        "He said: [think] about {it}.",
        "Q&amp;A: a < b",
        "no operation",
        'There are ["create", "read", "update"].',
        "To create content is hard; I then update id and content.",
        "Create: none\nUpdate: nothing.\nDelete: -",
        "Delete 3 entries, or more.\nAnswer the question\nRead on.",
    ],
)
def test_prose_is_an_empty_action(text: str) -> None:
    for protocol in (JSON, TAGS):
        assert protocol.parse(text) == protocol.parse("")


def test_fields_are_taken_by_their_names_or_places() -> None:
    text = 'update id=3 content="a \\"b\\"\nc"\nread query=\'who\', k=3\ndelete id=#4\n'
    arrays = '[["update", 3, "a \\"b\\"\\nc"], ["read", "who", 3], ["delete", "#4"]]'
    for form in (text, arrays):
        parsed = JSON.parse(form)
        assert parsed.operations == [Update(3, 'a "b"\nc'), Read("who", 3), Delete(4)]
        assert parsed.malformed == []


# --- thinking ---------------------------------------------------------------------------------------

NAMES = ["think", "thinking", "thought", "reasoning", "seed:think"]
MARKS = [
    *[(f"<{name}>", f"</{name}>") for name in NAMES],
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|think|>", "<|/think|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
]
CALLS = {"json": '{"op": "create", "content": "a"}', "atommem": "<create_memory>a</create_memory>"}
BAD = {"json": '{"op": "delete", "id": 1}', "atommem": "<delete_memory>1</delete_memory>"}


@pytest.mark.parametrize("protocol", [JSON, TAGS], ids=lambda protocol: protocol.name)
@given(marks=st.lists(st.sampled_from(MARKS), min_size=1, max_size=4), broken=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_thought_never_runs(protocol: Any, marks: list[tuple[str, str]], broken: bool) -> None:
    thought = BAD[protocol.name] + (' or {"op": <create_memory> ' if broken else "")
    text = "\n".join(f"{opening}maybe {thought}{closing}" for opening, closing in marks)
    parsed = protocol.parse(text + CALLS[protocol.name])
    assert (parsed.operations, parsed.malformed) == ([Create("a")], [])
    without_first = text[len(marks[0][0]) :] if "channel" not in marks[0][0] else text
    parsed = protocol.parse(without_first + CALLS[protocol.name])
    assert (parsed.operations, parsed.malformed) == ([Create("a")], [])


@pytest.mark.parametrize("opening", [opening for opening, _ in MARKS])
def test_a_thinking_that_never_ends_is_one_malformed_piece_and_an_empty_reply(opening: str) -> None:
    for protocol in (JSON, TAGS):
        text = f"{opening}I could {CALLS[protocol.name]}"
        parsed = protocol.parse(text)
        assert parsed.operations == []
        assert [piece.reason[:31] for piece in parsed.malformed] == ["it is nothing but thinking: wha"]
        assert split_thinking(text)[1] == ""
        prose = protocol.parse(f"I {opening} write:\n{CALLS[protocol.name]}")
        assert (prose.operations, prose.malformed) == ([Create("a")], [])


# --- every operation, in every dress ----------------------------------------------------------------

CONTENTS = st.text(
    st.characters(
        codec="utf-8",
        exclude_characters="\x00<>&|{}[]()\"'`“”‘’„«»\\#\r\x85\u2028\u2029",
        exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"),
    ),
    min_size=1,
    max_size=12,
).map(lambda text: f"a {text} b")
OPERATIONS = st.one_of(
    st.builds(Create, CONTENTS),
    st.builds(Read, CONTENTS, st.none() | st.integers(1, 32)),
    st.builds(Update, st.integers(0, 10**6), CONTENTS),
    st.builds(Delete, st.integers(0, 10**6)),
    st.builds(Answer, CONTENTS),
)


def fields(operation: Operation) -> dict[str, Any]:
    return {name: value for name, value in to_dict(operation).items() if value is not None and name != "op"}


def kind(operation: Operation) -> str:
    return str(to_dict(operation)["op"])


def flat(operation: Operation) -> str:
    return json.dumps({"op": kind(operation), **fields(operation)}, ensure_ascii=False)


def named(name: str, arguments: str, encoded: bool) -> Any:
    def write(operation: Operation) -> str:
        given: Any = fields(operation)
        return json.dumps({name: kind(operation), arguments: json.dumps(given) if encoded else given})

    return write


def python(operation: Operation) -> str:
    return f"{kind(operation)}({', '.join(f'{name}={value!r}' for name, value in fields(operation).items())})"


def invoked(operation: Operation) -> str:
    inside = "".join(
        tagged("parameter", str(value), f' name="{name}"') for name, value in fields(operation).items()
    )
    return f'<invoke name="{kind(operation)}">{inside}</invoke>'


def equalled(operation: Operation) -> str:
    inside = "".join(
        f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in fields(operation).items()
    )
    return f"<tool_call>\n<function={kind(operation)}>\n{inside}</function>\n</tool_call>"


WRITERS = [
    flat,
    python,
    invoked,
    equalled,
    *(
        named(name, arguments, encoded)
        for name in ("name", "tool", "function")
        for arguments in ("arguments", "args", "input")
        for encoded in (False, True)
    ),
    lambda operation: flat(operation).replace('"', "'") if "'" not in flat(operation) else flat(operation),
    lambda operation: re.sub(r'"(\w+)":', r"\1:", flat(operation)),
    lambda operation: flat(operation)[:-1] + ",}",
    lambda operation: f"[TOOL_CALLS]{kind(operation)}[ARGS]{json.dumps(fields(operation))}",
]
WRAPPERS = [
    "{}",
    "```json\n{}\n```",
    "```\n{}\n```",
    "<tool_call>\n{}\n</tool_call>",
    "Sure.\n\n{}\n\nDone.",
    "[{}]",
    "<think>hm</think>{}",
    "{}<|im_end|>",
    "**{}**",
]


@given(
    st.lists(
        st.tuples(OPERATIONS, st.sampled_from(WRITERS), st.sampled_from(WRAPPERS)), min_size=1, max_size=4
    )
)
@settings(max_examples=200, deadline=None)
def test_operations_survive_every_way_to_write_them(pieces: list[Any]) -> None:
    text = "\n".join(wrapper.format(writer(operation)) for operation, writer, wrapper in pieces)
    parsed = JSON.parse(text)
    assert (parsed.operations, parsed.malformed) == ([operation for operation, _, _ in pieces], [])


PIECES = [
    *"{}[]()<>\"'`:,=\\/#ax3 \n",
    "op",
    "create",
    "<think>",
    "</think>",
    "content",
    "create(",
    "<create>",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_text_raises(text: str) -> None:
    for protocol in (JSON, TAGS):
        protocol.parse(text)
