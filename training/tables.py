"""What the scripts in runs/ made of both papers -> their tables and figures beside the papers' numbers.

    python tables.py --work DIR [DIR ...] [--codebleu] [--plots DIR]

Runs of one name must not stand in two of the folders. Means with 95 % bootstrap intervals over the held-out samples;
differences are paired, with a two-sided p.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import hef_tables
from comparisons import Claim, Columns, Line, columns_in, plot_claims, shown_claims, shown_table
from failures import CorpusError, run_stage
from metrics import row, summary

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
CLAIMS = [
    Claim("pseudo-tokens beat no context (ES)", ("all", "none"), ("all", "compressed"), "ES", 1),
    Claim("training with all three terms raises ES", ("start", "compressed"), ("all", "compressed"), "ES", 1),
    Claim("full text beats pseudo-tokens (ES)", ("all", "compressed"), ("all", "full"), "ES", 1),
    Claim("all three terms beat CE alone (ES)", ("only-ce", "compressed"), ("all", "compressed"), "ES", 1),
    Claim("CE alone has the lower loss", ("all", "compressed"), ("only-ce", "compressed"), "nll", -1),
    Claim("all three terms beat REINFORCE alone (ES)", ("only-reinforce", "compressed"), ("all", "compressed"), "ES", 1),
    Claim("REINFORCE alone raises the loss", ("all", "none"), ("only-reinforce", "compressed"), "nll", 1),
    Claim("3 layers beat 2 (ES)", ("text-2", "compressed"), ("text-3", "compressed"), "ES", 1),
    Claim("text beats syntax trees (ES)", ("ast-3", "compressed"), ("text-3", "compressed"), "ES", 1),
    Claim("the KL term hurts (ES)", ("without-kl", "compressed"), ("kl", "compressed"), "ES", -1),
    Claim("pre-training does not help (ES)", ("text-3", "compressed"), ("pretrained", "compressed"), "ES", 0),
]


def collapses_in(work: Path) -> dict[str, dict[str, Any]]:
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(work.glob("*/collapse.json"))}


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
    size = (4 * len(panels), 3.8)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False, sharey=True)
    image = None
    for axis, (run, side, title) in zip(axes[0], panels, strict=True):
        c = found[run][side]
        image = axis.imshow(c["matrix"], vmin=0, vmax=1, cmap="viridis")
        axis.set(title=f"{title}\nmean {c['mean']:.2f}", xlabel=f"context, of {len(c['matrix'])}")
    axes[0][0].set(ylabel="context")
    if image is not None:
        figure.colorbar(image, ax=list(axes[0]), label="cosine distance", shrink=0.85, extend="max")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def plot_scores(columns: Columns, file: Path) -> None:
    """Tables 1 and 2: edit similarity with its interval, and perplexity."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    groups = [[line for line in table if (line.run, line.mode) in columns] for table in (TABLE_1, TABLE_2, EXTRAS)]
    lines = [line for group in groups for line in group]
    colours = [f"C{n}" for n, group in enumerate(groups) for _ in group]
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.42 * len(lines) + 1.2), layout="constrained", sharey=True)
    n = 0
    for axis, metric, scale in ((axes[0], "ES", 100), (axes[1], "perplexity", 1)):
        for y, line in enumerate(lines):
            found = summary(columns[line.run, line.mode])[metric]
            n = found.n
            low, high = (found.mean - found.low) * scale, (found.high - found.mean) * scale
            axis.errorbar(found.mean * scale, y, xerr=[[low], [high]], fmt="o", color=colours[y], capsize=3)
        for edge in (len(groups[0]), len(groups[0]) + len(groups[1])):
            axis.axhline(edge - 0.5, color="black", linewidth=0.6)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set(yticks=range(len(lines)), yticklabels=[line.name for line in lines], xlabel="edit similarity, %")
    axes[0].set_ylim(len(lines) - 0.5, -0.5)
    axes[1].set(xlabel="perplexity of the middle, log scale (lower is better)", xscale="log")
    axes[1].xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes[1].xaxis.set_major_formatter("{x:g}")
    axes[1].xaxis.set_minor_locator(NullLocator())
    figure.suptitle(f"LlavaCode's tables 1 and 2, and extras: held-out middles of one line, n = {n}, 95 % intervals")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, nargs="+")
    parser.add_argument("--codebleu", action="store_true", help="needs the extra of that name")
    parser.add_argument("--plots", type=Path, help="where figures go, as SVG; needs the extra `plots`")
    args = parser.parse_args()
    columns: Columns = {}
    for work in args.work:
        found = columns_in(work, args.codebleu)
        twice = {run for run, _ in columns.keys() & found.keys()}
        if twice:
            raise CorpusError(f"{', '.join(sorted(twice))} stands in more than one of the folders: print them one by one.")
        columns |= found
    collapse = {name: found for work in args.work for name, found in collapses_in(work).items()}
    sizes = [size for work in args.work for size in hef_tables.sizes_in(work, columns)]
    for title, body in (
        ("LlavaCode's table 1: regimes", shown_table(TABLE_1, columns)),
        ("LlavaCode's table 2: layers and modality, from nothing", shown_table(TABLE_2, columns)),
        ("Extras", shown_table(EXTRAS, columns)),
        ("LlavaCode's figure 2: mean pairwise cosine distance", shown_collapse(collapse)),
        ("LlavaCode's claims", shown_claims(CLAIMS, columns)),
        ("HEF's figure 3: number of pseudo-tokens", hef_tables.shown_budgets(columns)),
        ("HEF's table 4: regimes and contexts", shown_table(hef_tables.TABLE_4, columns, "paper, CodeBLEU")),
        ("HEF's table 5: contexts that all lower the likelihood", shown_table(hef_tables.TABLE_5, columns, "paper, CodeBLEU")),
        ("HEF's table 7: size of the fuser", hef_tables.shown_sizes(sizes, columns)),
        ("HEF's claims", shown_claims(hef_tables.CLAIMS, columns)),
    ):
        print(f"\n**{title}**\n\n{body}")
    if args.plots is not None:
        args.plots.mkdir(parents=True, exist_ok=True)
        hef_tables.plots(columns, sizes, args.plots)
        if any((line.run, line.mode) in columns for line in TABLE_1 + TABLE_2 + EXTRAS):
            plot_scores(columns, args.plots / "llavacode-tables.svg")
        for paper, claims in (("LlavaCode", CLAIMS), ("HEF", hef_tables.CLAIMS)):
            plot_claims(claims, columns, f"{paper}'s claims", args.plots / f"{paper.lower()}-claims.svg")
        if collapse:
            plot_collapse(collapse, args.plots / "llavacode-figure-2.svg")


if __name__ == "__main__":
    run_stage(main)
