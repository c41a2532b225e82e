"""The token behind the longest earlier agreement, and how much to believe it: p = (1 − λ) p_reader + λ for that token.

kNN-LM (Khandelwal et al. 2020) with agreement of tokens in place of a distance. `engine/infer/copying.ts` is the twin; both are
tested on the same cases.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LONGEST = 24
"""More agreeing tokens say nothing more."""
BUCKETS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 12), (13, LONGEST))
"""Agreements that share one λ, so that each is fitted on enough places."""
UNFINISHED = re.compile(r"(?:[=,(\[{+\-*/%&|^<~@!\\]|(?<!\.\.)\.|(?<!\w)(?:and|or|not|in|is|as|import|from|lambda|await))\Z")
"""A line that cannot end so was left unfinished, or goes on in the next chunk. `completion/copySources.ts` has the same."""


def evidence_of(chunk: str) -> str:
    """What of a chunk is evidence: its last line's end too, since a file goes on in another line, unless it is unfinished."""
    text = chunk.rstrip()
    return text if UNFINISHED.search(text) else text + "\n"


def copied_after(end: Sequence[int], sources: Sequence[Sequence[int]], longest: int = LONGEST) -> tuple[int, int]:
    """(token, agreeing tokens) behind the longest agreement with `end`; (-1, 0) where nothing agrees.

    Of equals the first source's, and there the last.
    """
    best, copied = 0, -1
    for source in sources:
        for at in range(len(source) - 1, 0, -1):
            if best == longest:
                return copied, best
            length = 0
            while length < min(longest, len(end), at) and source[at - 1 - length] == end[-1 - length]:
                length += 1
            if length > best:
                best, copied = length, source[at]
    return copied, best


@dataclass(frozen=True)
class Place:
    """One token of a held-out middle."""

    sample: int
    agreeing: int
    is_right: bool
    """The copied token is the true one."""
    true: float
    """The reader's probability of the true token."""
    copied: float
    """The reader's probability of the copied token."""
    best: float
    """The reader's largest probability."""
    best_is_true: bool
    best_is_copied: bool


def fit(places: Sequence[Place], rounds: int = 60) -> list[float]:
    """λ by agreeing tokens, from one on, that makes the true tokens likeliest, by expectation maximisation."""
    weights: list[float] = []
    for first, last in BUCKETS:
        here = [p for p in places if first <= p.agreeing <= last]
        right = np.asarray([p.is_right for p in here], float)
        true = np.asarray([p.true for p in here])
        share = 0.2 if here else 0.0
        for _ in range(rounds if here else 0):
            share = float((share * right / (share * right + (1 - share) * true + 1e-12)).mean())
        weights += [round(share, 3)] * (last - first + 1)
    return weights


def share_of(place: Place, weights: Sequence[float]) -> float:
    return weights[place.agreeing - 1] if place.agreeing and weights else 0.0


def writes_the_truth(place: Place, weights: Sequence[float]) -> bool:
    """Whether the likeliest token of the mixture is the true one."""
    share = share_of(place, weights)
    if place.best_is_copied or (1 - share) * place.copied + share <= (1 - share) * place.best:
        return place.best_is_true
    return place.is_right


def exact_matches(places: Sequence[Place], weights_of: Callable[[int], Sequence[float]]) -> float:
    """Share of samples all of whose tokens are the mixture's likeliest: greedy decoding would write them."""
    right: dict[int, bool] = {}
    for place in places:
        right[place.sample] = right.get(place.sample, True) and writes_the_truth(place, weights_of(place.sample))
    return float(np.mean(list(right.values())))


def loss(places: Sequence[Place], weights_of: Callable[[int], Sequence[float]]) -> float:
    """Mean negative log-likelihood, nats a token."""
    shares = [share_of(p, weights_of(p.sample)) for p in places]
    values = [(1 - s) * p.true + s * p.is_right for p, s in zip(places, shares, strict=True)]
    return float(-np.log(np.maximum(values, 1e-12)).mean())
