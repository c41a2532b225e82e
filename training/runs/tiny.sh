#!/usr/bin/env bash
# Every stage for a few steps, on a few packages: does the recipe run? A minute or two; the pack is of no use.
#
#   PACKAGES="DIR..." UNSEEN=DIR WORK=DIR bash runs/tiny.sh
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PACKAGES:?}" "${UNSEEN:?}" "${WORK:?}"
python="${PYTHON:-python}"
run="$WORK/tiny"
tokenizer="$run/tokenizer/tokenizer.json"

# shellcheck disable=SC2086
"$python" corpus.py --packages $PACKAGES --exclude "$UNSEEN" --out "$run/corpus" --max-repo-bytes 150000 --max-repos 12
corpus="$run/corpus/corpus.jsonl"
"$python" tokenizer.py --corpus "$corpus" --out "$run/tokenizer" --vocab-size 1024 --share 1
"$python" samples.py --corpus "$corpus" --tokenizer "$tokenizer" --out "$run/samples" --count 150 --corpus-bytes 1500000
"$python" train_reader.py --samples "$run/samples" --out "$run/reader" --minutes 1 --max-steps 4 \
  --layers 2 --dim 64 --heads 2 --kv-heads 1 --ffn 128 --vocab-size 1024 --batch-tokens 2048 --buckets 1 --no-compile
"$python" engine_chunks.py --corpus "$corpus" --tokenizer "$tokenizer" --out "$run/chunks" \
  --cli ../dist/cli.js
"$python" nodes.py --chunks "$run/chunks/chunks.jsonl" --tokenizer "$tokenizer" --out "$run/nodes" \
  --pairs 300 --samples 120 --bytes 1500000
"$python" train_encoder.py --run "$run" --nodes "$run/nodes" --minutes 1 --max-steps 3 --micro 8 --batch 16 --no-compile
"$python" train_fuser.py --run "$run" --nodes "$run/nodes" --minutes 1 --max-steps 4 --batch 8 --chunks 400
"$python" train_joint.py --run "$run" --nodes "$run/nodes" --minutes 1 --max-steps 2 --samples 40 --held-out 8 \
  --batch-tokens 4096 --no-compile
"$python" export.py --run "$run" --sources "$run/corpus/sources.json" --out "$run/precis-tiny"
