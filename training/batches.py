"""Token arrays -> right-padded batches of a few fixed shapes, so that a compiled step is built once for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from failures import CorpusError

ClassWeights = tuple[float, float, float, float]
"""Loss weights of samples.py's classes: ignored, context, middle, end of text."""
MIDDLES: ClassWeights = (0.0, 0.0, 1.0, 1.0)


def mixed(middle: float) -> ClassWeights:
    """All text, the middle weighing more. The end of text does not: a reader that is paid for ending ends too early."""
    return (0.0, 1.0, middle, 1.0)


@dataclass(frozen=True)
class Batch:
    """Right-padded rows; padding has weight 0 and, attention being causal, no effect."""

    ids: Tensor
    """int64 [B, T + 1]."""
    weights: Tensor
    """float32 [B, T]: weight of predicting ids[:, 1:]."""
    rows: tuple[int, ...] = ()
    """Samples by number, to name a batch by."""


def read_array(file: Path, script: str) -> Any:
    """An array, or the arrays of an .npz, that `script` wrote; raises CorpusError where it is missing or damaged."""
    try:
        return np.load(file, mmap_mode="r")
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror or error}. Write it with {script}.") from error
    except Exception as error:  # a damaged file raises what it likes
        raise CorpusError(f"{file} cannot be read ({error}). Write it again with {script}.") from error


class SampleSet:
    """Samples written by samples.py."""

    def __init__(self, folder: Path, class_weights: ClassWeights) -> None:
        self.tokens, self.classes, self.offsets = (
            read_array(folder / f"{name}.npy", "samples.py, or nodes.py") for name in ("tokens", "classes", "offsets")
        )
        self.folder = folder
        self.lengths = np.diff(self.offsets)
        self.class_weights = np.asarray(class_weights, np.float32)

    def batch(self, rows: np.ndarray, length: int) -> Batch:
        """Samples `rows` padded to `length` input tokens."""
        ids = np.zeros((len(rows), length + 1), np.int64)
        weights = np.zeros((len(rows), length), np.float32)
        for i, row in enumerate(rows):
            start, n = self.offsets[row], min(int(self.lengths[row]), length + 1)
            ids[i, :n] = self.tokens[start : start + n]
            weights[i, : n - 1] = self.class_weights[self.classes[start + 1 : start + n]]
        return Batch(torch.from_numpy(ids), torch.from_numpy(weights), tuple(int(r) for r in rows))

    def bucket_lengths(self, buckets: int) -> list[int]:
        """Padded lengths, multiples of 32, at even quantiles of the samples' lengths."""
        edges = np.quantile(self.lengths - 1, np.linspace(0, 1, buckets + 1)[1:])
        return sorted({int(-(-edge // 32) * 32) for edge in edges})

    def batches(
        self, tokens_per_batch: int, micro_tokens: int, buckets: int, seed: int, skip: int = 0
    ) -> Iterator[list[Batch]]:
        """Endless batches of about `tokens_per_batch`, cut into micro-batches; every epoch visits each sample once.

        The weights of a whole batch sum to 1. `skip`: batches that an interrupted run has had already.
        """
        rng = np.random.default_rng(seed)
        lengths = self.bucket_lengths(buckets)
        while True:
            owner = np.searchsorted(lengths, self.lengths - 1)
            plan: list[tuple[np.ndarray, int, int]] = []
            for b, length in enumerate(lengths):
                rows = rng.permutation(np.flatnonzero(owner == b))
                micro = max(1, round(micro_tokens / length))
                size = micro * max(1, round(tokens_per_batch / (micro * length)))
                plan += [(rows[i : i + size], length, micro) for i in range(0, len(rows) - size + 1, size)]
            if not plan:
                raise CorpusError(f"{self.folder} has {len(self.lengths)} samples, less than one batch. Lower --batch-tokens.")
            for k in rng.permutation(len(plan)):
                if skip:
                    skip -= 1
                    continue
                rows, length, micro = plan[k]
                parts = [self.batch(rows[i : i + micro], length) for i in range(0, len(rows), micro)]
                total = sum(float(p.weights.sum()) for p in parts)
                yield [Batch(p.ids, p.weights / total, p.rows) for p in parts]
