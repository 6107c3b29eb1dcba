"""The short answer in a reply, in the forms in which models write it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.answers import short_answer

FENCE = "`" * 3
DRESSED = [
    "**Final Answer**\n\nParis",
    "### Answer\nParis",
    f"{FENCE}\nParis\n{FENCE}",
    '{"answer": "Paris", "reason": "the Seine"}',
    '{\n  "reason": "the Seine",\n  "answer": "Paris",\n}',
    f'{FENCE}json\n{{"answer": "Paris"}}\n{FENCE}',
    "{'answer': 'Paris'}",
    '{"answer": ["Paris"]}',
    '{"answer": {"text": "Paris"}}',
    "<answer>Paris</answer>",
    "She lives by the Seine. <answer>Paris</answer>",
    "<final_answer>\\boxed{Paris}</final_answer>",
    "\\boxed{\\text{Paris}}",
    "$\\boxed{Paris}$",
    "She lives by the Seine.\nSo the answer is: Paris.",
    "Therefore, the answer is Paris.",
    "The final answer is **Paris**.",
    "Short answer: Paris",
    "Answer: Paris. Explanation: it lies on the Seine.",
    "Q: Where does she live?\nA: Paris",
    "Sure, here's the answer: Paris",
    "Here is my final answer:\n\nParis",
    "I believe the answer is Paris.",
    "Final answer → Paris",
    "Answer => Paris",
    "[ANSWER] Paris",
    "[ANSWER]: Paris [/ANSWER]",
    "She lives by the Seine. <|begin_of_box|>Paris<|end_of_box|>",
    "Answer - Paris",
    "Answer：Paris",
    "Answer:\nParis",
    "**Answer:** Paris",
    "**Answer: Paris**",
    "1. Think.\n2. Done.\n\n## Final Answer:\n**Paris**",
    "“Paris”",
    "`Paris`",
    "Paris<|im_end|>",
    "Paris</s>",
    "<think>Lyon?</think><think>No.</think>Paris",
    "[THINK]Lyon?[/THINK]\n\nParis",
    "Paris\n\nExplanation: she lives by the Seine.",
]


@pytest.mark.parametrize("reply", DRESSED)
def test_the_answer_is_found_in_every_dress(reply: str) -> None:
    assert short_answer(reply) == "Paris"


UNTOUCHED = [
    *(
        "The Answer (novel)",
        "Answer Me!",
        "50%",
        "The Answer",
        "Answer",
        "3.5",
        "-5",
        "C#",
        "1. FC Nord",
        "No. 1",
    ),
    *(
        "O'Brien",
        '"Heroes" (song)',
        "Washington, D.C.",
        "U.S.",
        "'Til Then",
        "{x}",
        "Dr. No",
        "*NSYNC",
        "St. Louis",
    ),
]


@pytest.mark.parametrize("answer", UNTOUCHED)
def test_what_is_an_answer_itself_is_not_touched(answer: str) -> None:
    assert short_answer(answer) == answer


@pytest.mark.parametrize(
    "reply", ["", " \n", "<think>hm", "\\boxed{}", "<answer></answer>", f"{FENCE}\n{FENCE}"]
)
def test_a_reply_without_an_answer_gives_none(reply: str) -> None:
    assert short_answer(reply) == ""


ANSWERS = st.sampled_from(
    ["Paris", "Ada Brandt", "1931", "12 May 1840", "50%", "The Answer (novel)", "Answer Me!", "yes", "東京"]
)
INNER = ["{}", "**{}**", '"{}"', "“{}”", "`{}`", "<answer>{}</answer>", "\\boxed{{\\text{{{}}}}}"]
OUTER = [
    "{}",
    "Answer: {}",
    "Final answer: {}",
    "**Final Answer**\n\n{}",
    "### Answer\n{}",
    f"{FENCE}\n{{}}\n{FENCE}",
    "She lives by the Seine.\n\nSo the answer is: {}",
    "<think>hm</think>{}",
    "{}<|im_end|>",
    "{}\n\nThat is all.",
]


@given(ANSWERS, st.sampled_from(INNER), st.sampled_from(OUTER))
@settings(max_examples=200, deadline=None)
def test_dresses_go_over_each_other(answer: str, inner: str, outer: str) -> None:
    if "boxed" in inner and "%" in answer:
        answer = answer.replace("%", "\\%")
    assert short_answer(outer.format(inner.format(answer))) == answer.replace("\\%", "%")
