"""What is drawn, and from what."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from draw_samples import cut_windows, main, middle_lines
from failures import CorpusError, run_stage
from fim_samples import FimSample, read_samples, write_samples

FILES, NEIGHBOURS = 14, 10


def repository(name: str, files: int = FILES) -> dict[str, object]:
    """Files that share words, each with imports, in chunks of the engine's form."""
    texts = {
        f"pkg/{i}.py": "import os\nimport re\nfrom sys import path\n\n"
        + "\n".join(
            f"def {name}_{i}_{j}(shared, words):\n    total = shared + words\n    return total * {j}\n" for j in range(8)
        )
        for i in range(files)
    }
    chunks = [
        {
            "path": path, "startLine": 1, "endLine": text.count("\n") + 1, "text": text, "encoderText": f"# {path}\n{text}",
            "qualifiedName": f"mod.{name}", "defines": [name, "other"], "linearised": "(module)",
        }
        for path, text in texts.items()
    ]  # fmt: skip
    return {"repo": name, "files": texts, "chunks": chunks}


@pytest.fixture()
def chunks(tmp_path: Path) -> Path:
    file = tmp_path / "chunks.jsonl"
    rows = [repository(name) for name in ("alpha", "beta", "gamma", "delta")] + [repository("small", 3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def drawn(monkeypatch: pytest.MonkeyPatch, chunks: Path, *more: str) -> dict[str, list[FimSample]]:
    out = chunks.parent / "out"
    line = ["draw_samples.py", "--chunks", str(chunks), "--out", str(out), "--count", "60", "--valid", "20", *more]
    monkeypatch.setattr(sys, "argv", line)
    main()
    return {name: read_samples(out / f"{name}.jsonl") for name in ("train", "valid")}


def test_repositories_with_few_stars_are_left_out(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    rows = [json.loads(line) for line in chunks.read_text().splitlines()]
    told: dict[str, dict[str, int]] = {"alpha": {"stars": 49}, "beta": {"stars": 50}}
    chunks.write_text("".join(json.dumps(row | told.get(row["repo"], {})) + "\n" for row in rows))
    # Of the others nobody knows.
    assert {s.repo for part in drawn(monkeypatch, chunks).values() for s in part} == {"beta", "gamma", "delta"}
    everyone = drawn(monkeypatch, chunks, "--min-stars", "0")
    assert "alpha" in {s.repo for part in everyone.values() for s in part}


def test_samples_follow_the_papers_rules(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    found = drawn(monkeypatch, chunks)
    texts = {r["repo"]: r["files"] for r in map(json.loads, chunks.read_text().splitlines())}
    assert [len(found[name]) for name in ("train", "valid")] == [60, 20]
    assert not {s.repo for s in found["train"]} & {s.repo for s in found["valid"]}
    assert "small" not in {s.repo for part in found.values() for s in part}
    for sample in found["train"] + found["valid"]:
        assert sample.prefix + sample.middle + sample.suffix == texts[sample.repo][sample.path]
        assert len(sample.contexts) >= NEIGHBOURS
        assert sample.path not in {c.path for c in sample.contexts}
        overlaps = [c.overlap for c in sample.contexts]
        assert overlaps == sorted(overlaps, reverse=True)
        assert sample.contexts[0].names == [f"mod.{sample.repo}", "other"]
        assert sample.contexts[0].line == 0
        assert sample.contexts[0].read_as("ast") == "(module)"
        assert sample.contexts[0].read_as("text").startswith("# pkg/")
    assert {s.middle.count("\n") for s in found["valid"]} == {0}
    assert {s.middle.count("\n") + 1 for s in found["train"]} <= set(range(1, 10))
    assert len({s.middle.count("\n") for s in found["train"]}) > 3


def test_valid_samples_of_other_chunks(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    other = chunks.parent / "other.jsonl"
    other.write_text(json.dumps(repository("omega")) + "\n")
    found = drawn(monkeypatch, chunks, "--valid-chunks", str(other))
    assert {s.repo for s in found["valid"]} == {"omega"}
    assert {s.repo for s in found["train"]} == {"alpha", "beta", "gamma", "delta"}
    with pytest.raises(CorpusError, match=r"alpha, .* stands in both"):
        drawn(monkeypatch, chunks, "--valid-chunks", str(chunks))
    other.write_text("")
    with pytest.raises(CorpusError, match=r"other.jsonl 0: one of each"):
        drawn(monkeypatch, chunks, "--valid-chunks", str(other))


def test_the_same_seed_draws_the_same(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    first = drawn(monkeypatch, chunks)
    assert first == drawn(monkeypatch, chunks)
    assert first != drawn(monkeypatch, chunks, "--seed", "1")


def test_windows_are_ten_lines_with_five_overlap_for_each_line_of_the_middle(
    monkeypatch: pytest.MonkeyPatch, chunks: Path
) -> None:
    lines = [f"line {i}" for i in range(50)]
    cut = cut_windows({"a.py": "\n".join(lines)}, 2)
    assert [(c.start_line, c.end_line) for c in cut] == [(0, 20), (10, 30), (20, 40), (30, 50)]
    assert cut[1].text == "\n".join(lines[10:30])
    assert len(cut_windows({"a.py": "one\ntwo"}, 3)) == 1
    found = drawn(monkeypatch, chunks, "--windows")
    for sample in found["train"]:
        longest = max(c.text.count("\n") + 1 for c in sample.contexts)
        assert longest <= 10 * (sample.middle.count("\n") + 1)


def test_random_contexts_are_of_other_files_and_leave_the_holes_as_they_are(
    monkeypatch: pytest.MonkeyPatch, chunks: Path
) -> None:
    similar, found = drawn(monkeypatch, chunks), drawn(monkeypatch, chunks, "--random")
    for part in ("train", "valid"):
        assert [replace(s, contexts=[]) for s in found[part]] == [replace(s, contexts=[]) for s in similar[part]]
    for sample in found["train"]:
        assert len(sample.contexts) >= NEIGHBOURS and sample.path not in {c.path for c in sample.contexts}
    assert [c.path for s in found["train"] for c in s.contexts] != [c.path for s in similar["train"] for c in s.contexts]
    assert drawn(monkeypatch, chunks, "--random") == found
    assert len(drawn(monkeypatch, chunks, "--random", "--keep", "3")["train"][0].contexts) == 3


def test_the_holes_of_a_file_again_with_random_contexts(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    some = drawn(monkeypatch, chunks)["train"][10:20]
    at_random = drawn(monkeypatch, chunks, "--random")["train"][10:20]
    write_samples(chunks.parent / "some.jsonl", some)
    assert drawn(monkeypatch, chunks, "--random", "--holes", str(chunks.parent / "some.jsonl"))["train"] == at_random
    write_samples(chunks.parent / "some.jsonl", [replace(some[0], repo="elsewhere")])
    with pytest.raises(CorpusError, match="--chunks lacks elsewhere"):
        drawn(monkeypatch, chunks, "--random", "--holes", str(chunks.parent / "some.jsonl"))


def test_the_middle_has_one_to_nine_lines_by_poisson() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount([middle_lines(rng) for _ in range(4000)], minlength=10) / 4000
    assert counts[0] == 0 and len(counts) == 10
    # λ = 3, given 1..9: p(3) = e^-3 27/6 / (1 - p(0) - p(>9)).
    assert counts[3] == pytest.approx(0.224 / 0.949, abs=0.02)


def test_files_of_one_text_count_once(monkeypatch: pytest.MonkeyPatch, chunks: Path) -> None:
    row = json.loads(chunks.read_text().splitlines()[0])
    copied = row | {"repo": "copied"}
    chunks.write_text(chunks.read_text() + json.dumps(copied) + "\n")
    found = drawn(monkeypatch, chunks)
    assert "copied" not in {s.repo for part in found.values() for s in part}


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "0 repositories that pass"), ("{}\n", "chunks.jsonl:1 is no repository"), (None, "No such file")],
)
def test_bad_input(monkeypatch: pytest.MonkeyPatch, chunks: Path, content: str | None, words: str) -> None:
    chunks.unlink()
    if content is not None:
        chunks.write_text(content)
    with pytest.raises(CorpusError, match=words):
        drawn(monkeypatch, chunks)


def test_rules_that_nothing_passes(monkeypatch: pytest.MonkeyPatch, chunks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["draw_samples.py", "--chunks", str(chunks), "--out", str(chunks.parent), "--count", "5", "--min-neighbours", "99"]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as stopped:
        run_stage(main)
    assert stopped.value.code == 1
    assert "no valid sample passes the rules" in capsys.readouterr().err
