"""Rows learnt for a store that the engine wrote are those it then puts before the prompt; a store that does not fit stays."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mem_vectors
from context_vectors import key_of, read_vectors
from failures import CheckpointError
from tests.layouts import qwen2_coder

ROOT = Path(__file__).parents[2]
READER = ROOT / "test" / "fixtures" / "qwen2" / "tiny"
ADD_ON = ROOT / "test" / "fixtures" / "addOn" / "tiny"
REPOSITORY = ROOT / "samples" / "parcels"
NODE = ROOT / "node_modules" / ".bin" / "node"

pytestmark = pytest.mark.skipif(not NODE.exists(), reason="the engine's packages are not installed: npm ci")


@dataclass(frozen=True)
class Indexed:
    """Where the engine's things are."""

    packs: Path
    store: Path
    """Folder of index.db."""

    @property
    def database(self) -> Path:
        return self.store / "index.db"

    def copy(self, folder: Path) -> "Indexed":
        return Indexed(self.packs, Path(shutil.copytree(self.store, folder)))

    def asked(self) -> dict[str, Any]:
        """What asked_engine.mjs says."""
        line = [NODE, Path(__file__).parent / "asked_engine.mjs", self.packs, "reader", REPOSITORY, self.store]
        result = subprocess.run(line, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """A pack of the tiny reader with its projector, and the index of a small repository, all by the command line."""
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}

    def cli(*line: str | Path) -> None:
        command = [NODE, ROOT / "engine" / "cli.ts", *line]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert result.returncode == 0, result.stderr

    packs = home / "packs"
    cli("packs", "prepare", READER, "--format", "fp32", "--max-tokens", "1024", "--id", "reader", "--out", packs / "reader")
    cli("packs", "add", ADD_ON)
    for made in (home / "data").rglob("addon.json"):
        shutil.copytree(made.parent, packs / "tiny")
    cli("index", REPOSITORY, "--pack", packs / "reader", "--store", home / "stores")
    return Indexed(packs, next((home / "stores").glob("*/index.db")).parent)


@pytest.fixture()
def tuned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs mem_vectors.py on a store."""

    def run(reader: Path, *more: str | Path) -> None:
        line = ["mem_vectors.py", "--reader", reader, "--steps", "4", "--batch", "32", *more]
        monkeypatch.setattr(sys, "argv", [str(part) for part in line])
        mem_vectors.main()

    return run


def test_the_engine_reads_the_learnt_rows(indexed: Indexed, tuned: Callable[..., None], tmp_path: Path) -> None:
    before = indexed.asked()
    assert before["mode"] == "compressed" and before["problems"] == []
    assert len(before["used"]) == 3 and len(before["asked"]) == 3 * 2 * 64
    # As many as it takes for the first of the retrieved chunks and not the last.
    texts = list(dict.fromkeys(chunk["text"] for chunk in before["chunks"].values()))
    places = sorted(texts.index(before["chunks"][str(number)]["text"]) for number in before["used"])
    mine = indexed.copy(tmp_path / "store")
    tuned(READER, "--store", mine.database, "--pack", indexed.packs / "reader", "--limit", str(places[0] + 1))

    after = mine.asked()
    keys, vectors = read_vectors(mine.store / "index.mem.pt")
    assert len(keys) == places[0] + 1
    learnt = dict(zip(keys, vectors.numpy(), strict=True))
    assert after["used"] == before["used"]
    for number, chunk in after["chunks"].items():
        expected = learnt.get(key_of(chunk["text"]), before["chunks"][number]["rows"])
        assert np.array_equal(np.float32(chunk["rows"]), np.float32(expected)), number
    # The best chunk stands last, next to the prompt.
    rows = [after["chunks"][str(number)]["rows"] for number in reversed(after["used"])]
    assert after["asked"] == [number for row in rows for number in row]
    changed = [key_of(after["chunks"][str(number)]["text"]) in learnt for number in after["used"]]
    assert any(changed) and not all(changed)
    assert after["asked"] != before["asked"]
    # The store it was copied from is as it was.
    assert indexed.asked() == before


def test_a_store_that_does_not_fit_is_refused_and_stays(indexed: Indexed, tuned: Callable[..., None], tmp_path: Path) -> None:
    narrow, other = qwen2_coder(tmp_path / "narrow", width=48), qwen2_coder(tmp_path / "other", width=64)
    half = qwen2_coder(tmp_path / "half", width=32)
    mine = indexed.copy(tmp_path / "store")
    older = indexed.copy(tmp_path / "older")
    with sqlite3.connect(older.database) as store:
        store.execute("UPDATE meta SET value = replace(value, '[5,', '[4,') WHERE key = 'fingerprint'")
    pack = indexed.packs / "reader"
    foreign = Path(shutil.copytree(pack, tmp_path / "foreign"))
    manifest = json.loads((foreign / "pack.json").read_text())
    (foreign / "pack.json").write_text(json.dumps(manifest | {"id": "foreign"}))
    for made, reader, more, words in [
        (mine, narrow, [], "pseudo-tokens of 128 numbers, no multiple of this reader's 48"),
        (mine, half, ["--pack", pack], "is 64 wide, that of .*half 32"),
        (mine, other, ["--pack", pack], "has other weights than .*other"),
        (mine, READER, ["--pack", foreign], r"was made by reader@1.0.0, not by foreign@1.0.0"),
        (older, READER, [], "is of store format 4; this kit writes format 5"),
    ]:
        was = sha256(made.database.read_bytes()).digest()
        with pytest.raises(CheckpointError, match=words):
            tuned(reader, "--store", made.database, *more)
        assert sha256(made.database.read_bytes()).digest() == was
        assert not (made.store / "index.mem.pt").exists()
