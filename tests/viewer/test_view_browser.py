"""The viewer's page in a browser: what it shows, and how one goes about in it.

Needs playwright (the extra ``browser``) and a Chromium, ``$ATOMMEM_CHROMIUM`` or one on the path; skipped without.
The pictures of the README are made by

    ATOMMEM_SCREENSHOTS=docs/images pytest -m heavy -n 0 tests/viewer/test_view_browser.py -k pictures
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from atommem_env.data.world.chat import ChatConfig, generate_chat
from atommem_env.runs import Run, evaluate
from atommem_env.viewer.view import view_page
from small_data import hotpot_rows, records

pytestmark = pytest.mark.heavy

ENV = "AtomMem-HotpotQA-v0"
CUSTOM = "AtomMem-Custom-v0"
NASTY = "</script><img src=x onerror=\"document.title='broken'\">"


class Script:
    """Creates, updates, deletes and is refused; writes what it deleted again, except in task 2."""

    name = "script"

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.step = 0
        self.task = info["task_index"]
        self.gold = [unit["sentence"] for answer in info["gold"] for unit in answer["evidence"]]

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[dict[str, Any]]:
        self.step += 1
        if observation["phase"] == 1:
            return [{"op": "answer", "content": f"River {NASTY}"}]
        gold = " ".join(self.gold)
        actions = {
            1: [
                {"op": "create", "content": gold},
                {"op": "update", "id": 0, "content": "the first words of the scratchpad"},
                {"op": "update", "id": 99, "content": "nobody"},
            ],
            2: [
                {"op": "delete", "id": 1},
                {"op": "update", "id": 0, "content": "the second words of the scratchpad"},
            ],
            3: [{"op": "create", "content": f"{gold} {NASTY}"}, {"op": "read", "query": self.gold[0]}],
        }
        return [] if self.task == 2 and self.step == 3 else actions.get(self.step, [])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run of three policies on three tasks of four chunks; texts hold elements."""
    base = tmp_path_factory.mktemp("browser")
    made = records(24)
    for record in made:
        record["documents"][0]["text"] += f" A note {NASTY} ends here."
    source = base / "hotpot_dev_distractor_small.json"
    source.write_text(json.dumps(hotpot_rows(made)))
    run = evaluate(
        ENV,
        ["rag", "closed-book", Script],
        3,
        source=str(source),
        out=base / "run",
        progress=False,
        num_docs=12,
        num_questions=1,
        chunk_tokens=120,
        chunk_overlap=10,
    )
    file = base / "page.html"
    file.write_text(view_page(Run.load(base / "run", trust=True), credit="kept"), encoding="utf-8")
    assert len(run.episodes) == 9
    return file.as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on(
        "request", lambda request: problems.append(request.url) if request.url.startswith("http") else None
    )
    opened.goto(address)
    opened.wait_for_selector("table.episodes")
    yield opened
    opened.close()
    assert problems == []


def rows(page: Any) -> list[list[str]]:
    """The policy and the task of each row of the table."""
    cells = [row.query_selector_all("td") for row in page.query_selector_all("#rows tr")]
    return [[row[1].inner_text(), row[0].inner_text()] for row in cells]


def visit(page: Any, place: str, waited: str) -> None:
    page.evaluate("place => { location.hash = place }", place)
    page.wait_for_selector(waited)


def heading(page: Any) -> str:
    return str(page.inner_text(".step h2")).split("\n")[0].split(" of ")[0]


def wait_for_step(page: Any, number: int) -> None:
    page.wait_for_selector(f".step h2:has-text('Step {number} of')")


def test_the_table_is_filtered_and_sorted(page: Any) -> None:
    assert len(rows(page)) == 9
    page.keyboard.press("/")
    page.keyboard.type("rag task 2")
    assert rows(page) == [["rag", "2"]]
    assert page.inner_text("#found") == "1 of 9 episodes"
    page.fill("#text", "")
    page.select_option("#policy", "script")
    assert [policy for policy, _ in rows(page)] == ["script"] * 3
    page.click("th[data-column=task] button")
    page.click("th[data-column=task] button")
    assert [task for _, task in rows(page)] == ["2", "1", "0"]
    page.select_option("#policy", "")
    page.select_option("#outcome", "lost")
    assert "lost" in page.url
    assert rows(page) == [["script", "2"]]
    page.fill("#text", "no such text")
    assert "No episode fits" in page.inner_text("#rows")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert len(rows(page)) == 9


def test_an_episode_is_walked_with_keys_and_the_browser_goes_back(page: Any) -> None:
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    wait_for_step(page, 1)
    assert "/rag/1" in page.url
    page.keyboard.press("j")
    wait_for_step(page, 2)
    page.keyboard.press("ArrowRight")
    wait_for_step(page, 3)
    page.keyboard.press("k")
    wait_for_step(page, 2)
    page.keyboard.press("End")
    page.wait_for_selector(".step h2:has-text('answering question 1 of 1')")
    page.keyboard.press("n")
    page.wait_for_selector(".crumbs:has-text('task 2')")
    page.go_back()
    page.wait_for_selector(".crumbs:has-text('task 1')")
    page.go_back()
    page.wait_for_selector("table.episodes")


def test_a_step_shows_operations_refusals_and_the_memory_after_it(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/script/0/1", ".step h2")
    assert len(page.query_selector_all(".op")) == 3
    assert "refused: unknown_id" in page.inner_text(".op.refused")
    assert page.query_selector(".entry.created")
    page.keyboard.press("j")
    wait_for_step(page, 2)
    assert "#1" in page.inner_text(".op.delete")
    assert "#1" in page.inner_text(".entry.deleted")
    assert page.inner_text(".entry.scratchpad del").strip() == "first"
    assert page.inner_text(".entry.scratchpad ins").strip() == "second"
    page.keyboard.press("j")
    wait_for_step(page, 3)
    page.keyboard.press("j")
    wait_for_step(page, 4)
    assert "#2" in page.inner_text(".query .entry")


def test_the_funnel_says_where_evidence_was_lost_and_leads_there(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/script/2/4", ".outcome")
    lost = page.query_selector(".chip.lost")
    assert lost.inner_text() == "lost at step 2: Delete #1"
    lost.click()
    wait_for_step(page, 2)
    assert "lost e1" in page.inner_text(".op.delete")


def test_writes_say_what_they_are_worth(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/script/0/1", ".step h2")
    assert page.inner_text(".op.create .worth") == "evidence kept ±0"  # it is deleted at the next step
    assert not page.query_selector(".op.refused .worth")
    page.keyboard.press("j")
    wait_for_step(page, 2)
    page.keyboard.press("j")
    wait_for_step(page, 3)
    assert page.inner_text(".op.create .worth") == "evidence kept +100.0"
    assert [worth.inner_text() for worth in page.query_selector_all(".line .worth")] == ["+100.0"]


def test_gold_is_marked_on_request(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/rag/0/1", ".chunk")
    steps = len(page.query_selector_all(".line"))
    assert not page.query_selector("mark")
    page.keyboard.press("g")
    marked = set()
    for number in range(1, steps + 1):
        wait_for_step(page, number)
        page.wait_for_selector("button.on")
        marked |= {mark.get_attribute("data-unit") for mark in page.query_selector_all("mark")}
        page.keyboard.press("j")
    assert marked == {"e1", "e2"}


def test_two_policies_stand_side_by_side(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/rag/0/1", ".step h2")
    page.select_option("#compare", label="script")
    page.wait_for_selector(".compare")
    assert [side.inner_text() for side in page.query_selector_all(".side h2 a")] == ["rag", "script"]
    page.keyboard.press("j")
    page.wait_for_selector(".line.now:has-text('chunk 2')")
    assert page.query_selector(".side:nth-child(2) .op.delete")
    page.keyboard.press("End")
    page.wait_for_selector(".compare .question")
    assert len(page.query_selector_all(".both-outcomes tbody tr")) == 1
    page.keyboard.press("c")
    page.wait_for_selector(".step h2")
    page.keyboard.press("Escape")
    page.wait_for_selector("table.episodes")


def test_help_opens_and_escape_closes_it_first(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/rag/0/1", ".step h2")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    assert page.is_visible(".step h2")
    page.keyboard.press("Escape")
    page.wait_for_selector("table.episodes")


def test_texts_are_shown_as_they_are_and_nothing_in_them_runs(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/script/0/3", ".step h2")
    assert NASTY in page.inner_text(".cards")
    assert NASTY in page.inner_text(".outcome")
    for number in range(1, 5):
        visit(page, f"#/episode/{ENV}/rag/0/{number}", f".step h2:has-text('Step {number} of')")
        assert not page.query_selector("#main img")
    assert page.title() == "run: atommem"


def test_keys_in_the_same_instant_are_all_done(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/rag/0/1", ".step h2")
    press = "key => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    page.evaluate(f"for (const key of ['j', 'j', 'j']) ({press})(key)")
    wait_for_step(page, 4)
    page.evaluate(f"for (const key of ['n', 'n', 'j']) ({press})(key)")
    page.wait_for_selector(".crumbs:has-text('task 2')")
    wait_for_step(page, 2)


def test_an_episode_begins_at_its_top_and_the_table_stays_where_it_was_scrolled(page: Any) -> None:
    page.set_viewport_size({"width": 700, "height": 260})
    page.evaluate("scrollTo(0, 300)")
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    page.evaluate("document.querySelectorAll('#rows tr')[2].click()")
    page.wait_for_selector(".step h2")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    page.wait_for_selector("table.episodes")
    assert page.evaluate("scrollY") == scrolled


def test_all_of_a_header_cell_sorts(page: Any) -> None:
    cell = page.query_selector("th[data-column=task]").bounding_box()
    page.mouse.click(cell["x"] + 2, cell["y"] + 2)
    assert [task for _, task in rows(page)] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


def test_shares_are_rounded_as_the_table_of_a_run_rounds_them(page: Any) -> None:
    shares = [number / 400 for number in range(401)] + [number / 7 for number in range(8)]
    source = (resources.files("atommem_env.viewer") / "assets" / "base.js").read_text(encoding="utf-8")
    made = page.evaluate(f"shares => {{ {source}; return shares.map(percent) }}", shares)
    assert made == [f"{100 * share:.1f}" for share in shares]


def test_runs_stand_in_one_table_and_side_by_side(browser: Any, tmp_path: Path) -> None:
    small = {"num_docs": 8, "num_questions": 2, "chunk_tokens": 200, "chunk_overlap": 0}
    made = [
        evaluate("AtomMem-World-v0", policies, 2, out=tmp_path / name, progress=False, **small)
        for name, policies in (("a", ["rag", "closed-book"]), ("b", ["rag"]))
    ]
    file = tmp_path / "page.html"
    file.write_text(view_page(made), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(file.as_uri())
    opened.wait_for_selector("table.episodes")
    assert len(opened.query_selector_all("#rows tr")) == 6
    names = [row.inner_text() for row in opened.query_selector_all("table.summary tbody td:first-child")]
    first, second = f"rag [{tmp_path / 'a'}]", f"rag [{tmp_path / 'b'}]"
    assert names == [first, "closed-book", second]
    opened.click("#rows tr")
    opened.wait_for_selector(".step h2")
    opened.select_option("#compare", label=second)
    opened.wait_for_selector(".compare")
    assert [side.inner_text() for side in opened.query_selector_all(".side h2 a")] == [first, second]
    opened.close()


def test_many_questions_are_shown_a_few_at_once_the_asked_one_first(browser: Any, tmp_path: Path) -> None:
    small = {"num_docs": 40, "num_questions": 10, "chunk_tokens": 2000, "chunk_overlap": 0}
    run = evaluate("AtomMem-World-v0", "rag", 1, out=tmp_path / "a", progress=False, **small)
    file = tmp_path / "page.html"
    page = view_page(run)
    assert "const FIRST_OUTCOMES = 30;" in page
    file.write_text(page.replace("const FIRST_OUTCOMES = 30;", "const FIRST_OUTCOMES = 3;"), encoding="utf-8")
    opened = browser.new_page(bypass_csp=True)
    opened.goto(f"{file.as_uri()}#/episode/AtomMem-World-v0/rag/0/1")
    opened.wait_for_selector(".step h2")
    assert len(opened.query_selector_all(".ending")) == 3
    opened.keyboard.press("End")
    opened.wait_for_selector(".ending.asked")
    assert opened.inner_text(".ending .number") == "10"
    opened.click(".outcome .rest")
    assert len(opened.query_selector_all(".ending")) == 10
    opened.close()


class Talker(Script):
    """Says something at its first step that cannot be read."""

    name = "talker"

    def take_said(self) -> list[dict[str, Any]]:
        if self.step > 1:
            return []
        unread = {"ability": "facts", "reply": f"I think {NASTY}", "prompt_tokens": 1200, "read": False}
        return [unread, {"ability": "answer", "reply": "Paris", "reasoning": "the Seine"}]


@pytest.fixture(scope="module")
def long_chat(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of one history of 504 sessions, of seven generated chats, with 260 questions."""
    base = tmp_path_factory.mktemp("long")
    sessions, questions = [], []
    for number in range(7):
        chat = json.loads(
            json.dumps(generate_chat(ChatConfig(size=7, sessions=72, questions=40), "test", number))
        )
        for session in chat["sessions"]:
            for turn in session["turns"]:
                turn["id"] = f"{number}:{turn['id']}"
        for question in chat["questions"]:
            for role in ("evidence", "superseded"):
                question[role] = [f"{number}:{id}" for id in question.get(role, ())]
        sessions += chat["sessions"]
        questions += chat["questions"]
    (base / "chat.json").write_text(
        json.dumps([{"id": "long", "sessions": sessions, "questions": questions[:260]}])
    )
    evaluate(
        CUSTOM, ["rag"], 1, source=str(base / "chat.json"), out=base / "chats", progress=False, engine="rules"
    )
    file = base / "page.html"
    file.write_text(view_page(Run.load(base / "chats")), encoding="utf-8")
    return file.as_uri()


def test_a_long_history_has_its_dates_and_a_question_is_found_and_gone_to(
    browser: Any, long_chat: str
) -> None:
    opened = browser.new_page(viewport={"width": 400, "height": 800})
    opened.goto(f"{long_chat}#/episode/{CUSTOM}/rag/0/41")
    opened.wait_for_selector(".step h2")
    lines = opened.query_selector_all("nav.steps .line")
    dates = [line.query_selector(".date").text_content() for line in lines[:504]]
    assert dates == sorted(dates)
    assert dates[40] in opened.inner_text(".chunk .session")
    assert len(opened.query_selector_all(".chunk .speaker")) == 10
    assert opened.evaluate("document.documentElement.scrollWidth") <= 400
    opened.fill("input[type=search]", "lighthouse")
    assert "of 260 questions" in opened.inner_text(".find .sub")
    links = opened.query_selector_all(".ending .link")
    assert all("lighthouse" in ending.inner_text().lower() for ending in opened.query_selector_all(".ending"))
    wanted = links[3].inner_text()
    links[3].click()
    opened.wait_for_function(
        f"document.querySelector('.step .question')?.textContent === {json.dumps(wanted)}"
    )
    assert opened.evaluate("scrollY") == 0
    assert opened.input_value("input[type=search]") == "lighthouse"
    first = heading(opened)
    opened.keyboard.press("q")
    opened.wait_for_function(
        f"document.querySelector('.step .question').textContent !== {json.dumps(wanted)}"
    )
    opened.keyboard.press("Q")
    wait_for_step(opened, int(first.split()[1]))
    opened.close()


def test_what_a_model_said_is_shown_as_it_came(browser: Any, tmp_path: Path) -> None:
    small = {"num_docs": 12, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 0}
    run = evaluate("AtomMem-World-v0", Talker, 1, out=tmp_path / "a", progress=False, **small)
    file = tmp_path / "page.html"
    file.write_text(view_page(run), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(f"{file.as_uri()}#/episode/AtomMem-World-v0/talker/0/1")
    opened.wait_for_selector(".said")
    first, second = (box.inner_text() for box in opened.query_selector_all(".said"))
    assert NASTY in first
    assert "could not be read" in first
    assert "1,200" in first
    assert "Paris" in second
    assert "could not be read" not in second
    opened.keyboard.press("j")
    wait_for_step(opened, 2)
    assert not opened.query_selector(".said")
    opened.close()


def test_a_place_that_is_not_there_says_so(page: Any) -> None:
    visit(page, f"#/episode/{ENV}/nobody/0", ".empty")
    assert "no such episode" in page.inner_text("#main")


def test_the_pictures_of_a_long_history(browser: Any, long_chat: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("ATOMMEM_SCREENSHOTS", tmp_path))
    image = pytest.importorskip("PIL.Image")
    sizes = {"view-history": (1400, 640, 571), "view-history-narrow": (400, 640, 41)}
    for name, (width, height, step) in sizes.items():
        opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        opened.goto(f"{long_chat}#/episode/{CUSTOM}/rag/0/{step}")
        opened.wait_for_selector(".step h2")
        if width > 1000:
            opened.fill("input[type=search]", "lighthouse")
        picture = image.open(io.BytesIO(opened.screenshot()))
        picture.quantize(64).save(folder / f"{name}.png", optimize=True)
        assert (folder / f"{name}.png").stat().st_size < 150_000
        opened.close()


def test_the_pictures_of_the_readme(browser: Any, tmp_path: Path) -> None:
    evaluate(
        "AtomMem-World-v0",
        ["closed-book", "random", "rag", "memagent", "oracle"],
        8,
        out=tmp_path / "world",
        progress=False,
        num_docs=40,
        num_questions=3,
        chunk_tokens=1500,
        capacity=20,
        overflow="evict_oldest",
    )
    file = tmp_path / "page.html"
    file.write_text(view_page(Run.load(tmp_path / "world")), encoding="utf-8")
    places = {
        "view-table": ("#/", "table.episodes"),
        "view-episode": ("#/episode/AtomMem-World-v0/rag/1/3", ".step h2"),
        "view-compare": ("#/compare/AtomMem-World-v0/rag/memagent/1/8", ".compare h2"),
    }
    opened = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="light")
    folder = Path(os.environ.get("ATOMMEM_SCREENSHOTS", tmp_path))
    for name, (place, waited) in places.items():
        opened.goto(f"{file.as_uri()}{place}")
        opened.wait_for_selector(waited)
        if name == "view-episode":
            opened.keyboard.press("g")
            opened.wait_for_selector("button.on")
        picture = opened.screenshot(path=folder / f"{name}.png")
        assert len(picture) < 250_000
    opened.close()
