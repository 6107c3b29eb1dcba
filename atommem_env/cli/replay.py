"""``atommem replay``: whether the stored traces of a run still lead where its episodes ended."""

from __future__ import annotations

import typer

from atommem_env.cli.common import (
    Debug,
    OnlyEnvs,
    OnlyPolicies,
    OnlyTask,
    Quiet,
    RunFolder,
    Trust,
    command,
    use_working_folder,
)
from atommem_env.cli.console import complain
from atommem_env.runs.errors import RunError
from atommem_env.runs.progress import progress_bar
from atommem_env.runs.run import Run
from atommem_env.runs.traces import replay_run

_MOST = 10


@command("replay")
def replay_command(
    run: RunFolder,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    task_index: OnlyTask = None,
    trust: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that every stored trace of a run leads to the final state and the metrics that were recorded.

    An environment is deterministic: a trace that ends elsewhere shows that the data, the package or the
    environment has changed since. The exit status is then 1.

    [dim]Examples:[/dim]

      atommem replay runs/mine

      atommem replay runs/mine --policy rag --task-index 3
    """
    if trust:
        use_working_folder()
    loaded = Run.load(run, trust)
    episodes = loaded.select(env or (), policy or (), task_index)
    if not episodes:
        raise RunError(f"{run} holds no such episode: leave out --env, --policy or --task-index")
    same = 0
    errors: list[str] = []
    with progress_bar(len(episodes), 0, not quiet) as advance:
        for replayed in replay_run(loaded, episodes):
            same += replayed.error is None
            if replayed.error is not None:
                errors.append(str(replayed.error))
            advance()
    for error in errors[:_MOST]:
        complain(error)
    without = len(episodes) - same - len(errors)
    print(
        f"{same} of {len(episodes)} episodes end in the same state with the same metrics"
        + (f"; {len(errors)} do not" if errors else "")
        + (f"; {without} have no stored trace" if without else "")
    )
    if errors:
        raise typer.Exit(1)
