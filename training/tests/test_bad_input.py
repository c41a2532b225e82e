"""What a person may get wrong, stage by stage: one line that says what to do, exit status 1, and no stack trace."""

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import load, save
from failures import run_stage
from models.reader import Reader, ReaderConfig
from nodes import Ragged
from parity import Family
from samples import CONTEXT, MIDDLE, write
from tests.layouts import qwen2_coder, qwen3_embedding

Fails = Callable[..., str]


@pytest.fixture()
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs a script and returns the line it failed with."""

    def run(script: str, *line: str | Path) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *(str(part) for part in line)])
        with pytest.raises(SystemExit) as stopped:
            run_stage(importlib.import_module(script).main)
        said = capsys.readouterr().err
        assert stopped.value.code == 1, said
        assert said.startswith("error: ") and said.count("\n") == 1, said
        return said

    return run


@pytest.fixture()
def work(family: Family, tmp_path: Path) -> Path:
    """A run of ours with nodes, files that hold nothing or something else, and no wheel."""
    run, nodes = tmp_path / "run", tmp_path / "nodes"
    for folder in (run / "reader", run / "tokenizer", nodes, tmp_path / "empty"):
        folder.mkdir(parents=True)
    torch.manual_seed(0)
    save(run / "reader" / "reader.pt", Reader(ReaderConfig(320, 64, 1, 4, 2, 96, 256)), {"tokens": 0, "step": 0})
    save(run / "encoder.pt", family.encoder, {"steps": 1})
    save(run / "fuser.pt", family.fuser, {"steps": 1})
    save(run / "projector.pt", family.projector, {"steps": 1})
    family.tokenizer.save(str(run / "tokenizer" / "tokenizer.json"))
    rng = np.random.default_rng(0)
    chunks = Ragged.of([rng.integers(9, 320, 8).tolist() for _ in range(40)])
    files, repos = np.arange(40) // 4, np.arange(40) // 8
    np.savez(nodes / "chunks.npz", tokens=chunks.tokens, offsets=chunks.offsets, files=files, folders=repos, repos=repos)
    write(tmp_path / "samples", [(rng.integers(9, 320, 20).tolist(), [CONTEXT] * 16 + [MIDDLE] * 4) for _ in range(24)])
    (tmp_path / "none.jsonl").touch()
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"repo": "r", "split": "train", "path": f"r/{i}.py", "text": f"x = {i}\n" * 60}) + "\n" for i in range(9)
        )
    )
    return tmp_path


@pytest.mark.parametrize(("corpus", "words"), [("absent", "No such file"), ("none", ""), ("other", "jsonl:1 is no file")])
def test_corpora(fails: Fails, work: Path, corpus: str, words: str) -> None:
    file, tokenizer = work / f"{corpus}.jsonl", work / "run" / "tokenizer" / "tokenizer.json"
    given = ["--corpus", file, "--out", work / "out"]
    assert (words or "too few training files") in fails("tokenizer", *given)
    assert (words or "not one sample") in fails("samples", *given, "--tokenizer", tokenizer, "--count", "5")
    assert (words or "nothing was cut") in fails("engine_chunks", *given, "--tokenizer", tokenizer, "--cli", "cli.js")
    line = ["--corpus", file, "--run", work / "run", "--out", work / "copying.json"]
    assert (words or "name sources with --folders") in fails("fit_copying", *line)


def test_no_wheels(fails: Fails, work: Path) -> None:
    line = ["--packages", work / "empty", "--exclude", work / "empty", "--out", work / "out"]
    assert "nothing to train on" in fails("corpus", *line)


@pytest.mark.parametrize(
    ("chunks", "words"), [("absent", "No such file"), ("none", "no chunks"), ("other", "is no repository")]
)
def test_chunks(fails: Fails, work: Path, chunks: str, words: str) -> None:
    file = work / f"{chunks}.jsonl"
    tokenizer = work / "run" / "tokenizer" / "tokenizer.json"
    assert words in fails("nodes", "--chunks", file, "--tokenizer", tokenizer, "--out", work / "out")
    encoder = qwen3_embedding(work / "encoder", width=64)
    assert words in fails("train_fuser", "--encoder", encoder, "--text", file, "--out", work / "out", "--minutes", "1")


def test_the_engine_s_chunker(fails: Fails, work: Path) -> None:
    tokenizer = work / "run" / "tokenizer" / "tokenizer.json"
    line = ["--corpus", work / "corpus.jsonl", "--out", work / "out", "--tokenizer", tokenizer]
    assert "Cannot find module" in fails("engine_chunks", *line, "--cli", work / "absent.js")


@pytest.mark.parametrize("content", [None, "{}"])
def test_tokenizers(fails: Fails, work: Path, content: str | None) -> None:
    file = work / "run" / "tokenizer" / "tokenizer.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    words = "is no tokenizer" if content else "no such tokenizer. Make it with tokenizer.py"
    more = ["--tokenizer", file, "--out", work / "out"]
    assert words in fails("samples", "--corpus", work / "corpus.jsonl", "--count", "5", *more)
    assert words in fails("copies", "--samples", work / "samples", *more)
    assert words in fails("nodes", "--chunks", work / "none.jsonl", *more)
    assert words in fails("engine_chunks", "--corpus", work / "corpus.jsonl", "--cli", "cli.js", *more)
    assert words in fails("export", "--run", work / "run", "--sources", work / "none.jsonl", "--out", work / "out")
    assert words.split(".")[0] in fails(
        "train_projector", "--reader", work / "run", "--encoder", work / "run", "--samples", samples_of(work), "--steps", "1",
        "--out", work / "out",
    )  # fmt: skip


def samples_of(work: Path) -> Path:
    context = {"path": "b.py", "text": "y = 1\n"}
    row = {"id": "r/0", "repo": "r", "path": "a.py", "prefix": "x", "middle": "y", "suffix": "z", "contexts": [context]}
    (work / "fim.jsonl").write_text(json.dumps(row) + "\n")
    return work / "fim.jsonl"


def stage_lines(work: Path) -> dict[str, list[str | Path]]:
    """What each stage reads of a run."""
    both = ["--run", work / "run", "--nodes", work / "nodes", "--minutes", "1"]
    return {
        "train_encoder": both, "train_fuser": both, "train_joint": both,
        "export": ["--run", work / "run", "--sources", work / "none.jsonl", "--out", work / "out"],
    }  # fmt: skip


NEEDS = [
    ("train_encoder", "reader/reader.pt", "reader"),
    ("train_fuser", "encoder.pt", "encoder"),
    ("train_joint", "fuser.pt", "fuser"),
    ("train_joint", "projector.pt", "projector"),
    ("export", "encoder.pt", "encoder"),
]


@pytest.mark.parametrize(("stage", "file", "what"), NEEDS)
def test_checkpoints(fails: Fails, work: Path, stage: str, file: str, what: str) -> None:
    checkpoint, line = work / "run" / file, stage_lines(work)[stage]
    shutil.copy(work / "run" / ("encoder.pt" if what != "encoder" else "fuser.pt"), checkpoint)
    assert f"{file} holds no {what}: " in fails(stage, *line)
    checkpoint.write_bytes(b"cut short")
    assert f"{file} holds no {what}: " in fails(stage, *line)
    checkpoint.unlink()
    assert f"The stage that trains the {what} has not run" in fails(stage, *line)


def test_readers_and_encoders_of_a_run_that_are_none(fails: Fails, work: Path) -> None:
    shutil.copy(work / "run" / "encoder.pt", work / "run" / "reader" / "reader.pt")
    line = ["--samples", samples_of(work), "--out", work / "out", "--steps", "1"]
    reader = qwen2_coder(work / "qwen")
    assert "holds no reader" in fails("train_projector", "--reader", work / "run", "--encoder", work / "run", *line)
    assert "holds no reader" in fails("mem_vectors", "--reader", work / "run", *line)
    assert "holds no reader" in fails("useful_contexts", "--reader", work / "run", *line[:4])
    shutil.copy(work / "run" / "fuser.pt", work / "run" / "encoder.pt")
    assert "holds no encoder" in fails("train_projector", "--reader", reader, "--encoder", work / "run", *line)


def test_arrays(fails: Fails, work: Path) -> None:
    out = ["--out", work / "out", "--minutes", "1"]
    assert "empty/tokens.npy: No such file" in fails("train_reader", "--samples", work / "empty", *out)
    (work / "samples" / "offsets.npy").write_bytes(b"cut short")
    assert "offsets.npy cannot be read" in fails("train_reader", "--samples", work / "samples", *out)
    tokenizer = ["--tokenizer", work / "run" / "tokenizer" / "tokenizer.json", "--out", work / "out"]
    assert "Write it with samples.py" in fails("copies", "--samples", work / "empty", *tokenizer)
    for stage in ("train_encoder", "train_fuser"):
        line = stage_lines(work)[stage]
        assert "Write it with nodes.py" in fails(stage, *line[:3], work / "empty", *line[4:])


READER = ["--layers", "1", "--dim", "64", "--heads", "4", "--ffn", "96", "--vocab-size", "320", "--batch-tokens", "256"]
READER += ["--micro-tokens", "64", "--buckets", "1", "--workers", "1", "--no-compile", "--device", "cpu", "--minutes", "90"]


def test_a_loss_that_is_no_number_names_its_batch_and_keeps_the_state(fails: Fails, work: Path) -> None:
    out = work / "out"
    line = ["--samples", work / "samples", "--out", out, *READER, "--max-steps", "4"]
    said = fails("train_reader", *line, "--adam-lr", "inf")
    assert "the loss is nan at step 1; batch: samples " in said and "nothing was saved yet" in said
    assert not (out / "reader.pt").exists()
    state = load(work / "run" / "encoder.pt")
    state["model"]["out.weight"][:] = float("nan")
    torch.save(state, work / "run" / "encoder.pt")
    before = (work / "run" / "fuser.pt").read_bytes()
    said = fails("train_fuser", *stage_lines(work)["train_fuser"], "--batch", "4")
    assert "the loss is nan at step 0; batch: drawn with seed 0" in said
    assert (work / "run" / "fuser.pt").read_bytes() == before


def test_a_full_disk(fails: Fails, work: Path) -> None:
    fuser = work / "run" / "fuser.pt"
    before = fuser.read_bytes()
    line = [*stage_lines(work)["train_fuser"], "--batch", "4", "--max-steps", "2"]
    for name, words in [("fuser.unfinished.tmp", "no earlier checkpoint"), ("fuser.tmp", "holds the last good checkpoint")]:
        (work / "run" / name).symlink_to("/dev/full")
        said = fails("train_fuser", *line, "--save-every", "1")
        assert "No space left on device" in said and words in said and "Free some room" in said
    assert fuser.read_bytes() == before
    (work / "full.jsonl").symlink_to("/dev/full")
    source = ["--corpus", work / "corpus.jsonl", "--folders", work / "empty"]
    rows = (work / "corpus.jsonl").read_text().replace('"train"', '"held-out"')
    (work / "corpus.jsonl").write_text(rows * 40)
    assert "No space left on device. Free some room" in fails("held_out", *source, "--out", work / "full.jsonl")


def test_a_folder_that_cannot_be_made(fails: Fails, work: Path) -> None:
    line = ["--samples", work / "samples", "--out", work / "none.jsonl" / "out", *READER]
    assert "Not a directory. Look at the paths" in fails("train_reader", *line)
