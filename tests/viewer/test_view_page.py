"""The viewer's page: one self-contained file with every episode of a run, whatever their texts say."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.baselines import make_policy
from atommem_env.cli import application
from atommem_env.cli.view import HOST, page_server
from atommem_env.credit import entry_values
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.trace_file import TRACES_FILE
from atommem_env.runs.variants import recorded_env
from atommem_env.viewer.view import view_page
from small_data import dataset, hotpot_rows, records

NASTY = "</script><script>document.title = 'broken'</script><!-- <img src=x onerror=alert(1)> \u2028 &amp;"
SMALL = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 150, "chunk_overlap": 10}
ENV = "AtomMem-HotpotQA-v0"


class Page(HTMLParser):
    """The elements of a page, read as a browser does."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [str(value) for name, value in attributes if name in ("src", "href")]
        self._open = tag == "script"
        if self._open:
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)

    @property
    def data(self) -> dict[str, Any]:
        """The table's data."""
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == "data")

    def blob(self, id: str) -> dict[str, Any]:
        """A task or an episode, unpacked."""
        text = next(text for attributes, text in self.scripts if attributes.get("id") == id)
        return json.loads(gzip.decompress(base64.b64decode(text)))


def nasty_file(folder: Path) -> Path:
    """A file of questions whose every text tries to end the element that it stands in."""
    made = records(12)
    for record in made:
        record["question"] += NASTY
        record["answers"] = [NASTY]
        for document in record["documents"]:
            document["text"] += f" {NASTY}"
    path = folder / "hotpot_dev_distractor_nasty.json"
    path.write_text(json.dumps(hotpot_rows(made)))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("view")
    out = base / "run"
    evaluate(
        ENV,
        ["random", "rag", "full-context"],
        2,
        source=str(nasty_file(base)),
        out=out,
        progress=False,
        **SMALL,
    )
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(view_page(Run.load(folder)))


def test_every_episode_is_in_the_table_with_its_metrics(folder: Path, page: Page) -> None:
    recorded = Run.load(folder).episodes
    assert len(page.data["episodes"]) == len(recorded) == 6
    for row, episode in zip(page.data["episodes"], recorded, strict=True):
        task = page.data["tasks"][row["task"]]
        assert (row["policy"], task["index"]) == (episode["policy"], episode["task_index"])
        assert row["em"] == episode["metrics"]["em"]
        assert row["refused"] == sum(episode["metrics"]["refused"].values())
        for asked, said, question in zip(
            task["questions"], row["questions"], episode["metrics"]["questions"], strict=True
        ):
            assert asked["question"] == question["question"]
            assert said["prediction"] == question["prediction"]


def test_every_episode_and_task_can_be_unpacked(page: Page) -> None:
    for row in page.data["episodes"]:
        assert row["why"] is None
        assert len(page.blob(row["blob"])["steps"]) == row["steps"]
        assert NASTY.replace("\u2028", "") in page.blob(page.data["tasks"][row["task"]]["blob"])[
            "text"
        ].replace("\u2028", "")


def test_a_task_is_there_once_for_all_its_policies(page: Page) -> None:
    ids = [attributes.get("id") for attributes, _ in page.scripts if "octet" in str(attributes.get("type"))]
    assert sorted(map(str, ids)) == ["e0", "e1", "e2", "e3", "e4", "e5", "t0", "t1"]


def test_no_text_of_the_data_becomes_an_element(page: Page) -> None:
    types = [attributes.get("type") for attributes, _ in page.scripts]
    assert types == ["application/json", None, *["application/octet-stream"] * 8]


def test_the_page_names_no_other_file(page: Page, folder: Path) -> None:
    assert page.addresses == ["data:,"]
    text = view_page(Run.load(folder))
    assert "default-src 'none'" in text
    assert not re.search(
        r"(?:https?:)?//[\w-]+\.\w", re.sub(r"<script type=.*?</script>", "", text, flags=re.DOTALL)
    )


def test_the_same_run_gives_the_same_bytes(folder: Path) -> None:
    assert view_page(Run.load(folder)) == view_page(Run.load(folder))


def test_a_policy_with_a_buffer_has_no_evidence(page: Page) -> None:
    rows = [row for row in page.data["episodes"] if row["policy"] == "full-context"]
    assert rows
    for row in rows:
        assert row["evidence"] is None
        assert page.blob(row["blob"])["events"] is None
    assert [row["uses_buffer"] for row in page.data["summary"]] == [False, False, True]


def test_generated_data_and_engines_are_named(tmp_path: Path) -> None:
    evaluate(
        "AtomMem-HotpotQA-v0", "rag", 1, source="generated", out=tmp_path / "run", progress=False, num_docs=40
    )
    data = Page(view_page(Run.load(tmp_path / "run"))).data
    (env,) = data["envs"]
    assert env["label"] == "AtomMem-HotpotQA-v0 (generated)"
    assert env["source"].startswith("generated:")
    assert data["episodes"][0]["engine"] == "world"
    assert any("reads the generated world" in note for note in data["notes"])


class Restless:
    """Creates something else each time that it is made."""

    made = 0

    def __init__(self) -> None:
        Restless.made += 1
        self.text = f"thought {Restless.made}"

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        pass

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"op": "answer" if observation["phase"] else "create", "content": self.text}]


def test_writes_have_values_when_a_score_is_named(folder: Path) -> None:
    run = Run.load(folder)
    page = Page(view_page(run, policies=["rag", "full-context"], task_index=0, credit="read"))
    rows = {row["policy"]: page.blob(row["blob"]) for row in page.data["episodes"]}
    env = recorded_env(run.settings).make()
    _, values = entry_values(env, make_policy("rag"), {"task_index": 0}, "read")
    assert any(value.value for value in values)
    assert rows["rag"]["credit"] == {"score": "read"}
    assert [
        (step, position, operation["value"])
        for step, data in enumerate(rows["rag"]["steps"])
        for position, operation in enumerate(data["action"])
        if "value" in operation
    ] == [(value.step, value.position, round(value.value, 4)) for value in values]
    assert "keeps text outside memory" in rows["full-context"]["credit"]["why"]
    assert "credit" not in Page(view_page(run, policies=["rag"])).blob("e0")


def test_an_episode_whose_policy_cannot_be_asked_again_says_why_it_has_no_values(tmp_path: Path) -> None:
    for name, policy in (("object", Restless()), ("restless", f"{__name__}:Restless")):
        evaluate(
            ENV, policy, 1, source=str(nasty_file(tmp_path)), out=tmp_path / name, progress=False, **SMALL
        )
        page = Page(view_page(Run.load(tmp_path / name, trust=True), credit="em"))
        (row,) = page.data["episodes"]
        why = page.blob(row["blob"])["credit"]["why"]
        assert ("given as a Python object" if name == "object" else "does something else") in why
        assert len(page.blob(row["blob"])["steps"]) == row["steps"]


def test_filters_choose_episodes(folder: Path) -> None:
    data = Page(view_page(Run.load(folder), policies=["rag"], task_index=1)).data
    assert [(row["policy"], data["tasks"][row["task"]]["index"]) for row in data["episodes"]] == [("rag", 1)]
    with pytest.raises(RunError, match="policy 'x' is not in this run"):
        view_page(Run.load(folder), policies=["x"])
    with pytest.raises(RunError, match="holds no such episode"):
        view_page(Run.load(folder), task_index=7)


def test_an_episode_without_a_trace_is_there_and_says_how_to_get_one(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.is_file() and file.name != TRACES_FILE:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    data = Page(view_page(Run.load(tmp_path))).data
    assert len(data["episodes"]) == 6
    assert all(row["blob"] is None and "--no-traces" in row["why"] for row in data["episodes"])


def test_an_episode_that_cannot_be_made_again_says_why(tmp_path: Path) -> None:
    path = nasty_file(tmp_path)
    evaluate(ENV, "rag", 1, source=str(path), out=tmp_path / "file", progress=False, **SMALL)
    path.unlink()
    evaluate(
        "AtomMem-Custom-v0", "rag", 1, source=dataset(), out=tmp_path / "object", progress=False, **SMALL
    )
    for name, reason in (("file", path.name), ("object", "given as a Python object")):
        (row,) = Page(view_page(Run.load(tmp_path / name))).data["episodes"]
        assert row["blob"] is None
        assert reason in row["why"]


def test_a_run_in_memory_has_no_page() -> None:
    run = evaluate("AtomMem-Custom-v0", "closed-book", 1, source=dataset(), progress=False, **SMALL)
    with pytest.raises(RunError, match="in memory only"):
        view_page(run)


# --- the command ------------------------------------------------------------------------------------


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(application(), ["view", *arguments])


def test_the_command_writes_the_page_into_the_folder_or_a_file(folder: Path, tmp_path: Path) -> None:
    assert invoke(str(folder), "--quiet").exit_code == 0
    assert (folder / "view.html").read_text(encoding="utf-8") == view_page(Run.load(folder))
    (folder / "view.html").unlink()
    named = tmp_path / "new" / "page.html"
    result = invoke(str(folder), "--policy", "rag", "--out", str(named))
    assert result.exit_code == 0
    assert "page.html" in " ".join(result.output.split())
    assert named.stat().st_mode & 0o777 == 0o644
    assert {row["policy"] for row in Page(named.read_text(encoding="utf-8")).data["episodes"]} == {"rag"}


def test_the_command_refuses_a_folder_as_its_file(folder: Path, tmp_path: Path) -> None:
    result = invoke(str(folder), "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "is a folder" in result.output


def test_the_command_refuses_an_unknown_score(folder: Path) -> None:
    result = invoke(str(folder), "--credit", "exact")
    assert result.exit_code == 2
    assert "expected 'em' or 'f1'" in " ".join(result.output.split())


def test_the_command_says_why_values_that_were_asked_for_are_missing(folder: Path, tmp_path: Path) -> None:
    some = invoke(str(folder), "--policy", "rag", "--policy", "full-context", "--credit", "read")
    assert some.exit_code == 0
    assert "episodes are shown without the values of their writes:" in some.output
    assert "keeps text outside memory" in " ".join(some.output.split())
    source = str(nasty_file(tmp_path))
    policy = f"{__name__}:Restless"
    evaluate(ENV, policy, 1, source=source, out=tmp_path / "foreign", progress=False, **SMALL)
    foreign = invoke(str(tmp_path / "foreign"), "--credit", "em")
    assert foreign.exit_code == 2
    assert "shows no write's value, which --credit asks for" in foreign.output
    assert policy in foreign.output
    assert "--trust" in foreign.output
    assert (tmp_path / "foreign" / "view.html").exists()


def test_the_command_refuses_what_is_no_run(tmp_path: Path) -> None:
    result = invoke(str(tmp_path))
    assert result.exit_code == 2
    assert "run.json" in result.output


def test_the_page_is_served_on_this_machine_alone() -> None:
    with page_server("<p>ä</p>".encode(), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            base = f"http://{HOST}:{server.server_port}"
            with urllib.request.urlopen(f"{base}/") as answer:
                assert answer.read().decode() == "<p>ä</p>"
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{base}/run.json")
            assert refused.value.code == 404
            refused.value.close()
        finally:
            server.shutdown()
            thread.join()
    assert HOST == "127.0.0.1"


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"], ["evil.example:{port}"], ["127.0.0.1"], ["127.0.0.1:1"], ["localhost.evil.example:{port}"],
        ["127.0.0.1:{port}.evil.example"], ["0.0.0.0:{port}"], ["[::1]:{port}"], [""], [], ["a@127.0.0.1:{port}"],
        ["127.0.0.1:{port}", "evil.example"],
    ],
)  # fmt: skip
def test_a_request_under_another_name_gets_no_page(hosts: list[str]) -> None:
    assert _status(hosts) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}"])
def test_a_request_to_this_machine_gets_the_page(host: str) -> None:
    assert _status([host]) == 200


def _status(hosts: list[str]) -> int:
    with page_server(b"<p>secret</p>", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
            connection.putrequest("GET", "/", skip_host=True)
            for host in hosts:
                connection.putheader("Host", host.replace("{port}", str(server.server_port)))
            connection.endheaders()
            answer = connection.getresponse()
            assert (b"secret" in answer.read()) == (answer.status == 200)
            connection.close()
            return answer.status
        finally:
            server.shutdown()
            thread.join()


def test_a_taken_port_is_refused(folder: Path) -> None:
    with page_server(b"", 0) as server:
        result = invoke(str(folder), "--serve", "--port", str(server.server_port))
        assert result.exit_code == 2
        assert "name another" in " ".join(result.output.split())
    (folder / "view.html").unlink()
