r"""A part of the corpus, cut by the engine's own chunker: what the encoder, fuser and joint stages train on.

    python engine_chunks.py --corpus FILE --tokenizer FILE --out DIR \
        --cli ../dist/cli.js

Writes `chunks.jsonl`, one repository a line: its files and their chunks, and its `stars` where the corpus has them.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

from corpus import corpus_files
from failures import CorpusError, TrainingError, run_stage
from samples import MACHINE_LEARNING
from tokenizer import read_tokenizer


def part_of(records: list[dict[str, Any]], limit: int) -> dict[str, str]:
    """Neighbouring files up to `limit` bytes: whole folders, since what resembles a file stands beside it."""
    files = {r["path"]: r["text"] for r in sorted(records, key=lambda r: r["path"]) if "<|" not in r["text"]}
    size = sum(len(t) for t in files.values())
    skip = max(0, (size - limit) // 2)
    kept: dict[str, str] = {}
    seen = taken = 0
    for path, text in files.items():
        seen += len(text)
        if seen > skip and taken + len(text) <= limit:
            kept[path] = text
            taken += len(text)
    return kept


def cut_by_engine(files: dict[str, str], command: list[str], tokenizer: Path, max_tokens: int) -> list[dict[str, Any]]:
    """The engine's chunks of a folder holding `files`."""
    folder = Path(tempfile.mkdtemp(prefix="precis-training-"))
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        arguments = [*command, str(folder), "--tokenizer", str(tokenizer), "--max-tokens", str(max_tokens)]
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(folder)
    if result.returncode:
        said = (result.stderr.strip() or f"exit status {result.returncode}").splitlines()
        cause = next((line for line in said if "rror" in line), said[-1])
        raise TrainingError(f"the engine's chunker failed ({' '.join(command)}): {cause}")
    wanted = ("path", "startLine", "endLine", "text", "encoderText", "qualifiedName", "defines", "linearised")
    return [{k: row[k] for k in wanted} for row in map(json.loads, result.stdout.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--node", default="node")
    parser.add_argument("--cli", required=True, help="the engine's built command line, whose `chunks` command does the cutting")
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--repo-bytes", type=int, default=400_000)
    parser.add_argument("--total-bytes", type=int, default=1_000_000_000)
    parser.add_argument("--split", choices=["train", "held-out"], default="train")
    args = parser.parse_args()
    read_tokenizer(args.tokenizer)  # it is the engine that uses it
    args.out.mkdir(parents=True, exist_ok=True)

    total, count = 0, 0
    command = [args.node, args.cli, "chunks"]
    with (args.out / "chunks.jsonl").open("w") as out:
        for name, group in groupby(corpus_files(args.corpus), key=lambda r: str(r["repo"])):
            records = list(group)
            learning = MACHINE_LEARNING.search(name) is not None
            if records[0]["split"] != args.split or len(records) < 8 or total > args.total_bytes:
                continue
            files = part_of(records, args.repo_bytes if learning else args.repo_bytes // 4)
            chunks = cut_by_engine(files, command, args.tokenizer, args.max_tokens)
            if len(chunks) < 30:
                continue
            told = {"stars": records[0]["stars"]} if "stars" in records[0] else {}
            out.write(json.dumps({"repo": name, **told, "files": files, "chunks": chunks}) + "\n")
            total += sum(len(t) for t in files.values())
            count += len(chunks)
    if not count:
        raise CorpusError(f"{args.corpus} has no {args.split} repository of 8 files and 30 chunks: nothing was cut.")
    print(f"{total / 1e6:.1f} MB, {count} chunks")


if __name__ == "__main__":
    run_stage(main)
