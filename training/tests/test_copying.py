"""Copied tokens, as the engine's tests have them, and the weights."""

import json
import math
from pathlib import Path

import pytest

from copying import LONGEST, Place, copied_after, evidence_of, exact_matches, fit, loss

CASES = json.loads((Path(__file__).parents[2] / "test" / "fixtures" / "copyEvidence.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["chunk"] for case in CASES])
def test_only_what_is_known_of_a_chunk_is_evidence(case: dict[str, str]) -> None:
    assert evidence_of(case["chunk"]) == case["evidence"]


@pytest.mark.parametrize(
    ("end", "sources", "expected"),
    [
        ([1, 2, 3], [[9, 2, 3, 7, 1, 2, 3]], (7, 2)),
        ([9, 2, 3], [[9, 2, 3], [3, 8], [9, 2, 3, 4]], (4, 3)),
        ([3], [[3, 8, 3, 7, 3]], (7, 1)),
        ([3], [[3], [3, 8, 3, 7], [3, 6]], (7, 1)),
        ([1, 2, 3], [[1, 2, 3], [4, 5]], (-1, 0)),
        ([], [[1, 2]], (-1, 0)),
    ],
)
def test_the_longest_agreement_goes_on(end: list[int], sources: list[list[int]], expected: tuple[int, int]) -> None:
    assert copied_after(end, sources, 3) == expected


def place(agreeing: int, is_right: bool, true: float = 0.1, sample: int = 0) -> Place:
    copied = true if is_right else 0.05
    return Place(sample, agreeing, is_right, true, copied, 0.5, False, False)


def test_weights_are_what_the_reader_does_not_say_itself() -> None:
    weights = fit([place(4, True)] * 80 + [place(5, False)] * 20)
    assert len(weights) == LONGEST and weights[3] == weights[4] and weights[0] == 0.0
    # The likelihood 80 log(0.1 + 0.9 λ) + 20 log(1 - λ) has its maximum here.
    assert weights[3] == pytest.approx((0.8 - 0.2 / 9), abs=0.01)


def test_a_line_is_right_when_every_token_is() -> None:
    weights = [0.0, 0.6]
    places = [place(2, True), place(2, True), place(2, True, sample=1), place(1, True, sample=1)]
    assert exact_matches(places, lambda _: weights) == 0.5
    assert exact_matches(places, lambda _: []) == 0.0
    assert loss([place(2, True)], lambda _: weights) == pytest.approx(-math.log(0.4 * 0.1 + 0.6))
