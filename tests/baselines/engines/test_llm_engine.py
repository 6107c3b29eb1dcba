"""The engine with a language model: what each ability makes of a reply, and of one that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atommem_env.baselines.engines.engine import (
    CoreEdit,
    Edit,
    Evolution,
    Insight,
    NeighbourEdit,
    NoteDescription,
    State,
    get_engine,
)
from atommem_env.baselines.engines.llm import CompletionsEngine, LLMEngine, cut
from atommem_env.llm import ChatSettings
from atommem_env.llm.prompts import Prompts
from atommem_env.text import PieceTokenizer
from fake_server import FakeServer, prompt_of, said

NONSENSE = "I would rather not."


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin()


@pytest.fixture
def engine(server: FakeServer) -> LLMEngine:
    return LLMEngine(ChatSettings("m", server.address, retries=0))


def replying(server: FakeServer, reply: Any) -> None:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    server.reply = lambda prompt: text


# --- answers and texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Tessing", "Tessing"),
        ("\n  Tessing  \nbecause she grew up there", "Tessing"),
        ("She grew up in Tessing.\n\n**Answer:** Tessing", "Tessing"),
        ("The answer is Tessing.", "Tessing"),
        ("It is \\boxed{Tessing}", "Tessing"),
        ('"Tessing"', "Tessing"),
        ("<think>Tessing or Ostrey?</think>Tessing", "Tessing"),
    ],
)
def test_an_answer_is_the_short_text_in_the_reply(
    server: FakeServer, engine: LLMEngine, reply: str, answer: str
) -> None:
    replying(server, reply)
    assert engine.answer("Where did she grow up?", ["Maren\nShe grew up in Tessing."]) == answer
    prompt = prompt_of(server.asked[0])
    assert "Where did she grow up?" in prompt
    assert "[0] Maren\nShe grew up in Tessing." in prompt
    assert engine.costs()["unparsed"] == 0


def test_without_an_answer_it_is_unknown_and_counted(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "")
    assert engine.answer("Where?", []) == "unknown"
    assert engine.costs()["unparsed"] == 1


def test_a_memory_is_cut_after_the_last_sentence_that_fits(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "Ada lives in Ambry. Bram lives in Corvane. Cleo lives in Estrell.")
    assert engine.compress(["Where?"], "", "a chunk", 12) == "Ada lives in Ambry. Bram lives in Corvane."
    assert engine.compress(["Where?"], "", "a chunk", 3) == "Ada lives in"
    assert "At most 8 words" in prompt_of(server.asked[0])


def test_an_empty_memory_leaves_the_old_one(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "")
    assert engine.compress(["Where?"], "Ada lives in Ambry.", "a chunk", 100) == "Ada lives in Ambry."
    assert engine.costs()["unparsed"] == 1


def test_a_summary_has_at_most_the_words_asked_for(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "One two three. Four five six. Seven.")
    assert engine.summarize("a text", 6) == "One two three. Four five six."
    replying(server, "")
    assert engine.summarize("A long text. It goes on.", 3) == "A long text."


def test_cutting_keeps_what_fits_whole() -> None:
    assert cut("One two. Three.", 5, PieceTokenizer()) == "One two. Three."
    assert cut("One two. Three.", 4, PieceTokenizer()) == "One two."
    assert cut("One two three", 2, PieceTokenizer()) == "One two"
    assert cut("One", 0, PieceTokenizer()) == ""


def test_keywords_are_one_line_else_the_question(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "Maren Oldacre, town\n")
    assert engine.keyword_query("Where did Maren grow up?") == "Maren Oldacre, town"
    replying(server, "")
    assert engine.keyword_query("Where did Maren grow up?") == "Where did Maren grow up?"


def test_a_page_is_turned_when_the_reply_says_so(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "SEARCH")
    assert engine.answer_or_search("Where?", ["a", "b"], "core") is None
    replying(server, "Tessing")
    assert engine.answer_or_search("Where?", ["a", "b"], "core") == "Tessing"
    assert engine.costs()["unparsed"] == 0
    replying(server, "")
    assert engine.answer_or_search("Where?", ["a", "b"], "core") is None
    assert engine.costs()["unparsed"] == 1


def test_a_chat_is_passed_on_as_it_is(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, "<think>hm</think><answer>Tessing</answer>")
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert engine.chat(messages) == "<answer>Tessing</answer>"
    assert server.asked[0]["messages"] == messages


# --- replies of several parts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "importance", "unparsed"),
    [
        ({"importance": 7}, 7, 0),
        ('{"importance": "8"}', 8, 0),
        ({"importance": 40}, 10, 0),
        ("On a scale of 1 to 10, this is 3.", 3, 0),
        ("6/10", 6, 0),
        (NONSENSE, 5, 1),
    ],
)
def test_importance_is_a_number_from_1_to_10_else_5(
    server: FakeServer, engine: LLMEngine, reply: Any, importance: int, unparsed: int
) -> None:
    replying(server, reply)
    assert engine.rate_importance("a text") == importance
    assert engine.costs()["unparsed"] == unparsed


def test_reflection_gives_questions_and_conclusions_with_their_evidence(
    server: FakeServer, engine: LLMEngine
) -> None:
    replying(server, {"questions": ["Who?", "", "Where?", "When?"]})
    assert engine.focal_questions(["a", "b"], 2) == ["Who?", "Where?"]
    replying(server, {"insights": [{"text": "Ada paints.", "evidence": [0, "1", 9]}, {"evidence": [1]}, "x"]})
    assert engine.insights("Who?", ["a", "b"], 5) == [Insight("Ada paints.", (0, 1, 9))]


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        ({"facts": ["Ada paints.", "Bram sings."]}, ["Ada paints.", "Bram sings."]),
        (
            'Here they are:\n```json\n{"facts": ["Ada paints.", "Bram sings.",]}\n```',
            ["Ada paints.", "Bram sings."],
        ),
        ('["Ada paints."]', ["Ada paints."]),
        ('{"facts": ["Ada paints.", "Bram sings.", "Cleo', ["Ada paints.", "Bram sings."]),
        ({"result": {"facts": ["Ada paints."]}}, ["Ada paints."]),
        ({"facts": []}, []),
    ],
)
def test_facts_are_read_from_json_in_many_forms(
    server: FakeServer, engine: LLMEngine, reply: Any, facts: list[str]
) -> None:
    replying(server, reply)
    assert engine.extract_facts(["Who?"], "a chunk") == facts
    assert engine.costs()["unparsed"] == 0


@pytest.mark.parametrize(
    ("ability", "reply", "expected"),
    [
        ("facts", {"facts": [{"fact": "Lena lives in Ulm"}]}, ["Lena lives in Ulm"]),
        ("facts", {"facts": {"1": "Lena lives in Ulm"}}, ["Lena lives in Ulm"]),
        ("facts", {"facts": "Lena lives in Ulm"}, ["Lena lives in Ulm"]),
        ("facts", {"result": [{"facts": ["Lena lives in Ulm"]}]}, ["Lena lives in Ulm"]),
        ("facts", "{'facts': ['Lena lives in Ulm',]}", ["Lena lives in Ulm"]),
        ("facts", json.dumps(json.dumps({"facts": ["Lena lives in Ulm"]})), ["Lena lives in Ulm"]),
        ("facts", "- Lena lives in Ulm\n- Ada paints", ["Lena lives in Ulm", "Ada paints"]),
        ("facts", '{"facts": ["a", "He said "hi" to us.", "c"]}', ["a", 'He said "hi" to us.', "c"]),
        ("facts", '{"facts": ["a 5" pipe", "c"]}', ['a 5" pipe', "c"]),
        ("questions", {"questions": [{"question": "Who?"}]}, ["Who?"]),
        ("insights", {"insights": ["Ada paints."]}, [Insight("Ada paints.")]),
        (
            "insights",
            {"insights": [{"insight": "Ada paints.", "evidence": "0, 2"}]},
            [Insight("Ada paints.", (0, 2))],
        ),
        ("edits", {"edits": [{"event": "ADD", "text": "x"}]}, [Edit("add", "x")]),
        ("edits", {"memory": [{"id": "0", "text": "x", "event": "UPDATE"}]}, [Edit("update", "x", 0)]),
        ("edits", {"edits": [{"add": {"text": "x"}}]}, [Edit("add", "x")]),
        ("edits", {"edits": [{"event": "NOOP"}]}, [Edit("none", "")]),
        ("state", {"state": ["a", "b"]}, State("a\nb")),
        ("answer", {"state": "s", "answer": ["Paris"]}, State("s", answer="Paris")),
        ("answer", {"state": {"text": "s"}, "answer": {"value": "Paris"}}, State("s", answer="Paris")),
    ],
)
def test_the_one_text_in_an_object_or_a_list_is_taken(
    server: FakeServer, engine: LLMEngine, ability: str, reply: Any, expected: Any
) -> None:
    replying(server, reply)
    asked = {
        "facts": lambda: engine.extract_facts(["Who?"], "a chunk"),
        "questions": lambda: engine.focal_questions(["a"], 3),
        "insights": lambda: engine.insights("Who?", ["a"], 3),
        "edits": lambda: engine.decide_edits(["a"], ["b"]),
        "state": lambda: engine.next_state(None, ["Who?"], "old", "", ["a"], True),
        "answer": lambda: engine.next_state("Who?", ["Who?"], "old", "", ["a"], True),
    }
    assert asked[ability]() == expected
    assert engine.costs()["unparsed"] == 0


@pytest.mark.parametrize("reply", [{"facts": [{"a": 1, "b": 2}]}, {"facts": [[["x", "y"], {}]]}, {"fact": 1}])
def test_what_comes_to_nothing_is_counted_for_its_ability(
    server: FakeServer, engine: LLMEngine, reply: Any
) -> None:
    engine.answer("Who?", [])
    replying(server, reply)
    assert engine.extract_facts(["Who?"], "a chunk") == []
    assert engine.unreadable() == {"answer": [0, 1], "extract_facts": [1, 1]}
    said = engine.take_said()
    assert [piece["ability"] for piece in said] == ["answer", "extract_facts"]
    assert said[1]["reply"] == json.dumps(reply)
    assert said[1]["read"] is False
    assert engine.take_said() == []


def test_edits_are_additions_updates_deletions_or_nothing(server: FakeServer, engine: LLMEngine) -> None:
    edits = [
        {"kind": "ADD", "text": "Ada paints.", "entry": 3},
        {"kind": "update", "entry": "0", "text": "Bram sings and paints."},
        {"kind": "delete", "entry": 77},
        {"kind": "none"},
        {"kind": "add", "text": " "},
        {"kind": "merge", "text": "x"},
        "add",
    ]
    replying(server, {"edits": edits})
    assert engine.decide_edits(["a fact"], ["Bram sings."]) == [
        Edit("add", "Ada paints."),
        Edit("update", "Bram sings and paints.", 0),
        Edit("delete", "", 77),
        Edit("none", ""),
    ]


def test_notes_are_described_and_evolve(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, {"keywords": ["Ada", "harbour"], "tags": "art", "context": "On a painter."})
    assert engine.describe_note("a note") == NoteDescription(("Ada", "harbour"), ("art",), "On a painter.")
    reply = {"strengthen": [1], "tags": ["art"], "neighbours": [{"number": 0, "tags": [], "context": "New."}]}
    replying(server, reply)
    assert engine.evolve("a note", ["b", "c"]) == Evolution((1,), ("art",), {0: NeighbourEdit((), "New.")})


def test_a_state_comes_with_a_query_or_an_answer(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, {"state": "Ada paints.", "query": "Ada's town", "answer": None})
    assert engine.next_state("Where?", ["Where?"], "", "", ["a"], True) == State("Ada paints.", "Ada's town")
    assert engine.next_state("Where?", ["Where?"], "", "", ["a"], False) == State(
        "Ada paints.", answer="unknown"
    )
    assert engine.next_state(None, ["Where?"], "", "", ["a"], True) == State("Ada paints.")
    replying(server, {"state": "", "answer": 1931})
    assert engine.next_state("When?", ["When?"], "old", "q", ["a"], True) == State("old", answer="1931")


def test_core_memory_is_kept_within_its_budget(server: FakeServer, engine: LLMEngine) -> None:
    replying(server, {"core": "Ada paints. Bram sings.", "archive": ["Cleo left."]})
    assert engine.manage_core(["Who?"], "old", "recent", 3) == CoreEdit("Ada paints.", ("Cleo left.",))
    replying(server, {"core": None, "archive": []})
    assert engine.manage_core(["Who?"], "old", "recent", 3) == CoreEdit()


def test_replies_that_cannot_be_read_change_nothing_and_are_counted(
    server: FakeServer, engine: LLMEngine
) -> None:
    replying(server, NONSENSE)
    results: list[Any] = [
        engine.focal_questions(["a"], 3),
        engine.insights("Who?", ["a"], 5),
        engine.extract_facts(["Who?"], "a chunk"),
        engine.decide_edits(["a"], ["b"]),
        engine.describe_note("a"),
        engine.evolve("a", ["b"]),
        engine.next_state(None, ["Who?"], "old", "", ["a"], True),
        engine.next_state("Who?", ["Who?"], "old", "", ["a"], True),
        engine.manage_core(["Who?"], "old", "recent", 9),
    ]
    assert results == [
        *([], [], [], []),
        NoteDescription(),
        Evolution(),
        State("old"),
        State("old", answer="unknown"),
        CoreEdit(),
    ]
    assert engine.costs()["unparsed"] == len(results)


# --- costs ------------------------------------------------------------------------------------------


def test_costs_are_counted_since_the_last_reset(server: FakeServer, tmp_path: Path) -> None:
    engine = LLMEngine(ChatSettings("m", server.address, retries=0, cache=tmp_path))
    engine.answer("Where?", [])
    engine.answer("Where?", [])
    assert engine.costs() == {
        "calls": 2,
        "prompt_tokens": 22,
        "completion_tokens": 6,
        "cached_tokens": 0,
        "cached": 1,
        "unparsed": 0,
    }
    engine.reset_costs()
    assert set(engine.costs().values()) == {0}


# --- base models ------------------------------------------------------------------------------------


def test_a_base_model_goes_on_with_examples(server: FakeServer) -> None:
    engine = get_engine(ChatSettings("m", server.address, route="completions", retries=0))
    assert isinstance(engine, CompletionsEngine)
    assert engine.answer("Where?", ["Maren\nShe grew up in Tessing."]) == "Paris"
    assert server.asked[0]["prompt"].endswith("Question: Where?\nAnswer:")
    assert server.asked[0]["stop"] == ["\n"]
    server.plan = [said("Ada lives in Ambry. Bram lives")]
    assert engine.compress(["Where?"], "", "a\nchunk", 5) == "Ada lives in Ambry."
    assert "Text: a chunk\nNew notes:" in server.asked[1]["prompt"]


def test_a_base_model_has_no_other_ability(server: FakeServer) -> None:
    from atommem_env.baselines import make_policy

    base = ChatSettings("m", server.address, route="completions", retries=0)
    make_policy("rag", engine=base)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="extract_facts"):
        make_policy("mem0", engine=base)  # type: ignore[arg-type]


# --- the engine by name, and prompts ----------------------------------------------------------------


def test_the_engine_names_its_model(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMMEM_MODEL", "m")
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    assert get_engine("llm").name == "llm:m"
    monkeypatch.delenv("ATOMMEM_MODEL")
    with pytest.raises(ValueError, match="ATOMMEM_MODEL"):
        get_engine("llm")


def test_a_folder_of_prompts_replaces_some(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("Only $$1: $question", encoding="utf-8")
    settings = ChatSettings("m", server.address, prompts=tmp_path)
    LLMEngine(settings).answer("Where?", [])
    assert prompt_of(server.asked[0]) == "Only $1: Where?"
    assert settings.describe()["prompts"] != ChatSettings("m", server.address).describe()["prompts"]
    assert Prompts().digest == Prompts().digest


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "answer",
            "$question $answers",
            r"no placeholder \$answers; this template may use \$passages, \$question",
        ),
        ("answer", "it costs $ 5", r"line 1: a \$ that begins no placeholder"),
        ("answers", "$question", "replaces no template: expected one of answer, "),
    ],
)
def test_a_bad_template_is_an_error_that_says_what_is_known(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        Prompts(tmp_path)


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a folder"):
        Prompts(tmp_path / "nowhere")


def test_the_package_has_a_prompt_for_everything_it_asks() -> None:
    assert {
        "answer",
        "compress",
        "evolve",
        "judge",
        "completions/answer",
        "completions/compress",
    } <= Prompts().names
