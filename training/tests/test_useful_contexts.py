"""UWL against the reader's own probabilities, and what stays of a file."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

from failures import CorpusError
from fim_samples import Context, FimSample, read_samples, write_samples
from pretrained import load_reader
from samples import RETRIEVED
from sequences import Lengths
from tests.layouts import qwen2_coder
from useful_contexts import kept, main, score

SHORT = Lengths(60, 20, 120, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen2_coder(tmp_path_factory.mktemp("reader"))


def samples(count: int = 5) -> list[FimSample]:
    def contexts(i: int) -> list[Context]:
        return [Context(f"lib/{j}.py", f"def f{j}(x):\n    return x * {i + j}") for j in range(4)]

    return [
        FimSample(f"r/{i}", "r", "a.py", f"x = {i}\n" * (1 + i), f"y = f{i}(x)", "\nz = 1\n", contexts(i)) for i in range(count)
    ]


@torch.no_grad()
def test_uwl_is_the_formula(folder: Path) -> None:
    reader = load_reader(folder)
    found = samples(3)
    score(reader, found, SHORT, count=3, batch=4)

    def log_p(before: str, sample: FimSample) -> float:
        prompt = f"{before}<|fim_prefix|>{sample.prefix}<|fim_suffix|>{sample.suffix}<|fim_middle|>"
        ids = reader.tokenizer.encode(prompt).ids
        middle = [*reader.tokenizer.encode(sample.middle).ids, reader.end]
        logits = reader.model(input_ids=torch.tensor([ids + middle])).logits[0, len(ids) - 1 : -1]
        return float(logits.log_softmax(-1)[torch.arange(len(middle)), torch.tensor(middle)].sum())

    for sample in found:
        assert sample.contexts[3].uwl is None
        for context in sample.contexts[:3]:
            gain = log_p(RETRIEVED.format(path=context.path, text=context.text), sample) - log_p("", sample)
            assert context.uwl == pytest.approx(1 / (1 + math.exp(-gain)), abs=1e-3)


def test_what_stays() -> None:
    def scored(*values: float) -> FimSample:
        return FimSample("r/0", "r", "a.py", "x", "y", "z", [Context("b.py", "t", uwl=v) for v in values])

    stays = kept(scored(0.9, 0.54, 0.55), 0.55, False, False)
    assert stays is not None and [c.uwl for c in stays.contexts] == [0.9, 0.55]
    assert kept(scored(0.5, 0.1), 0.55, False, False) is None
    every = kept(scored(0.9, 0.1), 0.55, True, False)
    assert every is not None and len(every.contexts) == 2
    assert kept(scored(0.4, 0.1), 0.55, False, True) is not None
    assert kept(scored(0.4, 0.6), 0.55, False, True) is None


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, work: Path, *more: str) -> None:
    line = ["useful_contexts.py", "--reader", str(folder), "--samples", str(work / "s.jsonl"), "--out", str(work / "u.jsonl")]
    monkeypatch.setattr(sys, "argv", [*line, *more])
    main()


def test_an_interrupted_run_goes_on(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    write_samples(tmp_path / "s.jsonl", samples(20))
    run(monkeypatch, folder, tmp_path, "--keep-all")
    whole = (tmp_path / "u.jsonl").read_text()
    assert len(read_samples(tmp_path / "u.jsonl")) == 20
    # Killed behind the 8th sample, in the middle of writing the next ones.
    lines = whole.splitlines(keepends=True)
    first = "".join(lines[:8])
    (tmp_path / "u.jsonl").write_text(first + lines[8] + lines[9][:30])
    (tmp_path / "u.done.json").write_text(json.dumps({"samples": 8, "bytes": len(first.encode())}))
    run(monkeypatch, folder, tmp_path, "--keep-all")
    assert (tmp_path / "u.jsonl").read_text() == whole


def test_nothing_stays(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    write_samples(tmp_path / "s.jsonl", samples(2))
    with pytest.raises(CorpusError, match="has a context that stays"):
        run(monkeypatch, folder, tmp_path, "--threshold", "1.1")
