"""What runs/llavacode.sh and runs/hef.sh made -> tables and figures of both papers beside the papers' numbers.

    python tables.py --work DIR [--codebleu] [--plots DIR]

Means with 95 % bootstrap intervals over the held-out samples; differences are paired, with a two-sided p. A claim of the paper
counts as confirmed or contradicted only where the interval of its difference leaves out 0; otherwise the run is too small to
say. One seed of training stands behind a row: the intervals are over samples, not over runs.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failures import CorpusError, run_stage
from metrics import Column, column_of, difference, read_rows, row, summary


@dataclass(frozen=True)
class Line:
    """A row of a table: where its rows lie, and what the paper has (EM, ES, percent)."""

    name: str
    run: str
    mode: str
    paper: str = "–"


TABLE_1 = [
    Line("no context", "all", "none", "45.97 / 66.57"),
    Line("pseudo-tokens of the projector all began with", "start", "compressed"),
    Line("pseudo-tokens, CE + REINFORCE + alignment", "all", "compressed", "47.66 / 68.74"),
    Line("full text", "all", "full", "50.87 / 69.43"),
    Line("pseudo-tokens, only CE", "only-ce", "compressed", "38.57 / 63.60"),
    Line("pseudo-tokens, only REINFORCE", "only-reinforce", "compressed", "40.61 / 63.91"),
    Line("pseudo-tokens, self-critical", "self-critical", "compressed"),
]
TABLE_2 = [
    Line("syntax tree, 2 layers", "ast-2", "compressed", "46.69 / 67.65"),
    Line("syntax tree, 3 layers", "ast-3", "compressed", "46.94 / 68.26"),
    Line("text, 2 layers", "text-2", "compressed", "47.01 / 68.15"),
    Line("text, 3 layers", "text-3", "compressed", "47.66 / 68.74"),
    Line("text, 3 layers, not aligned", "unaligned", "compressed"),
]
EXTRAS = [
    Line("CE + alignment", "without-kl", "compressed"),
    Line("CE + alignment + KL", "kl", "compressed"),
    Line("CE + alignment + entity names", "entities", "compressed"),
    Line("half of the steps pre-training, 3 layers", "pretrained", "compressed"),
]
TABLE_5 = [
    Line("no context", "harmful", "none", "18.10 CodeBLEU"),
    Line("full text", "harmful", "full", "14.40 CodeBLEU"),
    Line("pseudo-tokens", "harmful", "compressed", "16.70 CodeBLEU"),
]
"""HEF's, on the samples useful_contexts.py --harmful keeps."""
CLAIMS = [
    ("pseudo-tokens beat no context (ES)", ("all", "none"), ("all", "compressed"), "ES", 1),
    ("training with all three terms raises ES", ("start", "compressed"), ("all", "compressed"), "ES", 1),
    ("full text beats pseudo-tokens (ES)", ("all", "compressed"), ("all", "full"), "ES", 1),
    ("all three terms beat CE alone (ES)", ("only-ce", "compressed"), ("all", "compressed"), "ES", 1),
    ("CE alone has the lower loss", ("all", "compressed"), ("only-ce", "compressed"), "nll", -1),
    ("all three terms beat REINFORCE alone (ES)", ("only-reinforce", "compressed"), ("all", "compressed"), "ES", 1),
    ("REINFORCE alone raises the loss", ("all", "none"), ("only-reinforce", "compressed"), "nll", 1),
    ("3 layers beat 2 (ES)", ("text-2", "compressed"), ("text-3", "compressed"), "ES", 1),
    ("text beats syntax trees (ES)", ("ast-3", "compressed"), ("text-3", "compressed"), "ES", 1),
    ("harmful text costs more than harmful pseudo-tokens (ES)", ("harmful", "full"), ("harmful", "compressed"), "ES", 1),
    ("the KL term hurts (ES)", ("without-kl", "compressed"), ("kl", "compressed"), "ES", -1),
    ("pre-training does not help (ES)", ("text-3", "compressed"), ("pretrained", "compressed"), "ES", 0),
]
"""What is said, two runs, the metric, and the sign the paper gives to the second less the first; 0 for: not above."""


def columns_in(work: Path, with_code_bleu: bool) -> dict[tuple[str, str], Column]:
    """By run and mode."""
    found: dict[tuple[str, str], Column] = {}
    for file in sorted(work.glob("*/rows.jsonl")):
        for mode, rows in read_rows(file).items():
            found[file.parent.name, mode] = column_of(f"{file.parent.name}/{mode}", rows, with_code_bleu)
    if not found:
        raise CorpusError(f"{work} holds no */rows.jsonl. Run runs/llavacode.sh first.")
    return found


def shown_table(lines: list[Line], columns: dict[tuple[str, str], Column]) -> str:
    """Markdown; a run that is not there is said to be missing."""
    metrics = [m for m in ("EM", "ES", "CodeBLEU") if m in next(iter(columns.values())).scores]
    out = [row(["", "n", *(f"{m}, %" for m in metrics), "perplexity", "paper, EM / ES"])]
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


def shown_claims(columns: dict[tuple[str, str], Column]) -> str:
    """Each of the paper's claims against the paired difference here."""
    out = [row(["the paper says", "difference here", "p", "n", "so"]), row(["---"] * 5)]
    for words, a, b, metric, sign in CLAIMS:
        if a not in columns or b not in columns:
            out.append(row([words, "not run", "–", "–", "–"]))
            continue
        apart = difference(columns[a], columns[b])[metric]
        unit = "nats a token" if metric == "nll" else "points"
        verdict = "too small a run to say"
        if apart.low > 0 or apart.high < 0:
            verdict = "confirmed" if (apart.mean > 0) == (sign > 0) else "contradicted"
        elif sign == 0:
            verdict = "no gain seen"
        out.append(
            row([words, f"{apart.shown(1 if metric == 'nll' else 100)} {unit}", f"{apart.p:.4f}", str(apart.n), verdict])
        )
    return "\n".join(out)


def collapses_in(work: Path) -> dict[str, dict[str, Any]]:
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(work.glob("*/collapse.json"))}


def budgets_in(columns: dict[tuple[str, str], Column]) -> list[tuple[int, Column]]:
    """Runs named k-N: N pseudo-tokens before the prompt."""
    found = [(int(run[2:]), column) for (run, _), column in columns.items() if run.startswith("k-") and run[2:].isdigit()]
    return sorted(found, key=lambda pair: pair[0])


def shown_budgets(columns: dict[tuple[str, str], Column]) -> str:
    """HEF's figure 3 in numbers."""
    metrics = [m for m in ("EM", "ES", "CodeBLEU") if m in next(iter(columns.values())).scores]
    out = [row(["pseudo-tokens", "n", *(f"{m}, %" for m in metrics), "perplexity"]), row(["---"] * (3 + len(metrics)))]
    for count, column in budgets_in(columns):
        means = summary(column)
        out.append(row([str(count), str(means["EM"].n), *(means[m].shown(100) for m in metrics), means["perplexity"].shown()]))
    return "\n".join(out)


def plot_budgets(columns: dict[tuple[str, str], Column], file: Path) -> None:
    """HEF's figure 3: edit similarity over the number of pseudo-tokens."""
    import matplotlib.pyplot as plt

    found = [(count, summary(column)["ES"]) for count, column in budgets_in(columns)]
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    means = [100 * i.mean for _, i in found]
    bars = [[100 * (i.mean - i.low) for _, i in found], [100 * (i.high - i.mean) for _, i in found]]
    axis.errorbar([count for count, _ in found], means, yerr=bars, marker="o", capsize=3)
    axis.set(xlabel="pseudo-tokens", ylabel="edit similarity, %", title=f"n = {found[0][1].n}, 95 % bootstrap intervals")
    axis.grid(alpha=0.3)
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def shown_collapse(found: dict[str, dict[str, Any]]) -> str:
    """Mean pairwise cosine distance of the same contexts (figure 2 in numbers)."""
    out = [row(["run", "contexts", "encoder", "projector"]), row(["---"] * 4)]
    out += [
        row([name, str(c["n"]), f"{c['encoder']['mean']:.3f}", f"{c['projector']['mean']:.3f}"]) for name, c in found.items()
    ]
    return "\n".join(out)


def plot_collapse(found: dict[str, dict[str, Any]], file: Path) -> None:
    """Figure 2: encoder, collapsed projector, aligned projector."""
    import matplotlib.pyplot as plt

    panels = [("text-3", "encoder", "(a) encoder"), ("unaligned", "projector", "(b) projector, no alignment")]
    panels.append(("text-3", "projector", "(c) projector, aligned"))
    panels = [p for p in panels if p[0] in found]
    if not panels:
        return
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.8), layout="constrained", squeeze=False)
    image = None
    for axis, (run, side, title) in zip(axes[0], panels, strict=True):
        c = found[run][side]
        image = axis.imshow(c["matrix"], vmin=0, vmax=1, cmap="viridis")
        axis.set(title=f"{title}\nmean {c['mean']:.2f}", xlabel="context", ylabel="context")
    if image is not None:
        figure.colorbar(image, ax=list(axes[0]), label="cosine distance", shrink=0.85)
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def plot_scores(columns: dict[tuple[str, str], Column], file: Path) -> None:
    """Tables 1 and 2: edit similarity with its interval, and perplexity."""
    import matplotlib.pyplot as plt

    lines = [line for line in TABLE_1 + TABLE_2 + EXTRAS if (line.run, line.mode) in columns]
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.42 * len(lines) + 1.2), layout="constrained", sharey=True)
    n = 0
    for axis, metric, scale in ((axes[0], "ES", 100), (axes[1], "perplexity", 1)):
        for y, line in enumerate(lines):
            found = summary(columns[line.run, line.mode])[metric]
            n = found.n
            low, high = (found.mean - found.low) * scale, (found.high - found.mean) * scale
            axis.errorbar(found.mean * scale, y, xerr=[[low], [high]], fmt="o", color="tab:blue", capsize=3)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set(yticks=range(len(lines)), yticklabels=[line.name for line in lines], xlabel="edit similarity, %")
    axes[0].invert_yaxis()
    axes[1].set(xlabel="perplexity of the middle (lower is better)")
    figure.suptitle(f"Held-out middles of one line, n = {n}, 95 % bootstrap intervals")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--codebleu", action="store_true", help="needs the extra of that name")
    parser.add_argument("--plots", type=Path, help="where figures go, as SVG; needs the extra `plots`")
    args = parser.parse_args()
    columns = columns_in(args.work, args.codebleu)
    collapse = collapses_in(args.work)
    for title, body in (
        ("Table 1: regimes", shown_table(TABLE_1, columns)),
        ("Table 2: layers and modality, from nothing", shown_table(TABLE_2, columns)),
        ("Extras", shown_table(EXTRAS, columns)),
        ("HEF's figure 3: number of pseudo-tokens", shown_budgets(columns)),
        ("HEF's table 5: contexts that all lower the likelihood", shown_table(TABLE_5, columns)),
        ("Figure 2: mean pairwise cosine distance", shown_collapse(collapse)),
        ("Claims", shown_claims(columns)),
    ):
        print(f"\n**{title}**\n\n{body}")
    if args.plots is not None:
        args.plots.mkdir(parents=True, exist_ok=True)
        if budgets_in(columns):
            plot_budgets(columns, args.plots / "hef-figure-3.svg")
        plot_scores(columns, args.plots / "llavacode-tables.svg")
        if collapse:
            plot_collapse(collapse, args.plots / "llavacode-figure-2.svg")


if __name__ == "__main__":
    run_stage(main)
