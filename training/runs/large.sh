#!/usr/bin/env bash
# A family of 45 M parameters on one GPU: small.sh's stages, wider and deeper.
#
#   PACKAGES="DIR..." UNSEEN=DIR WORK=DIR bash runs/large.sh
#
# MINUTES (25): of the reader's stage; the joint stage takes half as long. Not run yet: no GPU was at hand, and on two CPU cores
# it would take weeks.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PACKAGES:?}" "${UNSEEN:?}" "${WORK:?}"
python="${PYTHON:-python}"
run="$WORK/large" minutes="${MINUTES:-25}"
tokenizer="$run/tokenizer/tokenizer.json"
shape=(--vocab-size 16384 --layers 12 --dim 512 --heads 8 --kv-heads 2 --ffn 1536)
gpu=(--device "${DEVICE:-cuda}" --workers 1)

# shellcheck disable=SC2086
"$python" corpus.py --packages $PACKAGES --exclude "$UNSEEN" --out "$WORK/corpus" --max-repo-bytes 6000000
corpus="$WORK/corpus/corpus.jsonl"
"$python" tokenizer.py --corpus "$corpus" --out "$run/tokenizer" --vocab-size 16384 --share 0.12
"$python" samples.py --corpus "$corpus" --tokenizer "$tokenizer" --out "$run/valid" --count 45000 --valid
"$python" samples.py --corpus "$corpus" --tokenizer "$tokenizer" --out "$run/samples" --count 900000 --psm 0.1
"$python" copies.py --samples "$run/samples" --tokenizer "$tokenizer" --out "$run/copies" --count 30000
"$python" engine_chunks.py --corpus "$corpus" --tokenizer "$tokenizer" --out "$run/chunks" --cli ../dist/cli.js
"$python" nodes.py --chunks "$run/chunks/chunks.jsonl" --tokenizer "$tokenizer" --out "$run/nodes" \
  --pairs 200000 --samples 120000 --bytes 80000000

"$python" train_reader.py --samples "$run/samples" --copies "$run/copies" --valid "$run"/valid/* --out "$run/reader" \
  --minutes "$((minutes * 3 / 2))" --stop-minutes "$minutes" --buckets 4 --batch-tokens 262144 --micro-tokens 65536 \
  --muon-lr 0.02 --adam-lr 2e-3 "${shape[@]}" "${gpu[@]}"
"$python" train_encoder.py --run "$run" --nodes "$run/nodes" --minutes 3 --batch 768 --micro 256 "${gpu[@]}"
"$python" train_fuser.py --run "$run" --nodes "$run/nodes" --minutes 3 --chunks 120000
"$python" train_joint.py --run "$run" --nodes "$run/nodes" --minutes "$((minutes / 2))" --per-node 2 --samples 60000 \
  --batch-tokens 262144 --micro-rows 96 "${gpu[@]}"
# How much copied tokens weigh, on the corpus' held-out repositories; more are named with --folders.
"$python" fit_copying.py --run "$run" --corpus "$WORK/corpus/corpus.jsonl" --out "$run/copying.json"
"$python" export.py --run "$run" --sources "$WORK/corpus/sources.json" --out ../packs/precis-python --copying "$run/copying.json"
