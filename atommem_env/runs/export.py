"""Episodes of a run as data for others: whole records, and chat samples for supervised fine-tuning.

- ``episodes``: a row per episode, with its ``steps`` (``observation``, ``action``, ``reward``, and ``said``, what a
  language model said for it, as it came) and ``metrics``.
- ``messages``: a row per episode, with the conversation: a complete prompt, then what is new at each step. Where
  questions are isolated a row per ``question`` (its number), whose conversation goes on from the end of reading.
- ``turns``: a row per step, with its ``prompt``, which needs no history (the paper's context reset), and its
  ``completion``.
- ``tools``: the same, with the conversation of an agent that calls tools, and the ``tools`` themselves.

The rows of one episode share its ``trajectory_id`` and ``return``. A completion is the action written in a text
protocol, which reads the same operations out of it again. With ``tools`` the calls and what they return are those of
:class:`atommem_env.integrations.trl.tools.MemoryTools`, so that a model trained on them can drive it; an action with
more than one Read or Answer cannot be said there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from atommem_env.core.types import score_of
from atommem_env.policies import Trace
from atommem_env.protocols import Protocol, get_protocol
from atommem_env.protocols.conversation import Conversation
from atommem_env.protocols.tool_calls import ToolProtocol, calls_of
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import replacing, write_whole
from atommem_env.runs.recorded import RecordedRun
from atommem_env.runs.traces import Replayed, replay_run
from atommem_env.text import clean

if TYPE_CHECKING:
    import pyarrow as pa

SELECTION_SCORES: Final = ("em", "f1", "cover_em", "reward")
"""What episodes are chosen by: a mean over the questions, or the sum of the rewards."""

ROWS: Final = ("episodes", "messages", "turns", "tools")
"""What a row can be."""

_BATCH: Final = 64
_CLOSE: Final = 1e-9
_FAREWELL: Final = "Done."  # a message without a call, which is how an agent with tools stops

Row = dict[str, Any]


@dataclass
class Exported:
    """What was written.

    Attributes:
        episodes: the number of episodes.
        rows: the number of rows.
        left_out: why episodes with the score are not among them, a sentence each.
    """

    episodes: int = 0
    rows: int = 0
    left_out: list[str] = field(default_factory=list)


def export(
    run: RecordedRun,
    path: str | os.PathLike[str],
    rows: str = "turns",
    *,
    envs: Sequence[str] = (),
    policies: Sequence[str] = (),
    score: str = "em",
    min_score: float = 0.0,
    protocol: str | Protocol = "atommem",
    template: str | None = None,
) -> Exported:
    """Write episodes of ``run`` to ``path``: as Parquet where its name ends so, else as JSON Lines.

    Each episode is made again from its stored trace; memory stays bounded, whatever the run's size.

    Args:
        run: a run in a folder.
        path: the file; it is replaced.
        rows: one of :data:`ROWS`.
        envs: the environments' names; none: all.
        policies: the policies' names; none: all.
        score: one of :data:`SELECTION_SCORES`.
        min_score: the least score of an episode, in [0, 1].
        protocol: how the completions of messages and turns are written, see
            :func:`atommem_env.protocols.get_protocol`; a run whose policies wrote text keeps that.
        template: the complete prompt of messages and turns in other words, as a file's path or as text.

    Raises:
        RunError: when no episode has the score, there are no traces, or an argument is none of these.
        ReplayError: when an episode cannot be made again.
    """
    if rows not in ROWS:
        raise RunError(f"rows {rows!r}: expected one of {', '.join(ROWS)}")
    if score not in SELECTION_SCORES:
        raise RunError(f"score {score!r}: expected one of {', '.join(SELECTION_SCORES)}")
    made = get_protocol(protocol, template)
    done = Exported()
    chosen = [
        episode
        for episode in run.select(envs, policies)
        if score == "reward" or (score_of(episode["metrics"], score) or 0.0) >= min_score - _CLOSE
    ]

    def all_rows() -> Iterator[Row]:
        found_traces = 0
        for replayed in replay_run(run, chosen):
            found_traces += 1
            if replayed.trace is None:
                raise replayed.error or RuntimeError("no trace")
            if score == "reward" and replayed.trace.episode_return < min_score - _CLOSE:
                continue
            try:
                found = list(_RENDERED[rows](replayed, replayed.trace, made))
            except ValueError as error:
                done.left_out.append(f"{_head(replayed, replayed.trace)['trajectory_id']}: {error}")
                continue
            done.episodes += 1
            done.rows += len(found)
            yield from found
        if not found_traces and chosen:
            raise RunError(f"{run.folder} has no stored traces: run it again without --no-traces")
        if found_traces < len(chosen):
            done.left_out.append(f"{len(chosen) - found_traces} episodes have no stored trace")
        if not done.episodes and not done.left_out:
            raise RunError(f"no episode has {score} of at least {min_score}: lower --min-score")

    write = _write_parquet if Path(path).suffix == ".parquet" else _write_lines
    write(Path(path), all_rows(), rows)
    return done


# --- rows -------------------------------------------------------------------------------------------


def _head(replayed: Replayed, trace: Trace) -> Row:
    """Return what every row says of its episode."""
    episode = replayed.episode
    names = ("env", "policy", "engine", "task_id", "task_index", "source")
    return {
        "trajectory_id": f"{episode['env']}/{episode['policy']}/{episode['task_index']}",
        **{name: cast("Mapping[str, Any]", episode)[name] for name in names},
        **{score: score_of(episode["metrics"], score) for score in ("em", "f1", "cover_em")},
        "return": trace.episode_return,
    }


def _episode_rows(replayed: Replayed, trace: Trace, protocol: Protocol) -> Iterator[Row]:
    observations, told = trace.observations[: len(trace.actions)], any(trace.said)
    steps = [
        {"observation": observation, "action": action, "reward": reward, **({"said": said} if told else {})}
        for observation, action, reward, said in zip(
            observations, trace.actions, trace.rewards, trace.said, strict=True
        )
    ]
    yield {**_head(replayed, trace), "metrics": trace.metrics, "steps": steps}


def _message_rows(replayed: Replayed, trace: Trace, protocol: Protocol) -> Iterator[Row]:
    rules, head = trace.infos[0]["rules"], _head(replayed, trace)
    conversation = Conversation()
    for (observation, completion), info in zip(_turns(trace, protocol), trace.infos, strict=False):
        if conversation.ends(info):
            yield {**head, **_told(conversation)}
        if isinstance(observation, str):
            shown = [{"role": "user", "content": observation}]
        elif not conversation.messages:
            shown = protocol.render_prompt(observation, rules, history=True)
        else:
            shown = [{"role": "user", "content": protocol.render_delta(observation, rules)}]
        conversation.show(shown, info)
        conversation.messages.append({"role": "assistant", "content": completion})
    yield {**head, **_told(conversation)}


def _told(conversation: Conversation, *last: Row) -> Row:
    """Return the columns of a conversation: which isolated question it is about, and its messages."""
    question = None if conversation.question < 0 else conversation.question
    return {"question": question, "messages": [*conversation.messages, *last]}


def _turn_rows(replayed: Replayed, trace: Trace, protocol: Protocol) -> Iterator[Row]:
    rules = trace.infos[0]["rules"]
    for step, (observation, completion) in enumerate(_turns(trace, protocol)):
        prompt = (
            [{"role": "user", "content": observation}]
            if isinstance(observation, str)
            else protocol.render_prompt(observation, rules)
        )
        yield {
            **_head(replayed, trace),
            "step": step,
            "reward": trace.rewards[step],
            "prompt": prompt,
            "completion": [{"role": "assistant", "content": completion}],
        }


def _tool_rows(replayed: Replayed, trace: Trace, protocol: Protocol) -> Iterator[Row]:
    from atommem_env.integrations.trl.tools import OVER, MemoryTools

    class Tools(MemoryTools):
        goes_back = True

    steps = [_calls(action) for action in trace.actions]
    tools, conversation = Tools(replayed.env), Conversation()
    head = {**_head(replayed, trace), "tools": _json(ToolProtocol().tools(trace.infos[0]["rules"]))}
    farewell = {"role": "assistant", "content": _FAREWELL}
    prompt = [{"role": "user", "content": tools.reset(trace.task_index)}]
    conversation.show(prompt, tools.trajectory.trace.infos[0])
    asking = ""  # the call whose result is the question
    for calls in steps:
        written = [{"name": name, "arguments": _json(arguments)} for name, arguments in calls]
        told = [{"type": "function", "function": call} for call in written]
        conversation.messages.append({"role": "assistant", "content": "", "tool_calls": told})
        *waiting, sent = [_result(name, getattr(tools, name)(**arguments)) for name, arguments in calls]
        conversation.messages += waiting
        info = tools.trajectory.trace.infos[-1]
        if conversation.ends(info):
            yield {**head, **_told(conversation, _result(sent["name"], OVER), farewell)}
            if tools.trajectory.over:
                return
            sent = _result(asking, sent["content"])
        elif conversation.question < 0:
            asking = sent["name"]
        conversation.show([sent], info)
    yield {**head, **_told(conversation, farewell)}


def _result(name: str, content: str) -> Row:
    return {"role": "tool", "name": name, "content": content}


def _calls(action: list[dict[str, Any]] | str) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls of tools that make up an action.

    Raises:
        ValueError: when they cannot say it.
    """
    if isinstance(action, str):
        raise ValueError("what a text agent wrote is not a call of tools")
    return calls_of(action)


def _turns(trace: Trace, protocol: Protocol) -> Iterator[tuple[Any, str]]:
    """Yield each observation with the text of the action.

    Raises:
        ValueError: when an action cannot be written in the protocol, a malformed one for example.
    """
    for observation, action in zip(trace.observations, trace.actions, strict=False):
        if isinstance(action, str):
            yield observation, action
        else:
            yield observation, protocol.render_operations(action, observation)


_RENDERED: Final[dict[str, Callable[[Replayed, Trace, Protocol], Iterator[Row]]]] = {
    "episodes": _episode_rows,
    "messages": _message_rows,
    "turns": _turn_rows,
    "tools": _tool_rows,
}


# --- files ------------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _write_lines(path: Path, rows: Iterable[Row], kind: str) -> None:
    write_whole(path, (f"{_json(row)}\n".encode() for row in rows))


def _write_parquet(path: Path, rows: Iterable[Row], kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(kind)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        batch: list[Row] = []
        for row in rows:
            batch.append(_flat(row))
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema))


def _schema(kind: str) -> pa.Schema:
    """Return the columns of a Parquet file; an observation, an action and metrics are JSON texts in it."""
    import pyarrow as pa

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    chat = pa.list_(pa.struct([("role", text), ("content", text)]))
    steps = pa.list_(pa.struct([("observation", text), ("action", text), ("reward", number)]))
    call = pa.struct([("type", text), ("function", pa.struct([("name", text), ("arguments", text)]))])
    calls = pa.list_(
        pa.struct([("role", text), ("content", text), ("tool_calls", pa.list_(call)), ("name", text)])
    )
    own = {
        "episodes": [("metrics", text), ("steps", steps)],
        "messages": [("question", whole), ("messages", chat)],
        "turns": [("step", whole), ("reward", number), ("prompt", chat), ("completion", chat)],
        "tools": [("question", whole), ("messages", calls), ("tools", text)],
    }
    head = [("trajectory_id", text), ("env", text), ("policy", text), ("engine", text), ("task_id", text)]
    head += [("task_index", whole), ("source", text)]
    head += [(score, number) for score in ("em", "f1", "cover_em", "return")]
    return pa.schema([*head, *own[kind]])


def _flat(row: Mapping[str, Any]) -> Row:
    flat = dict(row)
    if "steps" in flat:
        flat["metrics"] = _json(flat["metrics"])
        flat["steps"] = [
            {**step, "observation": _json(step["observation"]), "action": _json(step["action"])}
            for step in flat["steps"]
        ]
    return flat
