#!/usr/bin/env bash
# HEF's tables 4 (regimes) and 7 (size of the fuser) at small scale: every row a reader, trained and evaluated on the same samples.
#
#   RUN=DIR CHUNKS=FILE VALID_CHUNKS=FILE WORK=DIR bash runs/hef_regimes.sh [ROW ...]
#
# RUN: a finished run of small.sh. CHUNKS: chunks.jsonl of engine_chunks.py. VALID_CHUNKS: those of repositories that nothing was
# trained on (held_out.py). STEPS, BATCH, COUNT, VALID, LEFT, RIGHT set the scale. What is there already is not made again.
# Rows: data fusers initial uwl random separate names small large; all without an argument.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${RUN:?}" "${CHUNKS:?}" "${VALID_CHUNKS:?}" "${WORK:?}"
python="${PYTHON:-python}"
samples="$WORK/samples" cache="$WORK/vectors"
lengths=(--left-tokens "${LEFT:-160}" --right-tokens "${RIGHT:-48}")
# Pseudo-tokens of the run's projector: 2 a node. 6 chunks and 2 files make 16, 20 chunks and 6 files 52.
few=(--contexts 6 --files 2) many=(--contexts 20 --files 6)

row_data() {
  [ -f "$samples/train.jsonl" ] ||
    "$python" draw_samples.py --chunks "$CHUNKS" --valid-chunks "$VALID_CHUNKS" --out "$samples" --keep 24 \
      --count "${COUNT:-1500}" --valid "${VALID:-320}"
  [ -f "$WORK/useful/train.jsonl" ] ||
    "$python" useful_contexts.py --reader "$RUN" --samples "$samples/train.jsonl" --out "$WORK/useful/train.jsonl" --contexts 10 \
      --precision bfloat16 "${lengths[@]}"
  [ -f "$WORK/random/train.jsonl" ] ||
    "$python" draw_samples.py --chunks "$CHUNKS" --out "$WORK/random" --random --keep 10 --count 0 --holes "$WORK/useful/train.jsonl"
}

# NAME LAYERS WIDTH: a fuser, contrastively; `middle` has the shape of the run's own.
fuser() {
  [ -f "$WORK/fuser-$1/fuser.pt" ] && return
  mkdir -p "$WORK/fuser-$1"
  "$python" train_fuser.py --encoder "$RUN" --text "$CHUNKS" --out "$WORK/fuser-$1" --cache "$WORK/chunk-vectors" \
    --chunks "${FUSER_CHUNKS:-6000}" --max-steps "${FUSER_STEPS:-200}" --batch 48 --minutes 600 --layers "$2" --width "$3"
}
row_fusers() {
  fuser middle 2 256
  fuser small 1 128
  fuser large 4 384
}

# NAME SAMPLES FUSER OPTIONS...: trains.
train() {
  local name="$1" from="$2" with="$3"
  shift 3
  [ -f "$WORK/$name/projector.pt" ] && return
  "$python" train_end_to_end.py --reader "$RUN" --encoder "$RUN" --cache "$cache" --fuser "$WORK/fuser-$with/fuser.pt" \
    --samples "$WORK/$from/train.jsonl" --start "$RUN/joint/projector.pt" --out "$WORK/$name" --steps "${STEPS:-120}" \
    --batch "${BATCH:-8}" --lr "${RATE:-3e-4}" --warm-up 0.05 --save-every 60 --precision bfloat16 "${few[@]}" "${lengths[@]}" "$@"
}
# ROW NAME MODES OPTIONS...: evaluates what `train NAME` made.
evaluate() {
  local row="$1" name="$2" modes="$3"
  shift 3
  [ -f "$WORK/$row/rows.jsonl" ] && return
  mkdir -p "$WORK/$row"
  # shellcheck disable=SC2086
  "$python" evaluate_projector.py --reader "$WORK/$name/reader" --encoder "$RUN" --cache "$cache" \
    --projector "$WORK/$name/projector.pt" --fuser "$WORK/$name/fuser.pt" --samples "$samples/valid.jsonl" \
    --limit "${VALID:-320}" --batch 32 --modes $modes --out "$WORK/$row/part.jsonl" "$@"
  mv "$WORK/$row/part.jsonl" "$WORK/$row/rows.jsonl"
}

# Table 4. `initial` has learnt nothing; its reader alone is the paper's first row.
row_initial() {
  train initial useful middle --regime separate --steps 0
  evaluate initial initial "none compressed"
}
row_uwl() {
  train uwl useful middle --regime end-to-end
  evaluate uwl uwl "none compressed"
  evaluate uwl-52 uwl compressed "${many[@]}"
}
row_random() {
  train random random middle --regime end-to-end
  evaluate random random compressed
}
row_separate() {
  train separate useful middle --regime separate
  evaluate separate separate compressed
}
row_names() {
  train names useful middle --regime end-to-end --names-tokens 64
  evaluate names-52 names compressed "${many[@]}"
}

# Table 7, with the 52 pseudo-tokens that the paper's has.
row_small() {
  train small useful small --regime end-to-end
  evaluate fuser-small small compressed "${many[@]}"
}
row_large() {
  train large useful large --regime end-to-end
  evaluate fuser-large large compressed "${many[@]}"
}

[ $# -gt 0 ] || set -- data fusers initial uwl random separate names small large
for row in "$@"; do
  "row_$row"
done
