"""What is evaluated on shares nothing with what was trained on."""

import json
import sys
from pathlib import Path

import pytest

from failures import CorpusError
from held_out import main


def code(name: str, lines: int = 30) -> str:
    return "".join(f"def {name}_{i}(value):\n    return value + {i}\n\n\n" for i in range(lines))


@pytest.fixture()
def corpus(tmp_path: Path) -> Path:
    rows = [
        {"repo": "learned", "split": "train", "path": "learned/a.py", "text": code("learned")},
        {"repo": "back", "split": "held-out", "path": "back/a.py", "text": code("back")},
        {"repo": "back", "split": "held-out", "path": "back/copied.py", "text": code("learned")},
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "site" / "other" / "_vendor").mkdir(parents=True)
    for path, text in [("a.py", code("other")), ("copied.py", code("learned")), ("_vendor/b.py", code("vendored"))]:
        (tmp_path / "site" / "other" / path).write_text(text)
    return tmp_path / "corpus.jsonl"


def made(monkeypatch: pytest.MonkeyPatch, corpus: Path, *folders: Path) -> list[dict[str, str]]:
    out = corpus.parent / "out.jsonl"
    line = ["held_out.py", "--corpus", str(corpus), "--out", str(out), "--folders", *(str(f) for f in folders)]
    monkeypatch.setattr(sys, "argv", line)
    main()
    return [json.loads(row) for row in out.read_text().splitlines()]


def test_files_that_share_lines_with_training_go_out(monkeypatch: pytest.MonkeyPatch, corpus: Path) -> None:
    rows = made(monkeypatch, corpus, corpus.parent / "site" / "other")
    assert [(r["repo"], r["path"], r["split"]) for r in rows] == [
        ("back", "back/a.py", "held-out"),
        ("other", "other/a.py", "held-out"),
    ]


def test_folders_that_do_not_do(monkeypatch: pytest.MonkeyPatch, corpus: Path) -> None:
    (corpus.parent / "learned").mkdir()
    for folder, words in [("absent", "is no folder"), ("learned", "learned was trained on")]:
        with pytest.raises(CorpusError, match=words):
            made(monkeypatch, corpus, corpus.parent / folder)


@pytest.mark.parametrize(("content", "words"), [("", "nothing to evaluate on"), ("{}\n", "corpus.jsonl:1 is no file")])
def test_a_corpus_that_does_not_do(monkeypatch: pytest.MonkeyPatch, corpus: Path, content: str, words: str) -> None:
    corpus.write_text(content)
    with pytest.raises(CorpusError, match=words):
        made(monkeypatch, corpus)
