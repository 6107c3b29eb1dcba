"""A run over a Ray cluster, next to the same run in one process.

    pip install 'atommem_env[ray]'
    python examples/trainers/ray_run.py

Two actors run the episodes of two workflows on generated data; each is sent the keys of its episodes and opens the data
itself. Prints the run's table and whether the record is, byte for byte, that of one process. Without ``$RAY_ADDRESS`` a
Ray with two workers is started on this machine; with it the run is on that cluster. The command line's form:

    atommem run --on ray --jobs 2 --env AtomMem-HotpotQA-v0 --source generated --policy rag --policy memagent
"""

import tempfile
from pathlib import Path

import atommem_env


def main() -> None:
    print("Data: generated. Policies: static workflows with the rules engine, no model.\n")
    with tempfile.TemporaryDirectory() as name:
        records = []
        for on, jobs in (("local", 1), ("ray", 2)):
            folder = Path(name) / on
            run = atommem_env.evaluate(
                "AtomMem-HotpotQA-v0",
                ["rag", "memagent"],
                episodes=8,
                jobs=jobs,
                on=on,
                out=folder,
                source="generated",
                num_docs=30,
                chunk_tokens=1024,
            )
            records.append((folder / "episodes.jsonl").read_bytes())
        print(run)
        print(f"\nOne process and two actors wrote the same bytes: {records[0] == records[1]}")


if __name__ == "__main__":
    main()
