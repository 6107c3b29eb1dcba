"""What workflows share: records of the entries that exist, and a scratchpad that must fit."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.baselines.common import ScratchpadBudget, blocks
from atommem_env.core.ledger import Ledger
from atommem_env.core.rules import Rules
from atommem_env.text import PieceTokenizer


def result(
    op: str, id: int | None = None, reason: str | None = None, evicted: int | None = None
) -> dict[str, Any]:
    return {"op": op, "ok": reason is None, "reason": reason, "id": id, "evicted": evicted}


def after(*results: dict[str, Any]) -> dict[str, Any]:
    return {"results": results}


def test_a_ledger_files_records_under_the_ids_that_creates_got() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect(["a", "b", "c"])
    refused = result("create", reason="too_long")
    paired = ledger.follow(after(result("create", 1), result("read"), refused, result("create", 3)))
    assert ledger.records == {1: "a", 3: "c"}
    assert paired == [("a", result("create", 1)), ("b", refused), ("c", result("create", 3))]


def test_a_ledger_forgets_what_is_deleted_or_evicted_and_nothing_else() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect("abc")
    ledger.follow(after(*(result("create", id) for id in (1, 2, 3))))
    ledger.expect("d")
    ledger.follow(
        after(
            result("delete", 2),
            result("delete", 9, reason="unknown_id"),
            result("delete", 3, reason="disabled"),
            result("create", 4, evicted=1),
        )
    )
    assert ledger.records == {3: "c", 4: "d"}


def test_a_ledger_expects_nothing_of_an_action_that_it_was_not_told_of() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect("a")
    ledger.follow(after(result("create", 1)))
    assert ledger.follow(after(result("create", 2))) == []
    assert ledger.records == {1: "a"}


def test_a_scratchpad_budget_shrinks_by_a_quarter_at_a_refusal_for_its_length() -> None:
    budget = ScratchpadBudget(100)
    budget.follow(after(result("create", reason="too_long"), result("update", 5, reason="too_long")))
    budget.follow(after(result("update", 0, reason="disabled")))
    assert budget.tokens == 100
    budget.follow(after(result("update", 0, reason="too_long")))
    assert budget.tokens == 75
    for _ in range(40):
        budget.follow(after(result("update", 0, reason="too_long")))
    assert budget.tokens == 1
    budget.reset(Rules(scratchpad_tokens=None))
    assert budget.tokens == 100


def test_a_scratchpad_budget_is_at_most_what_the_environment_allows() -> None:
    budget = ScratchpadBudget(100)
    for limit, tokens in ((30, 30), (300, 100), (None, 100)):
        budget.reset(Rules(scratchpad_tokens=limit))
        assert budget.tokens == tokens


def test_a_scratchpad_is_cut_behind_the_last_sentence_that_fits() -> None:
    text = "The mill is old. It was built of stone."
    assert ScratchpadBudget(100).cut(text) == text
    assert ScratchpadBudget(8).cut(text) == "The mill is old."
    part = ScratchpadBudget(2).cut(text)
    assert text.startswith(part)
    assert PieceTokenizer().count(part) == 2


def test_a_scratchpad_budget_is_positive() -> None:
    with pytest.raises(ValueError, match="budget_tokens=0: expected 1 or more"):
        ScratchpadBudget(0)


def test_blocks_are_the_parts_between_blank_lines() -> None:
    assert blocks("A\none\n\n\n\nB\n\n ") == ["A\none", "B"]
