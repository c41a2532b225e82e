"""HEF's tables 4, 5 and 7 and its figure 3, of what runs/hef.sh and runs/hef_regimes.sh made; tables.py prints them."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import checkpoints
from comparisons import Claim, Columns, Line, metrics_in
from metrics import Column, row, summary
from models.fuser import Fuser

TABLE_4 = [
    Line("initial model, no context", "initial", "none", "23.32"),
    Line("initial model, 16 pseudo-tokens", "initial", "compressed"),
    Line("separate, useful contexts, 16", "separate", "compressed", "32.31"),
    Line("end to end, random contexts, 16", "random", "compressed", "24.53"),
    Line("end to end, useful contexts, 16", "uwl", "compressed", "36.20"),
    Line("the same reader without them", "uwl", "none"),
    Line("end to end, useful contexts, 52", "uwl-52", "compressed", "38.35"),
    Line("the same with entity names, 52", "names-52", "compressed", "42.80"),
]
"""The paper's is CodeBLEU; it does not say how many pseudo-tokens stand in the first four."""
TABLE_5 = [
    Line("no context", "harmful", "none", "18.10"),
    Line("full text", "harmful", "full", "14.40"),
    Line("pseudo-tokens", "harmful", "compressed", "16.70"),
]
"""On the samples useful_contexts.py --harmful keeps; the paper's is CodeBLEU."""
NONE, UWL, FIFTY = ("initial", "none"), ("uwl", "compressed"), ("uwl-52", "compressed")
CLAIMS = [
    Claim("separate training beats the initial model", NONE, ("separate", "compressed"), "CodeBLEU", 1, 8.99),
    Claim("so does end to end with random contexts, barely", NONE, ("random", "compressed"), "CodeBLEU", 1, 1.21),
    Claim("end to end beats separate", ("separate", "compressed"), UWL, "CodeBLEU", 1, 3.89),
    Claim("useful contexts beat random ones", ("random", "compressed"), UWL, "CodeBLEU", 1, 11.67),
    Claim("the trained reader needs its pseudo-tokens", ("uwl", "none"), UWL, "CodeBLEU", 1),
    Claim("52 pseudo-tokens beat fewer", UWL, FIFTY, "CodeBLEU", 1, 2.15),
    Claim("entity names help", FIFTY, ("names-52", "compressed"), "CodeBLEU", 1, 4.45),
    Claim("a larger fuser gains a little", ("fuser-small", "compressed"), FIFTY, "CodeBLEU", 1, 0.77),
    Claim("one larger still does not", FIFTY, ("fuser-large", "compressed"), "CodeBLEU", 0, -0.04),
    Claim("harmful text costs more than pseudo-tokens", ("harmful", "full"), ("harmful", "compressed"), "CodeBLEU", 1, 2.30),
]


@dataclass(frozen=True)
class FuserSize:
    """A row of table 7: a fuser, and the run whose reader was trained with it."""

    name: str
    folder: str
    run: str
    paper: str


TABLE_7 = [
    FuserSize("small", "fuser-small", "fuser-small", "38.35, 0.5 B, 35.1 s"),
    FuserSize("middle", "fuser-middle", "uwl-52", "39.12, 1.5 B, 98.4 s"),
    FuserSize("large", "fuser-large", "fuser-large", "39.08, 3 B, 187.2 s"),
]
"""The paper's: CodeBLEU, parameters, and seconds to build the whole cache."""


@dataclass(frozen=True)
class Measured:
    """What is known of a fuser."""

    size: FuserSize
    parameters: int
    seconds: float
    """To fuse 1,000 chunks."""
    recall: float | None
    """Of a held-out group's sibling among 48, behind its own training."""
    column: Column | None
    """Scores of the reader trained with it, where it was."""


@torch.no_grad()
def seconds_of(fuser: Fuser, count: int = 1000, rounds: int = 5) -> float:
    """The least of some rounds over the hierarchy of so many chunks, level by level, as the engine builds it; one thread."""
    vectors = nn.functional.normalize(torch.randn(count, fuser.config.vector_dim), dim=-1)
    torch.set_num_threads(1)
    least = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        level, b = vectors, fuser.config.branching
        while len(level) > 1:
            groups = level.split(b)
            children = torch.stack([nn.functional.pad(g, (0, 0, 0, b - len(g))) for g in groups])
            level = fuser(children, torch.tensor([len(g) for g in groups], dtype=torch.int32))
        least = min(least, time.perf_counter() - began)
    return least


def sizes_in(work: Path, columns: Columns) -> list[Measured]:
    """Of the fusers there are."""
    found = []
    for size in TABLE_7:
        file = work / size.folder / "fuser.pt"
        if not file.is_file():
            continue
        state = checkpoints.load(file)
        fuser = checkpoints.read_fuser(file, state["config"]["vector_dim"])
        recall = state["facts"].get("held-out sibling recall at 1")
        parameters = sum(p.numel() for p in fuser.parameters())
        found.append(Measured(size, parameters, seconds_of(fuser), recall, columns.get((size.run, "compressed"))))
    return found


def shown_sizes(sizes: list[Measured], columns: Columns) -> str:
    """Table 7."""
    metrics = metrics_in(columns)
    head = ["fuser", "parameters", "s for 1,000 chunks", "recall at 1", "n", *(f"{m}, %" for m in metrics), "perplexity"]
    out = [row([*head, "paper, CodeBLEU, parameters, cache"]), row(["---"] * (len(head) + 1))]
    for found in sizes:
        recall = "–" if found.recall is None else f"{found.recall:.3f}"
        cells = [found.size.name, f"{found.parameters / 1e6:.2f} M", f"{found.seconds:.3f}", recall]
        if found.column is None:
            cells += ["not run", *(["–"] * (1 + len(metrics)))]
        else:
            means = summary(found.column)
            cells += [str(means["EM"].n), *(means[m].shown(100) for m in metrics), means["perplexity"].shown()]
        out.append(row([*cells, found.size.paper]))
    return "\n".join(out)


def budgets_in(columns: Columns) -> list[tuple[int, Column]]:
    """Runs named k-N: N pseudo-tokens before the prompt."""
    found = [(int(run[2:]), column) for (run, _), column in columns.items() if run.startswith("k-") and run[2:].isdigit()]
    return sorted(found, key=lambda pair: pair[0])


def shown_budgets(columns: Columns) -> str:
    """Figure 3 in numbers."""
    metrics = metrics_in(columns)
    out = [row(["pseudo-tokens", "n", *(f"{m}, %" for m in metrics), "perplexity"]), row(["---"] * (3 + len(metrics)))]
    for count, column in budgets_in(columns):
        means = summary(column)
        out.append(row([str(count), str(means["EM"].n), *(means[m].shown(100) for m in metrics), means["perplexity"].shown()]))
    return "\n".join(out)


def plot_budgets(columns: Columns, file: Path) -> None:
    """Figure 3: edit similarity over the number of pseudo-tokens."""
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


def plot_regimes(columns: Columns, file: Path) -> None:
    """Table 4: CodeBLEU here and in the paper, and perplexity."""
    import matplotlib.pyplot as plt

    lines = [line for line in TABLE_4 if (line.run, line.mode) in columns]
    metric = metrics_in(columns)[-1]
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.42 * len(lines) + 1.4), layout="constrained", sharey=True)
    n = 0
    for axis, name, scale in ((axes[0], metric, 100), (axes[1], "perplexity", 1)):
        for y, line in enumerate(lines):
            found = summary(columns[line.run, line.mode])[name]
            n = found.n
            low, high = (found.mean - found.low) * scale, (found.high - found.mean) * scale
            axis.errorbar(found.mean * scale, y, xerr=[[low], [high]], fmt="o", color="tab:blue", capsize=3, label="here")
        axis.grid(axis="x", alpha=0.3)
    if metric == "CodeBLEU":
        told = [(y, float(line.paper)) for y, line in enumerate(lines) if line.paper != "–"]
        axes[0].plot([x for _, x in told], [y for y, _ in told], "x", color="tab:orange", label="in the paper")
        by_label = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        axes[0].legend(by_label.values(), by_label.keys(), loc="upper right", fontsize="small")
    unit = "edit similarity" if metric == "ES" else metric
    axes[0].set(yticks=range(len(lines)), yticklabels=[line.name for line in lines], xlabel=f"{unit}, %")
    axes[0].invert_yaxis()
    axes[1].set(xlabel="perplexity of the middle (lower is better)")
    figure.suptitle(f"HEF's table 4: held-out middles of one line, n = {n}, 95 % bootstrap intervals")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def plot_sizes(sizes: list[Measured], columns: Columns, file: Path) -> None:
    """Table 7: quality and time over the fuser's parameters."""
    import matplotlib.pyplot as plt

    metric = metrics_in(columns)[-1]
    parameters = [m.parameters / 1e6 for m in sizes]
    found = [(m.parameters / 1e6, summary(m.column)[metric]) for m in sizes if m.column is not None]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    bars = [[100 * (i.mean - i.low) for _, i in found], [100 * (i.high - i.mean) for _, i in found]]
    axes[0].errorbar([x for x, _ in found], [100 * i.mean for _, i in found], yerr=bars, marker="o", capsize=3)
    axes[0].set(ylabel=f"{'edit similarity' if metric == 'ES' else metric}, %", title="quality, with 52 pseudo-tokens")
    axes[1].plot(parameters, [1000 * m.seconds for m in sizes], marker="o", color="tab:green")
    axes[1].set(ylabel="ms to fuse 1,000 chunks, one thread", ylim=(0, None), title="offline, without the encoder")
    for axis in axes:
        axis.set(xlabel="parameters of the fuser, millions", xscale="log", xticks=parameters)
        axis.set_xticks([], minor=True)
        axis.set_xticklabels([f"{p:.1f}" for p in parameters])
        axis.grid(alpha=0.3)
    figure.suptitle(f"HEF's table 7: held-out middles of one line, n = {found[0][1].n}, 95 % bootstrap intervals")
    figure.savefig(file, bbox_inches="tight")
    plt.close(figure)


def plots(columns: Columns, sizes: list[Measured], folder: Path) -> None:
    """Figures of the runs there are."""
    if budgets_in(columns):
        plot_budgets(columns, folder / "hef-figure-3.svg")
    if any((line.run, line.mode) in columns for line in TABLE_4):
        plot_regimes(columns, folder / "hef-table-4.svg")
    if any(m.column is not None for m in sizes):
        plot_sizes(sizes, columns, folder / "hef-table-7.svg")
