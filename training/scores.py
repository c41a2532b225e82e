"""What a prediction is worth: exact match and edit similarity (RepoCoder, section 3.3), and the bootstrap for differences."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def comparable(prediction: str, target: str) -> tuple[str, str]:
    """Both stripped, the prediction cut to as many lines as the target has."""
    target = target.strip()
    lines = prediction.strip().split("\n")[: target.count("\n") + 1]
    return "\n".join(lines).strip(), target


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's: insertions, deletions and substitutions of characters."""
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, ch in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (ch != other))
    return row[-1]


def exact_match(prediction: str, target: str) -> float:
    """1 where they are equal."""
    a, b = comparable(prediction, target)
    return float(a == b)


def edit_similarity(prediction: str, target: str) -> float:
    """1 − distance / longer length, from 0 to 1."""
    a, b = comparable(prediction, target)
    return 1.0 - edit_distance(a, b) / max(len(a), len(b)) if a or b else 1.0


def reward(prediction: str, target: str) -> float:
    """EM + ES, from 0 to 2 (LlavaCode, equation 2)."""
    return exact_match(prediction, target) + edit_similarity(prediction, target)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval; `p` is two-sided for the mean being 0."""

    mean: float
    low: float
    high: float
    n: int
    p: float

    def shown(self, scale: float = 1.0) -> str:
        return f"{self.mean * scale:.2f} [{self.low * scale:.2f}, {self.high * scale:.2f}]"


def bootstrap(values: NDArray[np.float64], rounds: int = 10_000, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean. For paired differences pass the differences: tasks are resampled, both sides at once."""
    assert len(values) > 0, "Nothing to average."
    rng = np.random.default_rng(seed)
    size = max(1, min(rounds, 20_000_000 // len(values)))
    means = np.concatenate(
        [values[rng.integers(len(values), size=(part, len(values)))].mean(1) for part in split_evenly(rounds, size)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min((means <= 0).mean(), (means >= 0).mean())
    # Never 0: of `rounds` draws none is no proof that none could be.
    p = min(1.0, 2 * max(float(tail), 1 / rounds))
    return Interval(float(values.mean()), float(low), float(high), len(values), p)


def split_evenly(total: int, size: int) -> list[int]:
    """Parts of at most `size` that add up to `total`."""
    return [min(size, total - at) for at in range(0, total, size)]
