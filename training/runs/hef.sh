#!/usr/bin/env bash
# HEF's figure 3 (how many pseudo-tokens) and table 5 (contexts that all hurt) at small scale, with one projector.
#
#   RUN=DIR SAMPLES=FILE PROJECTOR=FILE WORK=DIR bash runs/hef.sh
#
# RUN: a finished run of small.sh. SAMPLES: held-out samples of draw_samples.py. PROJECTOR: a projector.pt with PER_NODE rows a node.
# VALID samples are evaluated with each of CONTEXTS, SCORED are searched for harmful contexts.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${RUN:?}" "${SAMPLES:?}" "${PROJECTOR:?}" "${WORK:?}"
python="${PYTHON:-python}"
models=(--reader "$RUN" --encoder "$RUN" --cache "$WORK/vectors" --projector "$PROJECTOR")

for contexts in ${CONTEXTS:-1 2 5 8 15}; do
  out="$WORK/k-$((${PER_NODE:-4} * contexts))"
  [ -f "$out/rows.jsonl" ] && continue
  mkdir -p "$out"
  "$python" evaluate_projector.py "${models[@]}" --samples "$SAMPLES" --limit "${VALID:-100}" --modes compressed \
    --contexts "$contexts" --out "$out/part.jsonl"
  mv "$out/part.jsonl" "$out/rows.jsonl"
done

mkdir -p "$WORK/harmful"
head -n "${SCORED:-300}" "$SAMPLES" > "$WORK/harmful/scored.jsonl"
"$python" useful_contexts.py --reader "$RUN" --samples "$WORK/harmful/scored.jsonl" --out "$WORK/harmful/samples.jsonl" \
  --contexts 4 --harmful
[ -f "$WORK/harmful/rows.jsonl" ] ||
  "$python" evaluate_projector.py "${models[@]}" --samples "$WORK/harmful/samples.jsonl" --contexts 4 --out "$WORK/harmful/rows.jsonl"
