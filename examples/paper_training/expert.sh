#!/usr/bin/env bash
# An expert's traces on the train splits, and the steps of those that answered every question right.
# MODEL=NAME BASE_URL=URL SOURCE=FOLDER bash examples/paper_training/expert.sh [KEY=VALUE of the task ...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
task=$(python "$here/task.py" "$@")
mapfile -t task <<< "$task"
out=${OUT:-runs/paper}

atommem run "${task[@]}" --split train --source "${SOURCE:-hub}" --episodes "${EPISODES:-1000}" \
    --policy atommem --engine llm --model "$MODEL" --base-url "$BASE_URL" --max-tokens 4096 \
    --concurrency "${CONCURRENCY:-64}" --cache "$out/replies" --out "$out/expert"
atommem export "$out/expert" --trust --format turns --score em --min-score "${MIN_SCORE:-1.0}" --out "$out/sft.parquet"
