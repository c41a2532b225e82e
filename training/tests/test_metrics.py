"""Tables from rows as `precis eval --out` writes them."""

import json
import math
import sys
from pathlib import Path

import pytest

from failures import CorpusError
from metrics import code_bleu, column_of, columns_of, difference, main, perplexity, read_rows


def row(task: int, mode: str, prediction: str, **more: object) -> dict[str, object]:
    """A row with the fields an evaluation gives, most of them of no interest here."""
    engine = {"origin": "made", "promptTokens": 9, "contextTokens": 0, "pseudoTokens": 0, "ttftMs": 1.5, "totalMs": 2.0}
    return {"task_id": f"t/{task}", "mode": mode, "target": f"    value = {task}", "prediction": prediction} | engine | more


def written(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


@pytest.fixture()
def rows(tmp_path: Path) -> Path:
    """Twelve tasks: `none` gets one in four right, `compressed` all but one."""
    none = [row(i, "none", f"value = {i}" if i % 4 == 0 else "other = 1") for i in range(12)]
    compressed = [row(i, "compressed", f"value = {i}" if i else "value = 9") for i in range(12)]
    return written(tmp_path / "rows.jsonl", none + compressed)


def test_scores_and_paired_differences(rows: Path) -> None:
    none, compressed = columns_of([rows], with_code_bleu=False)
    assert sum(none.scores["EM"].values()) == 3 and sum(compressed.scores["EM"].values()) == 11
    apart = difference(none, compressed)
    assert apart["EM"].mean == pytest.approx(8 / 12) and apart["EM"].n == 12
    assert apart["EM"].low > 0 and apart["EM"].p < 0.01
    back = difference(compressed, none)
    assert back["EM"].mean == -apart["EM"].mean


def test_only_tasks_of_both_are_paired(tmp_path: Path) -> None:
    a = written(tmp_path / "a.jsonl", [row(i, "none", "x") for i in range(6)])
    b = written(tmp_path / "b.jsonl", [row(i, "none", "x") for i in range(4, 9)])
    first, second = columns_of([a, b], with_code_bleu=False)
    assert (first.name, second.name) == ("a/none", "b/none")
    assert difference(first, second)["EM"].n == 2


def test_perplexity_is_over_tokens_not_tasks() -> None:
    rows = {
        "a": {"prediction": "x", "target": "x", "nll": 6.0, "tokens": 2},
        "b": {"prediction": "x", "target": "x", "nll": 2.0, "tokens": 6},
    }
    found = perplexity(column_of("none", rows, False))
    assert found.mean == pytest.approx(math.exp(8 / 8))
    assert found.low <= found.mean <= found.high


def test_the_table_and_its_json(rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = rows.parent / "out.json"
    monkeypatch.setattr(sys, "argv", ["metrics.py", str(rows), "--against", "none", "--json", str(out)])
    main()
    text = capsys.readouterr().out
    assert "| none | 12 | 25.00 [" in text and "| compressed | 12 | 91.67 [" in text
    assert "66.67 [" in text and " p 0.0" in text
    content = json.loads(out.read_text())
    assert content["columns"]["compressed"]["differences"]["EM"]["n"] == 12


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no rows"),
        ("nonsense\n", "rows.jsonl:1 is no row"),
        ('{"task_id": "a", "mode": "none", "target": "x"}\n', "rows.jsonl:1 is no row"),
        (2 * '{"task_id": "a", "mode": "none", "target": "x", "prediction": "y"}\n', "stands twice"),
    ],
)
def test_bad_rows(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(CorpusError, match=words):
        read_rows(tmp_path / "rows.jsonl")


def test_an_unknown_column(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["metrics.py", str(rows), "--against", "full"])
    with pytest.raises(CorpusError, match="there is no column full; there are none, compressed"):
        main()


def test_code_bleu() -> None:
    pytest.importorskip("codebleu", reason="an extra of its own")
    function = "def f(a, b):\n    c = a + b\n    return c"
    assert code_bleu(function, function) == pytest.approx(1.0)
    assert code_bleu("def f(a, b):\n    d = a + b\n    return d", function) < 1.0
    line = "    return self.items.get(name, default)"
    assert code_bleu(line, line) == pytest.approx(1.0)
    assert 0.0 <= code_bleu("pass", line) < code_bleu("return self.items.get(name)", line) < 1.0
    assert code_bleu("", line) >= 0.0
