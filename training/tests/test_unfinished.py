"""Encoder and fuser stages: interrupted, they come to the same weights as whole; several processes, to those of one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import train_encoder
import train_fuser
import train_reader
from checkpoints import load, read_fuser, save
from failures import CheckpointError, CorpusError
from models.reader import Reader, ReaderConfig
from nodes import Ragged
from parity import Family
from samples import CONTEXT, MIDDLE, write
from tests.layouts import qwen3_embedding

TRAINING = Path(__file__).parent.parent
REPOSITORIES, FILES, CHUNKS = 5, 2, 4


@pytest.fixture()
def work(family: Family, tmp_path: Path) -> Path:
    """A run folder with a reader and an encoder, chunks of small repositories, and queries for them."""
    torch.manual_seed(0)
    run, nodes = tmp_path / "run", tmp_path / "nodes"
    (run / "reader").mkdir(parents=True)
    nodes.mkdir()
    save(run / "reader" / "reader.pt", Reader(ReaderConfig(320, 64, 1, 4, 2, 96, 256)), {"tokens": 0, "step": 0})
    save(run / "encoder.pt", family.encoder, {"steps": 1})
    rng = np.random.default_rng(0)
    count = REPOSITORIES * FILES * CHUNKS
    chunks = Ragged.of([rng.integers(9, 320, 8).tolist() for _ in range(count)])
    files = np.arange(count) // CHUNKS
    repos = files // FILES
    np.savez(nodes / "chunks.npz", tokens=chunks.tokens, offsets=chunks.offsets, files=files, folders=repos, repos=repos)
    queries = Ragged.of([rng.integers(9, 320, 6).tolist() for _ in range(count)])
    np.savez(nodes / "pairs.npz", tokens=queries.tokens, offsets=queries.offsets, positives=np.arange(count))
    return tmp_path


def arguments(work: Path, stage: str) -> list[str]:
    line = [
        "--run",
        str(work / "run"),
        "--nodes",
        str(work / "nodes"),
        "--minutes",
        "90",
        "--max-steps",
        "5",
        "--save-every",
        "2",
    ]
    if stage == "fuser":
        return [*line, "--batch", "4"]
    small = ["--batch", "16", "--micro", "8", "--query-tokens", "8", "--chunk-tokens", "8", "--per-node", "2", "--layers", "1"]
    return [*line, *small, "--workers", "1", "--no-compile", "--device", "cpu"]


MAINS: dict[str, Any] = {"encoder": train_encoder, "fuser": train_fuser}


def train(monkeypatch: pytest.MonkeyPatch, work: Path, stage: str, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"train_{stage}.py", *arguments(work, stage), *more])
    MAINS[stage].main()


def weights(work: Path, stage: str) -> dict[str, torch.Tensor]:
    return dict(load(work / "run" / f"{stage}.pt")["model"])


@pytest.mark.parametrize("stage", ["encoder", "fuser"])
def test_an_interrupted_stage_goes_on_to_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, work: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(monkeypatch, work, stage)
    whole = weights(work, stage)
    facts = load(work / "run" / f"{stage}.pt")["facts"]
    assert not (work / "run" / f"{stage}.unfinished.pt").exists()
    if stage == "fuser":
        (work / "run" / "fuser.pt").unlink()

    interrupt(monkeypatch, work, stage)
    assert load(work / "run" / f"{stage}.unfinished.pt")["step"] == 2
    with pytest.raises(CheckpointError, match=r"other options .*batch"):
        train(monkeypatch, work, stage, "--batch", "8")
    capsys.readouterr()
    train(monkeypatch, work, stage)
    assert "resumed at step 2" in capsys.readouterr().out
    again = weights(work, stage)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert load(work / "run" / f"{stage}.pt")["facts"] == facts


def interrupt(monkeypatch: pytest.MonkeyPatch, work: Path, stage: str) -> None:
    """Leaves the state of step 2."""

    def interrupted(loss: float, step: int, *_: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MAINS[stage], "check_finite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(patch, work, stage)


def train_in_two(work: Path, stage: str) -> str:
    """What two processes said."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    line = [sys.executable, *torchrun, f"train_{stage}.py", *arguments(work, stage)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(line, cwd=TRAINING, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], stage: str) -> None:
    """Sums in another order; the encoder's are of bfloat16, and so is Muon's orthogonalisation of the matrices."""
    for name, value in one.items():
        near = 2e-3 if stage == "encoder" else 1e-3 if value.ndim == 2 else 2e-5
        assert torch.allclose(value, two[name], atol=near), name


def test_two_processes_train_the_encoder_that_one_trains(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    train(monkeypatch, work, "encoder")
    one = weights(work, "encoder")
    assert train_in_two(work, "encoder").count('"steps": 5') == 1
    assert_same(one, weights(work, "encoder"), "encoder")


def test_two_processes_train_the_fuser_that_one_trains_also_where_one_was_killed(
    monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    train(monkeypatch, work, "fuser")
    one, facts = weights(work, "fuser"), load(work / "run" / "fuser.pt")["facts"]
    assert train_in_two(work, "fuser").count('"steps": 5') == 1
    assert_same(one, weights(work, "fuser"), "fuser")
    # Negatives of one process alone would be two of the four, and the loss ln 2 lower.
    assert load(work / "run" / "fuser.pt")["facts"] == facts
    (work / "run" / "fuser.pt").unlink()
    interrupt(monkeypatch, work, "fuser")
    assert "resumed at step 2" in train_in_two(work, "fuser")
    assert_same(one, weights(work, "fuser"), "fuser")


def reader_line(folder: Path, out: str, *more: str) -> list[str]:
    """train_reader.py on samples that are made where there are none."""
    if not (folder / "samples").exists():
        rng = np.random.default_rng(0)
        rows = [(rng.integers(9, 320, 20).tolist(), [CONTEXT] * 16 + [MIDDLE] * 4) for _ in range(24)]
        write(folder / "samples", rows)
    line = ["train_reader.py", "--samples", str(folder / "samples"), "--out", str(folder / out), "--minutes", "90"]
    small = {"layers": 1, "dim": 64, "heads": 4, "ffn": 96, "vocab-size": 320, "batch-tokens": 256, "micro-tokens": 64}
    for name, value in (small | {"buckets": 1, "workers": 1, "max-steps": 4}).items():
        line += [f"--{name}", str(value)]
    return [*line, "--no-compile", "--device", "cpu", *more]


def test_two_processes_train_the_reader_that_one_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", reader_line(tmp_path, "one"))
    train_reader.main()
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    command = [sys.executable, *torchrun, *reader_line(tmp_path, "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=TRAINING, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done: step 4") == 1
    one, two = (load(tmp_path / name / "reader.pt") for name in ("one", "two"))
    assert (one["step"], one["tokens"]) == (two["step"], two["tokens"])
    # Sums of bfloat16 gradients in another order.
    assert all(torch.allclose(one["model"][name], two["model"][name], atol=5e-3) for name in one["model"])


def test_an_interrupted_reader_goes_on_to_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = reader_line(tmp_path, "whole", "--copies", str(tmp_path / "samples"), "--save-minutes", "0")
    monkeypatch.setattr(sys, "argv", line)
    train_reader.main()
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "killed")])

    def interrupted(loss: float, step: int, *_: object) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_reader, "check_finite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_reader.main()
    assert load(tmp_path / "killed" / "reader.pt")["step"] == 2
    train_reader.main()
    assert "resumed at step 2" in capsys.readouterr().out
    one, two = (load(tmp_path / name / "reader.pt") for name in ("whole", "killed"))
    assert (one["step"], one["tokens"], one["loss"]) == (two["step"], two["tokens"], two["loss"])
    assert all(torch.equal(one["model"][name], two["model"][name]) for name in one["model"])
    monkeypatch.setattr(sys, "argv", [*line, "--dim", "128"])
    with pytest.raises(CheckpointError, match=r"another architecture .dim: 64 there, 128 here"):
        train_reader.main()
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "large"), "--batch-tokens", "4096"])
    with pytest.raises(CorpusError, match="24 samples, less than one batch"):
        train_reader.main()


def test_a_damaged_state_is_named(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    (work / "run" / "fuser.unfinished.pt").write_bytes(b"no zip")
    with pytest.raises(CheckpointError, match=r"cannot be read .* Remove it"):
        train(monkeypatch, work, "fuser")


def test_a_fuser_for_another_s_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    qwen3_embedding(tmp_path / "encoder", width=64)
    rows = [
        {"repo": f"r{r}", "files": {}, "chunks": [
            {"path": f"a/{f}.py", "text": f"x{r}{f}{c} = {c}\n", "encoderText": f"# f\nx{r}{f}{c} = {c}\n"}
            for f in range(3) for c in range(3)
        ]} for r in range(4)
    ]  # fmt: skip
    (tmp_path / "chunks.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    line = ["train_fuser.py", "--encoder", str(tmp_path / "encoder"), "--text", str(tmp_path / "chunks.jsonl")]
    line += ["--out", str(tmp_path / "fuser"), "--minutes", "9", "--max-steps", "3", "--batch", "4"]
    monkeypatch.setattr(sys, "argv", line)
    train_fuser.main()
    fuser = read_fuser(tmp_path / "fuser" / "fuser.pt", 64)
    assert fuser(torch.randn(2, 8, 64), torch.tensor([8, 2])).shape == (2, 64)
    with pytest.raises(CheckpointError, match=r"fuses vectors of 64 numbers"):
        read_fuser(tmp_path / "fuser" / "fuser.pt", 32)


def test_nothing_to_fuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    qwen3_embedding(tmp_path / "encoder", width=64)
    (tmp_path / "chunks.jsonl").write_text("")
    more = ["--encoder", str(tmp_path / "encoder"), "--text", str(tmp_path / "chunks.jsonl"), "--out", str(tmp_path / "fuser")]
    for given, words in [(more, "holds no chunks"), (more[:2], "give --run and --nodes, or --encoder")]:
        monkeypatch.setattr(sys, "argv", ["train_fuser.py", "--minutes", "1", *given])
        with pytest.raises(CorpusError, match=words):
            train_fuser.main()
