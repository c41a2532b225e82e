"""Engine chunks -> what the encoder, fuser and joint stages read, tokenised once.

    python nodes.py --chunks FILE --tokenizer FILE --out DIR --pairs 24000 --samples 12000

Writes `chunks.npz` (tokens of every chunk, its file, folder and repository), `pairs.npz` (query windows with the chunk each
should find), and `none/`, `full/`, `named/` with `candidates.npy`: the same holes alone, behind retrieved text and behind
entity names, and what Jaccard retrieval proposes for them, best first.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from chunks import from_engine, identifiers
from failures import CorpusError, run_stage
from samples import MACHINE_LEARNING, Before, Budget, Repository, draw_hole, encode, render, window, write
from tokenizer import read_tokenizer

CANDIDATES = 16


class Ragged:
    """Rows of different lengths in one array."""

    def __init__(self, tokens: NDArray[np.uint16], offsets: NDArray[np.int64]) -> None:
        self.tokens, self.offsets = tokens, offsets

    @classmethod
    def of(cls, rows: list[list[int]]) -> "Ragged":
        offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
        return cls(np.asarray([i for r in rows for i in r], np.uint16), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def padded(self, rows: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(ids [n, width], lengths [n])."""
        ids = np.zeros((len(rows), width), np.int64)
        lengths = np.minimum(self.offsets[rows + 1] - self.offsets[rows], width)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = self.tokens[self.offsets[row] : self.offsets[row] + lengths[i]]
        return ids, lengths


def chunked(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of engine_chunks.py; raises CorpusError for a missing file, an empty one, and a line that is none."""
    try:
        lines = path.open()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}. Write it with engine_chunks.py.") from error
    number = 0
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                assert isinstance(row["repo"], str) and isinstance(row["files"], dict) and isinstance(row["chunks"], list)
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                raise CorpusError(f"{path}:{number} is no repository ({error}). Write it with engine_chunks.py.") from error
            yield row
    if number == 0:
        raise CorpusError(f"{path} holds no chunks. Write it with engine_chunks.py.")


def loaded(path: Path) -> Iterator[Repository]:
    """Repositories with the engine's chunks."""
    for row in chunked(path):
        yield Repository(row["repo"], row["files"], [from_engine(c) for c in row["chunks"]])


def draw_pair(repository: Repository, rng: random.Random) -> tuple[str, int] | None:
    """(query window, index of the chunk it should find): the next chunk of its file, or the most similar elsewhere."""
    path = rng.choice(repository.paths)
    hole = draw_hole(repository.files[path], rng)
    if hole is None:
        return None
    query = window(hole[0], hole[2])
    line = hole[0].count("\n")
    if rng.random() < 0.4:
        later = [c for c in repository.by_file[path] if c.start_line <= line < c.end_line]
        chunk = later[0] if later else None
        # The window must not hold the whole chunk, or finding it would be a matter of equality.
        if chunk is not None and chunk.end_line - chunk.start_line < 8:
            chunk = None
    else:
        found = repository.index.search(identifiers(query + "\n" + hole[1]), path, 1)
        chunk = found[0][1] if found and found[0][0] > 0.12 else None
    return (query, repository.position[id(chunk)]) if chunk is not None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=24_000)
    parser.add_argument("--samples", type=int, default=12_000)
    parser.add_argument("--bytes", type=int, default=60_000_000, help="size of the chunked files, to spread the draws")
    parser.add_argument("--encoder-tokens", type=int, default=256)
    args = parser.parse_args()

    rng = random.Random(1)
    tokenizer = read_tokenizer(args.tokenizer)
    chunk_rows: list[list[int]] = []
    files: list[int] = []
    folders: list[int] = []
    repos: list[int] = []
    file_ids: dict[tuple[str, str], int] = {}
    folder_ids: dict[tuple[str, str], int] = {}
    queries: list[list[int]] = []
    positives: list[int] = []
    sets: dict[str, list[Any]] = {"none": [], "full": [], "named": []}
    candidates: list[list[int]] = []
    for number, repository in enumerate(loaded(args.chunks)):
        first = len(chunk_rows)
        chunks = repository.index.chunks
        encoded = tokenizer.encode_batch([c.encoder_text for c in chunks], add_special_tokens=False)
        for chunk, encoding in zip(chunks, encoded, strict=True):
            chunk_rows.append(encoding.ids[: args.encoder_tokens])
            files.append(file_ids.setdefault((repository.name, chunk.path), len(file_ids)))
            folders.append(folder_ids.setdefault((repository.name, chunk.path.rpartition("/")[0]), len(folder_ids)))
            repos.append(number)
        weight = (2.0 if MACHINE_LEARNING.search(repository.name) else 0.7) * repository.bytes / args.bytes
        for _ in range(round(args.pairs * weight)):
            pair = draw_pair(repository, rng)
            if pair is not None:
                queries.append(encode(tokenizer, pair[0])[: args.encoder_tokens])
                positives.append(first + pair[1])
        for _ in range(round(args.samples * weight)):
            sample = repository.draw(rng, oracle=0.3, copies=0.0, found=CANDIDATES)
            rows = [render(tokenizer, sample, "spm", Budget(), b) for b in get_args(Before)] if sample else []
            if sample and len(sample.retrieved) >= 4 and None not in rows:
                for mine, row in zip(sets.values(), rows, strict=True):
                    mine.append(row)
                best = [first + repository.position[id(c)] for c in reversed(sample.retrieved)]
                candidates.append(best + [-1] * (CANDIDATES - len(best)))
    args.out.mkdir(parents=True, exist_ok=True)
    chunk_tokens, query_tokens = Ragged.of(chunk_rows), Ragged.of(queries)
    np.savez(
        args.out / "chunks.npz", tokens=chunk_tokens.tokens, offsets=chunk_tokens.offsets,
        files=np.asarray(files), folders=np.asarray(folders), repos=np.asarray(repos),
    )  # fmt: skip
    np.savez(args.out / "pairs.npz", tokens=query_tokens.tokens, offsets=query_tokens.offsets, positives=np.asarray(positives))
    order = rng.sample(range(len(candidates)), len(candidates))
    for name, rows in sets.items():
        write(args.out / name, [rows[i] for i in order])
    np.save(args.out / "candidates.npy", np.asarray([candidates[i] for i in order], np.int64))
    print(f"{len(chunk_rows)} chunks, mean {chunk_tokens.lengths().mean():.0f} tokens; {len(queries)} pairs")


if __name__ == "__main__":
    run_stage(main)
