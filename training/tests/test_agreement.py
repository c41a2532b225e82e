"""Positions are counted where the reader writes, and agreement is that of the two graphs."""

from pathlib import Path

import numpy as np
import pytest

import graphs
from agreement import Agreement, bias_of, of_part, reading, texts
from failures import CorpusError
from parity import Family
from samples import CONTEXT, END, IGNORED, MIDDLE


def folder(at: Path, samples: list[tuple[list[int], list[int]]]) -> Path:
    at.mkdir()
    np.save(at / "tokens.npy", np.concatenate([np.asarray(ids, np.uint16) for ids, _ in samples]))
    np.save(at / "classes.npy", np.concatenate([np.asarray(classes, np.uint8) for _, classes in samples]))
    np.save(at / "offsets.npy", np.cumsum([0, *(len(ids) for ids, _ in samples)]))
    return at


def test_a_token_is_chosen_by_the_row_before_it(tmp_path: Path) -> None:
    first = folder(tmp_path / "none", [([5, 6, 7, 8, 9], [IGNORED, CONTEXT, MIDDLE, MIDDLE, END])])
    second = folder(tmp_path / "full", [([1, 2, 3], [CONTEXT, CONTEXT, MIDDLE]), ([4] * 50, [MIDDLE] * 50)])
    found = list(texts([first, second], positions=4, longest=20))
    assert [text.rows.tolist() for text in found] == [[1, 2, 3], [1]]
    assert found[0].ids.tolist() == [5, 6, 7, 8, 9]
    with pytest.raises(CorpusError, match="hold 4 positions"):
        list(texts([first, second], positions=5, longest=20))


def test_counts_the_same_best_tokens_and_those_close_by() -> None:
    exact = np.asarray([[3.0, 2.0, 0.0], [0.0, 1.0, 1.5], [9.0, 0.0, 1.0]], np.float32)
    other = np.asarray([[3.0, 2.5, 0.0], [0.0, 2.0, 1.0], [0.0, 9.0, 1.0]], np.float32)
    agreement = Agreement()
    agreement.add(exact, other)
    assert (agreement.positions, agreement.same, agreement.close) == (3, 1, 2)
    assert agreement.leads == pytest.approx(0.5 + 8.0)
    assert agreement.described().startswith("33.33 % the same best token, 66.67 % among the best two")


def test_float32_agrees_with_itself_and_rounding_is_seen(family: Family, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 300, 60).tolist()
    at = folder(tmp_path / "none", [(ids, [CONTEXT] * 20 + [MIDDLE] * 40)])
    reader, bias = family.reader, family.logit_bias()
    exact = reading(reader, graphs.embed_graph(reader, None), graphs.reader_graph(reader, bias, None))
    head = reading(reader, graphs.embed_graph(reader, None), graphs.reader_graph(reader, bias, 4, of_part("lm_head")))
    whole = reading(reader, graphs.embed_graph(reader), graphs.reader_graph(reader, bias))
    errors = []
    for read in (exact, head, whole):
        agreement = Agreement()
        for text in texts([at], 40, 100):
            agreement.add(exact(text), read(text))
        assert agreement.positions == 40
        errors.append(agreement.error)
    assert errors[0] == 0 < errors[1] < errors[2]


def test_the_shipped_bias_is_taken_over(family: Family) -> None:
    bias = family.logit_bias() + 0.5
    assert bias_of(graphs.reader_graph(family.reader, bias), 320).equal(bias)
    assert bias_of(graphs.reader_graph(family.reader), 320).abs().max() == 0
