#!/usr/bin/env bash
# LlavaCode's tables 1 and 2 and its figure 2 at small scale: every row a projector, trained and evaluated on the same samples.
#
#   RUN=DIR CHUNKS=FILE WORK=DIR bash runs/llavacode.sh
#
# RUN: a finished run of small.sh (reader, encoder, projector). CHUNKS: chunks.jsonl of engine_chunks.py, with syntax trees.
# VALID_CHUNKS: those of repositories that nothing was trained on (held_out.py); without it a quarter of CHUNKS is held out.
# STEPS, BATCH, VALID, LEFT, RIGHT, PER_NODE set the scale. Rows that are there already are not made again.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${RUN:?}" "${CHUNKS:?}" "${WORK:?}"
python="${PYTHON:-python}"
steps="${STEPS:-60}" batch="${BATCH:-8}" valid="${VALID:-150}"
start="$RUN/joint/projector.pt"
samples="$WORK/samples"
models=(--reader "$RUN" --encoder "$RUN" --cache "$WORK/vectors")

[ -f "$samples/train.jsonl" ] ||
  "$python" draw_samples.py --chunks "$CHUNKS" --out "$samples" --count 1600 --valid 600 --held-out 0.25 \
    ${VALID_CHUNKS:+--valid-chunks "$VALID_CHUNKS"}

# NAME MODES OPTIONS...: trains and evaluates.
row() {
  local name="$1" modes="$2"
  shift 2
  [ -f "$WORK/$name/rows.jsonl" ] && return
  "$python" train_projector.py "${models[@]}" --samples "$samples/train.jsonl" --out "$WORK/$name" \
    --steps "$steps" --batch "$batch" --micro 8 --contexts 8 --per-node "${PER_NODE:-2}" --left-tokens "${LEFT:-160}" --right-tokens "${RIGHT:-48}" \
    --rollout-tokens 24 --precision bfloat16 "$@"
  # shellcheck disable=SC2086
  "$python" evaluate_projector.py "${models[@]}" --projector "$WORK/$name/projector.pt" --samples "$samples/valid.jsonl" \
    --limit "$valid" --modes $modes --collapse "$WORK/$name/collapse.json" --out "$WORK/$name/part.jsonl"
  mv "$WORK/$name/part.jsonl" "$WORK/$name/rows.jsonl"
}

# Table 1, from the projector that was trained to name a chunk's tokens; every regime at the same rate.
tuned=(--start "$start" --lr 3e-4)
row all "none full compressed" "${tuned[@]}"
row start compressed "${tuned[@]}" --steps 0
row only-ce compressed "${tuned[@]}" --cross-entropy 1 --reinforce 0 --alignment 0
row only-reinforce compressed "${tuned[@]}" --cross-entropy 0 --reinforce 1 --alignment 0

# Figure 2 and table 2, from nothing and without rollouts, which nothing here depends on.
fresh=(--reinforce 0)
row text-3 compressed "${fresh[@]}"
row unaligned compressed "${fresh[@]}" --alignment 0
row text-2 compressed "${fresh[@]}" --layers 2
row ast-3 compressed "${fresh[@]}" --modality ast
row ast-2 compressed "${fresh[@]}" --modality ast --layers 2

# The form the published code has, and what the papers say hurts or does not help.
row self-critical compressed "${tuned[@]}" --self-critical
row kl compressed "${tuned[@]}" --reinforce 0 --kl 1
row without-kl compressed "${tuned[@]}" --reinforce 0
row pretrained compressed "${fresh[@]}" --pretrain-steps "$((steps / 2))"
row entities compressed "${tuned[@]}" --reinforce 0 --entities-tokens 64
