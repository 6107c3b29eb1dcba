#!/bin/sh
# Trains with scratchpad and entries (full), without the scratchpad, and without entries (storage), from two seeds,
# by reinforcement learning alone on the generated world; runs one of them with and without a limit on memory; and
# draws it all. Usage: sh examples/learned_memory/ablations.sh [FOLDER]
set -eu
out=${1:-runs/ablations}
here=$(dirname "$0")
export OMP_NUM_THREADS=1

train() { # NAME SEED, and what makes it an ablation
    name=$1 seed=$2
    shift 2
    python "$here/train.py" --data world --questions 4 --no-warm-start --learning-rate 1e-3 --batch 256 \
        --steps 1024 --round 3072 --decisions 24576 --held-out-tasks 12 --seed "$seed" --out "$out/$name-$seed" "$@"
}

for seed in 0 1; do
    train full "$seed" --scratchpad
    train no-scratchpad "$seed"
    train no-storage "$seed" --no-storage
done
atommem plot "$out"/full-? "$out"/no-scratchpad-? "$out"/no-storage-? --out "$out/figures"

# Without a limit the policy gets a slot for every document, so that it is its own choice what to keep.
atommem run --env 'AtomMem-World-v0[capacity=20]' --env AtomMem-World-v0 --arg num_questions=4 \
    --arg entry_tokens=256 --arg scratchpad_tokens=256 --policy learned --policy-arg learned.slots=200 \
    --policy-arg learned.checkpoint="$out/full-0/best.npz" --episodes 30 --out "$out/limits"
atommem plot "$out/limits" --kind operation-frequencies --out "$out/figures"
