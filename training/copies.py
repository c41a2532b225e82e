"""Synthetic rows in which only copying helps: spans that come again, of random tokens or of code in shuffled order.

    python copies.py --samples DIR --tokenizer FILE --out DIR --count 4000

Attention heads that copy ("induction") make retrieved text useful. On code alone they take tens of millions of tokens to form.
Only repeated tokens carry a loss, from the second of each repetition on: the first cannot be known.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batches import read_array
from failures import run_stage
from samples import IGNORED, MIDDLE, write
from tokenizer import SPECIAL, read_tokenizer


def copying_row(
    rng: np.random.Generator, stream: NDArray[np.uint16], length: int, first: int, vocabulary: int
) -> tuple[list[int], list[int]]:
    """(ids, loss classes) of one row."""
    spans: list[list[int]] = []
    for _ in range(int(rng.integers(4, 14))):
        size = int(rng.integers(3, 40))
        if rng.random() < 0.5:
            spans.append(rng.integers(first, vocabulary, size).tolist())
        else:
            at = int(rng.integers(0, len(stream) - size))
            spans.append([max(int(i), first) for i in stream[at : at + size]])
    ids: list[int] = []
    classes: list[int] = []
    seen: set[int] = set()
    while len(ids) < length:
        k = int(rng.integers(len(spans)))
        # A repetition may begin and end inside its span, as names in code do.
        begin = int(rng.integers(0, max(1, len(spans[k]) // 3))) if k in seen else 0
        span = spans[k][begin:]
        ids += span
        classes += [IGNORED] + [MIDDLE if k in seen else IGNORED] * (len(span) - 1)
        seen.add(k)
    return ids[:length], classes[:length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="code to take spans from")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--length", type=int, default=545)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    tokenizer = read_tokenizer(args.tokenizer)
    stream = read_array(args.samples / "tokens.npy", "samples.py")
    rows = [copying_row(rng, stream, args.length, len(SPECIAL), tokenizer.get_vocab_size()) for _ in range(args.count)]
    write(args.out, rows)


if __name__ == "__main__":
    run_stage(main)
