"""Evaluation of a trained projector gives rows that metrics.py reads, and sees collapse."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

import evaluate_projector
from checkpoints import new_projector, save
from failures import CheckpointError
from fim_samples import Context, FimSample, write_samples
from metrics import columns_of
from tests.layouts import qwen2_coder, qwen3_embedding

SHORT = {"left": 40, "right": 10, "context": 60, "middle": 12, "entities": 0}


@pytest.fixture()
def work(tmp_path: Path) -> Path:
    qwen2_coder(tmp_path / "reader")
    qwen3_embedding(tmp_path / "encoder")
    contexts = [Context(f"lib/{j}.py", f"def f{j}(x):\n    return x + {j}") for j in range(3)]
    samples = [FimSample(f"r/{i}", "r", "app.py", f"class C{i}:\n", f"    x = {i}", "\ny = 1\n", contexts) for i in range(5)]
    write_samples(tmp_path / "samples.jsonl", samples)
    save(tmp_path / "projector.pt", new_projector(48, 32), {"lengths": SHORT, "contexts": 3})
    return tmp_path


def evaluate(monkeypatch: pytest.MonkeyPatch, work: Path, *more: str) -> None:
    line = ["evaluate_projector.py", "--collapse", str(work / "collapse.json"), "--batch", "2"]
    for name, file in (
        ("reader", "reader"),
        ("encoder", "encoder"),
        ("projector", "projector.pt"),
        ("samples", "samples.jsonl"),
    ):
        line += [f"--{name}", str(work / file)]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(work / "rows.jsonl"), *more])
    evaluate_projector.main()


def test_rows_of_three_modes(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    evaluate(monkeypatch, work)
    columns = {c.name: c for c in columns_of([work / "rows.jsonl"], with_code_bleu=False)}
    assert set(columns) == {"none", "full", "compressed"}
    nll = {name: c.scores["nll"] for name, c in columns.items()}
    assert all(len(v) == 5 and all(math.isfinite(x) and x > 0 for x in v.values()) for v in nll.values())
    assert nll["none"] != nll["full"] != nll["compressed"]


def test_fewer_contexts_than_in_training(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    found = []
    for contexts in ("3", "1"):
        evaluate(monkeypatch, work, "--contexts", contexts, "--modes", "compressed")
        found.append(columns_of([work / "rows.jsonl"], with_code_bleu=False)[0].scores["nll"])
    assert found[0] != found[1]


def test_collapse_is_seen(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    evaluate(monkeypatch, work)
    assert json.loads((work / "collapse.json").read_text())["projector"]["mean"] > 0.01
    projector = new_projector(48, 32)
    torch.nn.init.zeros_(projector.down.weight)
    torch.nn.init.ones_(projector.down.bias)
    save(work / "projector.pt", projector, {"lengths": SHORT, "contexts": 3})
    evaluate(monkeypatch, work)
    found = json.loads((work / "collapse.json").read_text())
    assert found["n"] == 3 and found["encoder"]["mean"] > 0.01
    assert found["projector"]["mean"] == pytest.approx(0.0, abs=1e-3)


def test_a_projector_between_other_models(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    save(work / "projector.pt", new_projector(48, 64), {"lengths": SHORT, "contexts": 3})
    with pytest.raises(CheckpointError, match="leads from 48 to 64 numbers; this encoder and reader need 48 to 32"):
        evaluate(monkeypatch, work)
