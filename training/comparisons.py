"""Rows of runs -> tables with intervals, and a paper's claims against paired differences: what every table is made with.

A claim counts as confirmed or contradicted only where the interval of its difference leaves out 0; otherwise the run is too
small to say. One seed of training stands behind a row: the intervals are over samples, not over runs.
"""

from dataclasses import dataclass
from pathlib import Path

from failures import CorpusError
from metrics import Column, column_of, difference, read_rows, row, summary

Columns = dict[tuple[str, str], Column]
"""By run and mode."""


@dataclass(frozen=True)
class Line:
    """A row of a table: where its rows lie, and what the paper has (EM, ES, percent)."""

    name: str
    run: str
    mode: str
    paper: str = "–"


@dataclass(frozen=True)
class Claim:
    """What a paper says of two runs."""

    words: str
    first: tuple[str, str]
    """Run and mode."""
    second: tuple[str, str]
    metric: str
    """ES stands in for CodeBLEU where that was not worked out."""
    sign: int
    """Of the second less the first, as the paper has it; 0 for: not above."""


def columns_in(work: Path, with_code_bleu: bool) -> Columns:
    """Of every run there is."""
    found: Columns = {}
    for file in sorted(work.glob("*/rows.jsonl")):
        for mode, rows in read_rows(file).items():
            found[file.parent.name, mode] = column_of(f"{file.parent.name}/{mode}", rows, with_code_bleu)
    if not found:
        raise CorpusError(f"{work} holds no */rows.jsonl. Run runs/llavacode.sh or runs/hef_regimes.sh first.")
    return found


def metrics_in(columns: Columns) -> list[str]:
    """Those that were worked out, in the order of a table."""
    return [m for m in ("EM", "ES", "CodeBLEU") if m in next(iter(columns.values())).scores]


def shown_table(lines: list[Line], columns: Columns, paper: str = "paper, EM / ES") -> str:
    """Markdown; a run that is not there is said to be missing."""
    metrics = metrics_in(columns)
    out = [row(["", "n", *(f"{m}, %" for m in metrics), "perplexity", paper])]
    out.append(row(["---"] * (4 + len(metrics))))
    for line in lines:
        column = columns.get((line.run, line.mode))
        if column is None:
            out.append(row([line.name, "not run", *(["–"] * (1 + len(metrics))), line.paper]))
            continue
        means = summary(column)
        cells = [means[m].shown(100) for m in metrics] + [means["perplexity"].shown()]
        out.append(row([line.name, str(means["EM"].n), *cells, line.paper]))
    return "\n".join(out)


def shown_claims(claims: list[Claim], columns: Columns) -> str:
    """Each claim against the paired difference here."""
    out = [row(["the paper says", "difference here", "p", "n", "so"]), row(["---"] * 5)]
    for claim in claims:
        if claim.first not in columns or claim.second not in columns:
            out.append(row([claim.words, "not run", "–", "–", "–"]))
            continue
        found = difference(columns[claim.first], columns[claim.second])
        metric = claim.metric if claim.metric in found else "ES"
        apart = found[metric]
        unit = "nats a token" if metric == "nll" else f"points of {metric}"
        verdict = "too small a run to say"
        if apart.low > 0 or apart.high < 0:
            verdict = "confirmed" if (apart.mean > 0) == (claim.sign > 0) else "contradicted"
        elif claim.sign == 0:
            verdict = "no gain seen"
        shown = f"{apart.shown(1 if metric == 'nll' else 100)} {unit}"
        out.append(row([claim.words, shown, f"{apart.p:.4f}", str(apart.n), verdict]))
    return "\n".join(out)
