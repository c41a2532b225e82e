"""Tables of runs that are there, and what is said of those that are not."""

import json
import sys
from pathlib import Path

import pytest

import tables
from checkpoints import new_fuser, save
from comparisons import Claim, judged
from failures import CorpusError
from metrics import Column


def write_run(work: Path, name: str, right: dict[str, int], nll: float) -> None:
    """A run of twenty samples; `right` of them come out in each mode."""
    (work / name).mkdir(exist_ok=True)
    rows = [
        {"task_id": f"r/{i}", "mode": mode, "target": f"value = {i}", "nll": nll, "tokens": 4}
        | {"prediction": f"value = {i}" if i < count else "pass"}
        for mode, count in right.items()
        for i in range(20)
    ]
    (work / name / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    matrix = [[0.0, 0.5], [0.5, 0.0]]
    side = {"mean": 0.5, "matrix": matrix}
    (work / name / "collapse.json").write_text(json.dumps({"n": 2, "encoder": side, "projector": side}))


@pytest.fixture()
def work(tmp_path: Path) -> Path:
    write_run(tmp_path, "all", {"none": 2, "full": 15, "compressed": 14}, 6.0)
    write_run(tmp_path, "only-ce", {"compressed": 1}, 4.0)
    for count in (4, 8, 32):
        write_run(tmp_path, f"k-{count}", {"compressed": 10}, 4.0)
    write_run(tmp_path, "text-3", {"compressed": 10}, 4.0)
    return tmp_path


def test_tables_and_verdicts(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(work)])
    tables.main()
    lines = capsys.readouterr().out.splitlines()

    def line(start: str) -> str:
        return next(text for text in lines if text.startswith(f"| {start}"))

    assert "| 20 | 10.00 [" in line("no context") and "45.97 / 66.57" in line("no context")
    assert "not run" in line("pseudo-tokens, only REINFORCE")
    assert line("pseudo-tokens beat no context").endswith("| confirmed |")
    assert line("CE alone has the lower loss").endswith("| confirmed |")
    assert line("full text beats pseudo-tokens").endswith("| too small a run to say |")
    assert "not run" in line("3 layers beat 2")
    assert lines.index(line("8 | 20 |")) == lines.index(line("4 | 20 |")) + 1 == lines.index(line("32 | 20 |")) - 1
    assert "| 2 | 0.500 | 0.500 |" in line("text-3")


def test_figures_are_drawn(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="an extra of its own")
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(work), "--plots", str(work / "plots")])
    tables.main()
    for name in ("hef-figure-3.svg", "llavacode-tables.svg", "llavacode-figure-2.svg", "llavacode-claims.svg"):
        assert (work / "plots" / name).read_text().rstrip().endswith("</svg>")


def test_folders_are_read_together(
    work: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    write_run(other, "text-2", {"compressed": 3}, 4.0)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(work), str(other)])
    tables.main()
    assert "| 3 layers beat 2 (ES) | " in (said := capsys.readouterr().out)
    assert "| text, 2 layers | 20 |" in said
    write_run(other, "all", {"none": 2}, 4.0)
    with pytest.raises(CorpusError, match="all stands in more than one"):
        tables.main()


def hef_runs(work: Path) -> None:
    """Regimes and two sizes of the fuser."""
    write_run(work, "initial", {"none": 2}, 6.0)
    write_run(work, "uwl", {"none": 3, "compressed": 14}, 4.0)
    write_run(work, "uwl-52", {"compressed": 15}, 4.0)
    write_run(work, "random", {"compressed": 2}, 6.0)
    write_run(work, "fuser-large", {"compressed": 15}, 4.0)
    for name, width in (("small", 32), ("middle", 64), ("large", 128)):
        (work / f"fuser-{name}").mkdir(exist_ok=True)
        save(work / f"fuser-{name}" / "fuser.pt", new_fuser(64, 4, width=width), {"held-out sibling recall at 1": 0.75})


def test_hef_s_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="an extra of its own")
    hef_runs(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(tmp_path), "--plots", str(tmp_path / "plots")])
    tables.main()
    lines = capsys.readouterr().out.splitlines()

    def line(start: str) -> str:
        return next(text for text in lines if text.startswith(f"| {start}"))

    assert "| 20 | 70.00 [" in line("end to end, useful contexts, 16") and "36.20" in line("end to end, useful contexts, 16")
    assert "not run" in line("separate, useful contexts, 16")
    assert line("useful contexts beat random ones").endswith("| confirmed |")
    assert "points of ES" in line("useful contexts beat random ones")
    assert line("one larger still does not").endswith("| no gain seen |")
    assert line("so does end to end with random contexts").endswith("| too small a run to say |")
    sizes = [text.split(" | ") for text in lines if text.startswith(("| small |", "| middle |", "| large |"))]
    parameters = [float(row[1][:-2]) for row in sizes]
    assert [row[0] for row in sizes] == ["| small", "| middle", "| large"] and parameters == sorted(parameters)
    assert all(float(row[2]) > 0 and row[3] == "0.750" for row in sizes)
    assert [row[4] for row in sizes] == ["not run", "20", "20"]
    drawn = {f.name for f in (tmp_path / "plots").iterdir()}
    assert {"hef-table-4.svg", "hef-table-7.svg"} <= drawn and "llavacode-tables.svg" not in drawn


def test_a_claim_is_weighed_against_what_the_paper_found() -> None:
    tasks = [str(i) for i in range(40)]
    scores = [{"CodeBLEU": {t: 0.5 + 0.01 * ((i + shift) % 2) for i, t in enumerate(tasks)}} for shift in (0, 1)]
    columns = {(name, "none"): Column(name, s, {}) for name, s in zip("ab", scores, strict=True)}

    def verdict(sign: int, told: float | None) -> str:
        claim = Claim("words", ("a", "none"), ("b", "none"), "CodeBLEU", sign, told)
        return judged([claim], columns)[0].verdict

    assert verdict(1, 5.0) == "not seen"
    assert verdict(1, 0.1) == verdict(1, None) == "too small a run to say"
    assert verdict(0, None) == "no gain seen"


def test_nothing_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(tmp_path)])
    with pytest.raises(CorpusError, match=r"Run runs/llavacode\.sh or runs/hef_regimes\.sh first"):
        tables.main()


def test_runs_without_a_figure_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="an extra of its own")
    write_run(tmp_path, "all", {"none": 2, "full": 15, "compressed": 14}, 6.0)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--work", str(tmp_path), "--plots", str(tmp_path / "plots")])
    tables.main()
    assert sorted(f.name for f in (tmp_path / "plots").iterdir()) == ["llavacode-claims.svg", "llavacode-tables.svg"]
