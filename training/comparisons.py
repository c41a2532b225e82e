"""Rows of runs -> tables with intervals, and a paper's claims against paired differences: what every table is made with.

A claim counts as confirmed or contradicted only where the interval of its difference leaves out 0. Where it does not, the claim
was not seen if the interval leaves out the paper's difference too, and else the run is too small to say. One seed of training
stands behind a row: the intervals are over samples, not over runs.
"""

from dataclasses import dataclass
from pathlib import Path

from failures import CorpusError
from metrics import Column, column_of, difference, read_rows, row, summary
from scores import Interval

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
    told: float | None = None
    """The paper's own difference, in points of that metric, where it gives one."""


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


@dataclass(frozen=True)
class Judged:
    """A claim beside what was found."""

    words: str
    metric: str
    apart: Interval
    """Of the second run less the first; points of a hundred, or nats a token."""
    verdict: str


def judged(claims: list[Claim], columns: Columns) -> list[Judged]:
    """Claims whose two runs there are."""
    found = []
    for claim in claims:
        if claim.first not in columns or claim.second not in columns:
            continue
        between = difference(columns[claim.first], columns[claim.second])
        metric = claim.metric if claim.metric in between else "ES"
        apart = between[metric]
        verdict = "too small a run to say"
        if apart.low > 0 or apart.high < 0:
            verdict = "confirmed" if (apart.mean > 0) == (claim.sign > 0) else "contradicted"
        elif claim.sign == 0:
            verdict = "no gain seen"
        elif claim.told is not None and metric == claim.metric and not apart.low <= claim.told / 100 <= apart.high:
            verdict = "not seen"
        found.append(Judged(claim.words, metric, apart, verdict))
    return found


def shown_claims(claims: list[Claim], columns: Columns) -> str:
    """Each claim against the paired difference here."""
    out = [row(["the paper says", "there", "difference here", "p", "n", "so"]), row(["---"] * 6)]
    found = {claim.words: claim for claim in judged(claims, columns)}
    for claim in claims:
        here = found.get(claim.words)
        there = "–" if claim.told is None else f"{claim.told:+.2f}"
        if here is None:
            out.append(row([claim.words, there, "not run", "–", "–", "–"]))
            continue
        unit = "nats a token" if here.metric == "nll" else f"points of {here.metric}"
        shown = f"{here.apart.shown(1 if here.metric == 'nll' else 100)} {unit}"
        out.append(row([claim.words, there, shown, f"{here.apart.p:.4f}", str(here.apart.n), here.verdict]))
    return "\n".join(out)


COLOURS = {"confirmed": "tab:green", "contradicted": "tab:red", "no gain seen": "tab:blue", "not seen": "tab:orange"}


def plot_claims(claims: list[Claim], columns: Columns, title: str, file: Path) -> None:
    """Paired differences with their intervals: scores on the left, losses beside them where a claim is of one."""
    import matplotlib.pyplot as plt

    found = judged(claims, columns)
    sides = [[c for c in found if (c.metric == "nll") == is_loss] for is_loss in (False, True)]
    sides = [side for side in sides if side]
    if not sides:
        return
    rows = max(len(side) for side in sides)
    size = (7.5 * len(sides), 0.42 * rows + 1.6)
    figure, axes = plt.subplots(1, len(sides), figsize=size, layout="constrained", squeeze=False)
    for axis, side in zip(axes[0], sides, strict=True):
        scale = 1 if side[0].metric == "nll" else 100
        for y, claim in enumerate(side):
            a = claim.apart
            error = [[scale * (a.mean - a.low)], [scale * (a.high - a.mean)]]
            colour = COLOURS.get(claim.verdict, "tab:gray")
            axis.errorbar(scale * a.mean, y, xerr=error, fmt="o", color=colour, capsize=3, label=claim.verdict)
        axis.axvline(0, color="black", linewidth=0.8)
        unit = "nats a token" if scale == 1 else f"points of {' and '.join(dict.fromkeys(c.metric for c in side))}"
        axis.set(yticks=range(len(side)), yticklabels=[c.words for c in side], xlabel=f"difference, {unit}")
        axis.set_ylim(len(side) - 0.5, -0.5)
        axis.grid(axis="x", alpha=0.3)
    shown = [axis.get_legend_handles_labels() for axis in axes[0]]
    by_label = {label: handle for handles, labels in shown for handle, label in zip(handles, labels, strict=True)}
    figure.legend(by_label.values(), by_label.keys(), loc="outside lower center", ncols=len(by_label), fontsize="small")
    figure.suptitle(f"{title}: paired differences, n = {found[0].apart.n}, 95 % bootstrap intervals")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)
