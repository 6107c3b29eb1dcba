#!/usr/bin/env bash
# The released AtomMem-8B as it is, through its own tags: `vllm serve Yupeng123/AtomMem-8B`, then
# MODEL=Yupeng123/AtomMem-8B BASE_URL=URL SOURCE=FOLDER bash examples/paper_training/released.sh [KEY=VALUE ...]
#
# Its chunks are 4000 tokens with 100 more on each side, it searches with its latest query, and nothing but the
# length of a reply bounds an entry or the scratchpad. TEMPLATE is a file with its own prompt, in place of ours.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
out=${OUT:-runs/paper}

for docs in 200 800; do
    task=$(python "$here/task.py" num_docs=$docs chunk_tokens=4200 chunk_overlap=200 \
        entry_tokens=null scratchpad_tokens=4096 "$@")
    mapfile -t task <<< "$task"
    atommem run "${task[@]}" --source "${SOURCE:-hub}" --episodes "${EPISODES:-200}" \
        --policy atommem --policy-arg atommem.protocol=released \
        ${TEMPLATE:+--policy-arg "atommem.template=$TEMPLATE"} \
        --engine llm --model "$MODEL" --base-url "$BASE_URL" \
        --temperature 0.7 --top-p 1.0 --max-tokens 4096 \
        --concurrency "${CONCURRENCY:-64}" --cache "$out/replies" --out "$out/released-$docs"
done
