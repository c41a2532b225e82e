"""HEF's regimes: what is trained, what stays, and how a run stops and goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import train_joint
from checkpoints import load, save
from failures import NonFiniteLossError
from models.reader import Reader, ReaderConfig
from nodes import Ragged
from parity import Family
from samples import CONTEXT, MIDDLE, write

TRAINING = Path(__file__).parent.parent
HOLES, CHUNKS = 14, 12


@pytest.fixture()
def work(family: Family, tmp_path: Path) -> Path:
    """A run folder whose stages before are done, and its nodes."""
    torch.manual_seed(0)
    reader = Reader(ReaderConfig(320, 64, 1, 4, 2, 96, 1152))
    run, nodes = tmp_path / "run", tmp_path / "nodes"
    (run / "reader").mkdir(parents=True)
    save(run / "reader" / "reader.pt", reader, {"tokens": 0, "step": 0})
    for name, model in (("encoder", family.encoder), ("fuser", family.fuser), ("projector", family.projector)):
        save(run / f"{name}.pt", model, {"steps": 1})
    rng = np.random.default_rng(0)

    def rows(length: int) -> list[tuple[list[int], list[int]]]:
        classes = [CONTEXT] * (length - 4) + [MIDDLE] * 4
        return [(rng.integers(9, 320, length).tolist(), classes) for _ in range(HOLES)]

    write(nodes / "none", rows(24))
    write(nodes / "full", rows(40))
    write(nodes / "named", rows(28))
    chunks = Ragged.of([rng.integers(9, 320, 8).tolist() for _ in range(CHUNKS)])
    files = np.repeat(np.arange(3), 4)
    np.savez(nodes / "chunks.npz", tokens=chunks.tokens, offsets=chunks.offsets, files=files, folders=files, repos=files * 0)
    np.save(nodes / "candidates.npy", np.stack([rng.permutation(CHUNKS)[:4] for _ in range(HOLES)]))
    return tmp_path


def train(monkeypatch: pytest.MonkeyPatch, work: Path, *more: str, steps: int = 2) -> None:
    line = ["train_joint.py", "--run", str(work / "run"), "--nodes", str(work / "nodes"), "--minutes", "9", "--node-count", "4"]
    line += ["--max-steps", str(steps), "--samples", "8", "--held-out", "4", "--batch-tokens", "1700", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", [*line, "--no-compile", *more])
    train_joint.main()


def test_two_processes_train_what_one_trains(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    train(monkeypatch, work, "--device", "cpu")
    names = ("reader", "fuser", "projector")
    one = {name: load(work / "run" / "joint" / f"{name}.pt")["model"] for name in names}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    line = [sys.executable, *torchrun, *sys.argv]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(line, cwd=TRAINING, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("after: ") == 1
    for name in names:
        two = load(work / "run" / "joint" / f"{name}.pt")["model"]
        # Sums of bfloat16 gradients in another order.
        assert all(torch.allclose(one[name][key], two[key], atol=5e-3) for key in two)


def changed(work: Path, name: str) -> bool:
    before = work / "run" / ("reader/reader.pt" if name == "reader" else f"{name}.pt")
    a, b = load(before)["model"], load(work / "run" / "joint" / f"{name}.pt")["model"]
    return any(not torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("regime", ["end-to-end", "separate"])
def test_what_each_regime_trains(monkeypatch: pytest.MonkeyPatch, work: Path, regime: str) -> None:
    train(monkeypatch, work, "--regime", regime, "--shares", "0", "0", "1", "0")
    assert changed(work, "reader") and changed(work, "projector")
    assert changed(work, "fuser") == (regime == "end-to-end")
    facts = json.loads((work / "run" / "joint" / "facts.json").read_text())
    assert facts["regime"] == regime and facts["shares"] == {"compressed": 1.0}


def test_a_projector_keeps_its_first_rows(family: Family) -> None:
    projector = family.projector
    half = projector.first_rows(projector.config.per_node // 2)
    vectors = torch.randn(3, projector.config.vector_dim)
    assert torch.equal(half(vectors), projector(vectors)[:, : half.config.per_node])


def test_the_mixture_holds_every_mode(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    train(monkeypatch, work)
    facts = json.loads((work / "run" / "joint" / "facts.json").read_text())
    assert set(facts["middle loss after"]) == {"none", "full", "compressed", "names"}


def test_an_interrupted_run_goes_on(monkeypatch: pytest.MonkeyPatch, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(monkeypatch, work, steps=3)
    names = ("reader", "fuser", "projector")
    whole = {name: load(work / "run" / "joint" / f"{name}.pt")["model"] for name in names}
    for name in names:
        (work / "run" / "joint" / f"{name}.pt").unlink()
    kept: list[dict[str, object]] = []

    def once(path: Path, content: dict[str, object]) -> None:
        torch.save(content, path)
        kept.append(content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_joint, "write_whole", once)
        with pytest.raises(KeyboardInterrupt):
            train(patch, work, "--save-minutes", "0", steps=3)
    assert kept[0]["step"] == 1
    train(monkeypatch, work, steps=3)
    assert "resumed at step 1" in capsys.readouterr().out
    facts = json.loads((work / "run" / "joint" / "facts.json").read_text())
    assert facts["steps"] == 3
    assert not (work / "run" / "joint" / "unfinished.pt").exists()
    again = {name: load(work / "run" / "joint" / f"{name}.pt")["model"] for name in names}
    assert all(torch.equal(again[name][key], value) for name in names for key, value in whole[name].items())


def test_a_loss_that_is_no_number_stops_the_run(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    file = work / "run" / "projector.pt"
    state = load(file)
    state["model"]["down.weight"][:] = float("nan")
    torch.save(state, file)
    with pytest.raises(
        NonFiniteLossError, match=r"the loss is nan at step 0; batch: .*pseudo-tokens \[\d+, .*nothing was saved"
    ):
        train(monkeypatch, work, "--shares", "0", "0", "1", "0")
    assert not (work / "run" / "joint" / "reader.pt").exists()
