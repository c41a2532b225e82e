r"""Repositories that nothing was trained on -> a corpus file to evaluate on.

    python held_out.py --corpus FILE --folders site-packages/moto site-packages/libcst --out FILE
    python engine_chunks.py --corpus FILE --split held-out ...

The corpus' own held-out repositories, and folders of installed packages whose licence you know. A file goes out by the corpus'
rules, and where it shares lines with a file that was trained on. Its second line of output lists what stays, by repository.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from corpus import corpus_files, overlaps, shingles, stable, unfit
from failures import CorpusError, run_stage


def folder_files(folder: Path, most: int) -> Iterator[dict[str, str]]:
    """Python files of an installed package, `most` bytes of them, in an order of their own."""
    if not folder.is_dir():
        raise CorpusError(f"{folder} is no folder. Name folders of Python source with --folders.")
    total = 0
    for path in sorted(folder.rglob("*.py"), key=lambda p: stable(str(p.relative_to(folder)))):
        text = path.read_text(errors="replace").replace("\r\n", "\n")
        if total > most:
            return
        if unfit(str(path.relative_to(folder)), text) is None:
            total += len(text)
            yield {"repo": folder.name, "path": f"{folder.name}/{path.relative_to(folder)}", "text": text}


def seen_lines(corpus: Path, texts: list[str]) -> set[int]:
    """The shingles of `texts` that a file trained on has too."""
    wanted: set[int] = set().union(*(shingles(text) for text in texts))
    found: set[int] = set()
    for row in corpus_files(corpus):
        if row["split"] == "train":
            found |= shingles(row["text"]) & wanted
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.jsonl that the models were trained on")
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="sources of packages that it does not hold")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--max-repo-bytes", type=int, default=1_500_000)
    args = parser.parse_args()

    trained: set[str] = set()
    rows: list[dict[str, str]] = []
    for row in corpus_files(args.corpus):
        if row["split"] == "train":
            trained.add(row["repo"].replace("_", "-"))
        else:
            rows.append(row)
    for folder in args.folders:
        if folder.name.lower().replace("_", "-") in trained:
            raise CorpusError(f"{folder.name} was trained on: {args.corpus} holds it. Leave it out.")
        rows += folder_files(folder, args.max_repo_bytes)
    if not rows:
        raise CorpusError(f"{args.corpus} holds no repository back and no folder has Python files: nothing to evaluate on.")
    seen = seen_lines(args.corpus, [row["text"] for row in rows])
    kept = [row for row in rows if not overlaps(row["text"], seen)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w") as out:
        for row in kept:
            out.write(json.dumps(row | {"split": "held-out"}) + "\n")
    by_repo: dict[str, int] = {}
    for row in kept:
        by_repo[row["repo"]] = by_repo.get(row["repo"], 0) + 1
    print(f"{len(kept)} files of {len(by_repo)} repositories; {len(rows) - len(kept)} share lines with what was trained on")
    print(", ".join(f"{name} {count}" for name, count in by_repo.items()))


if __name__ == "__main__":
    run_stage(main)
