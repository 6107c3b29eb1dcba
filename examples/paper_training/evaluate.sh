#!/usr/bin/env bash
# A trained model behind vLLM, on the validation splits, with 200 and with 800 documents.
# MODEL=NAME BASE_URL=URL SOURCE=FOLDER bash examples/paper_training/evaluate.sh [KEY=VALUE of the task ...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
out=${OUT:-runs/paper}

for docs in 200 800; do
    task=$(python "$here/task.py" num_docs=$docs "$@")
    mapfile -t task <<< "$task"
    atommem run "${task[@]}" --source "${SOURCE:-hub}" --episodes "${EPISODES:-200}" \
        --policy atommem --engine llm --model "$MODEL" --base-url "$BASE_URL" \
        --temperature 0.7 --top-p 1.0 --max-tokens 4096 \
        --concurrency "${CONCURRENCY:-64}" --cache "$out/replies" --out "$out/evaluation-$docs"
done
