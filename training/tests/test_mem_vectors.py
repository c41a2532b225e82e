"""Learnt rows say their chunk again, chunk by chunk, and reach a store."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mem_vectors
import train_projector
from context_vectors import key_of, read_vectors
from failures import CheckpointError, CorpusError
from fim_samples import Context, FimSample, write_samples
from mem_vectors import tune
from pretrained import PretrainedReader, load_reader
from tests.layouts import qwen2_coder

TEXTS = ["def f(self):\n    return 1\n", "class A:\n    x = 2\n", "import os\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen2_coder(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def reader(folder: Path) -> PretrainedReader:
    return load_reader(folder)


def test_the_loss_of_every_chunk_falls(reader: PretrainedReader) -> None:
    before, after = tune(reader, TEXTS, 2, 0, 0.05), tune(reader, TEXTS, 2, 40, 0.05)
    assert (after.losses < before.losses - 0.1).all()
    assert after.rows.shape == (3, 2, reader.dim)


def test_chunks_do_not_touch_each_other(reader: PretrainedReader) -> None:
    together = tune(reader, TEXTS[:2], 1, 5, 0.01)
    alone = tune(reader, TEXTS[:1], 1, 5, 0.01)
    assert torch.allclose(together.rows[:1], alone.rows, atol=2e-3)
    assert torch.allclose(together.losses[:1], alone.losses, atol=1e-3)


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["mem_vectors.py", "--reader", str(folder), "--steps", "3", "--batch", "2", *more])
    mem_vectors.main()


def sample_file(folder: Path) -> Path:
    contexts = [Context(f"{i}.py", text) for i, text in enumerate(TEXTS)]
    write_samples(folder / "s.jsonl", [FimSample(f"r/{i}", "r", "a.py", "x = 1\n", "y = 2", "\n", contexts) for i in range(2)])
    return folder / "s.jsonl"


def test_vectors_go_on_where_they_stopped_and_train_a_projector(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    samples, out = sample_file(tmp_path), tmp_path / "mem.pt"
    run(monkeypatch, folder, "--samples", str(samples), "--out", str(out), "--limit", "2")
    keys, first = read_vectors(out)
    assert len(keys) == 2
    run(monkeypatch, folder, "--samples", str(samples), "--out", str(out))
    keys, vectors = read_vectors(out)
    assert set(keys) == {key_of(text) for text in TEXTS} and torch.equal(vectors[:2], first)
    line = ["train_projector.py", "--reader", str(folder), "--vectors", str(out), "--samples", str(samples), "--reinforce", "0"]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out"), "--steps", "1", "--batch", "2"])
    train_projector.main()
    assert (tmp_path / "out" / "projector.pt").is_file()


def test_vectors_that_lack_a_context(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    samples, out = sample_file(tmp_path), tmp_path / "mem.pt"
    run(monkeypatch, folder, "--samples", str(samples), "--out", str(out), "--limit", "1")
    line = ["train_projector.py", "--reader", str(folder), "--vectors", str(out), "--samples", str(samples)]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out"), "--steps", "1"])
    with pytest.raises(CorpusError, match=r"lacks the vectors of .* Run mem_vectors"):
        train_projector.main()


def store_file(file: Path, numbers: int, precision: int = 0, version: int = 5) -> Path:
    """The tables of a store that matter here, as engine/store/schema.ts makes them."""
    with sqlite3.connect(file) as store:
        store.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        made_by = json.dumps([version, 1, "pack@1.0.0:160:00", 48, numbers])
        store.execute("INSERT INTO meta VALUES ('fingerprint', ?)", (made_by,))
        store.execute("CREATE TABLE nodes (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, text TEXT NOT NULL)")
        store.execute("CREATE TABLE pseudo_tokens (id INTEGER PRIMARY KEY, precision INTEGER NOT NULL, rows BLOB NOT NULL)")
        for number, (level, text) in enumerate([(0, TEXTS[0]), (0, TEXTS[1]), (1, "")], 1):
            store.execute("INSERT INTO nodes VALUES (?, ?, ?)", (number, level, text))
            store.execute("INSERT INTO pseudo_tokens VALUES (?, ?, ?)", (number, precision, bytes(4 * numbers)))
    return file


def rows_in(file: Path) -> list[np.ndarray]:
    with sqlite3.connect(file) as store:
        return [np.frombuffer(b, "<f4") for (b,) in store.execute("SELECT rows FROM pseudo_tokens ORDER BY id")]


def test_a_store_gets_rows_for_its_chunks_only(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    store = store_file(tmp_path / "store.sqlite", 2 * 32)
    run(monkeypatch, folder, "--store", str(store))
    first, second, file = rows_in(store)
    keys, vectors = read_vectors(tmp_path / "store.mem.pt")
    assert np.allclose(first, vectors[keys.index(key_of(TEXTS[0]))])
    assert len(second) == 64 and np.abs(second).max() > 0
    assert not file.any()


def test_stores_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    for file, words in [
        (tmp_path / "absent.sqlite", "no such store"),
        (store_file(tmp_path / "narrow.sqlite", 33), "no multiple of this reader's 32"),
        (store_file(tmp_path / "bytes.sqlite", 32, precision=1), "in bytes"),
        (store_file(tmp_path / "older.sqlite", 32, version=4), "store format 4; this kit writes format 5"),
        (Path(shutil.copy(folder / "config.json", tmp_path / "text.sqlite")), "is no store"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            run(monkeypatch, folder, "--store", str(file))
