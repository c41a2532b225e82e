"""EM, ES, reward and bootstrap."""

import numpy as np
import pytest

from scores import bootstrap, comparable, edit_distance, edit_similarity, exact_match, reward


def test_the_prediction_is_cut_to_the_targets_lines_and_both_are_stripped() -> None:
    assert comparable("  return x\nmore\n", "    return x ") == ("return x", "return x")
    assert comparable("a\nb\nc", "a\nb\n") == ("a\nb", "a\nb")


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("kitten", "sitting", 3), ("", "abc", 3), ("same", "same", 0), ("ab", "ba", 2)]
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == distance == edit_distance(b, a)


def test_scores() -> None:
    assert exact_match("x = 1\n", "    x = 1") == 1.0
    assert exact_match("x = 2", "x = 1") == 0.0
    assert edit_similarity("x = 2", "x = 1") == pytest.approx(0.8)
    assert edit_similarity("", "") == 1.0
    assert reward("x = 1", "x = 1") == 2.0
    assert reward("x = 2", "x = 1") == pytest.approx(0.8)


def test_the_interval_covers_the_mean_and_the_p_value_sees_a_difference() -> None:
    rng = np.random.default_rng(1)
    noise = bootstrap(rng.standard_normal(400), rounds=2000)
    assert noise.low < noise.mean < noise.high
    shifted = bootstrap(rng.standard_normal(400) + 1.0, rounds=2000)
    assert shifted.low > 0 and shifted.p <= 0.001
    flat = bootstrap(np.zeros(50), rounds=200)
    assert (flat.low, flat.high, flat.p) == (0.0, 0.0, 1.0)


def test_the_interval_is_about_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(2).standard_normal(1000)
    found = bootstrap(values, rounds=4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(1000), rel=0.1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(3).random(60)
    assert bootstrap(values, rounds=500) == bootstrap(values, rounds=500)
