#!/usr/bin/env bash
# The bundled pack from nothing, on two CPU cores in about four hours.
#
#   PACKAGES="DIR..." UNSEEN=DIR WORK=DIR bash runs/small.sh
#
# PACKAGES: folders of wheels to learn from (LOG.md says how ours were chosen). UNSEEN: sources that must stay out of the corpus,
# the evaluation repositories. WORK: where corpus and checkpoints go, several gigabytes, outside the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PACKAGES:?}" "${UNSEEN:?}" "${WORK:?}"
python="${PYTHON:-python}"
run="$WORK/small"
tokenizer="$run/tokenizer/tokenizer.json"

# Text: packages -> corpus -> tokenizer -> samples.
# shellcheck disable=SC2086
"$python" corpus.py --packages $PACKAGES --exclude "$UNSEEN" --out "$WORK/corpus" --max-repo-bytes 2500000
"$python" tokenizer.py --corpus "$WORK/corpus/corpus.jsonl" --out "$run/tokenizer" --share 0.12
"$python" samples.py --corpus "$WORK/corpus/corpus.jsonl" --tokenizer "$tokenizer" --out "$run/valid" --count 45000 --valid
"$python" samples.py --corpus "$WORK/corpus/corpus.jsonl" --tokenizer "$tokenizer" --out "$run/samples" --count 110000 --psm 0.1
"$python" copies.py --samples "$run/samples" --tokenizer "$tokenizer" --out "$run/copies" --count 3000
"$python" copies.py --samples "$run/samples" --tokenizer "$tokenizer" --out "$run/valid/copies" --count 24 --seed 9

# Stage 1: the reader. It stops before its learning rate has decayed; the joint stage goes on from there.
# The shipped reader took two legs of this instead of one; LOG.md tells them.
"$python" train_reader.py --samples "$run/samples" --copies "$run/copies" --valid "$run"/valid/* --out "$run/reader" \
  --minutes 200 --stop-minutes 140 --buckets 4

# The engine's chunker cuts what the later stages read.
"$python" engine_chunks.py --corpus "$WORK/corpus/corpus.jsonl" --tokenizer "$tokenizer" --out "$run/chunks" \
  --cli ../dist/cli.js
"$python" nodes.py --chunks "$run/chunks/chunks.jsonl" --tokenizer "$tokenizer" --out "$run/nodes" \
  --pairs 26000 --samples 16000 --bytes 80000000

# Stages 2 to 4: encoder and projector, fuser, then all but the encoder end to end.
"$python" train_encoder.py --run "$run" --nodes "$run/nodes" --minutes 8
"$python" train_fuser.py --run "$run" --nodes "$run/nodes" --minutes 2
"$python" train_joint.py --run "$run" --nodes "$run/nodes" --minutes 45 --per-node 2 --samples 4500

# How much copied tokens weigh, on the corpus' held-out repositories; more are named with --folders.
"$python" fit_copying.py --run "$run" --corpus "$WORK/corpus/corpus.jsonl" --out "$run/copying.json"
"$python" export.py --run "$run" --sources "$WORK/corpus/sources.json" --out ../packs/precis-python-small --copying "$run/copying.json" \
  --best-mode compressed
