"""Rows of `precis eval --out`, or of evaluate_projector.py -> EM, ES, CodeBLEU, perplexity, and paired differences.

    python metrics.py rows.jsonl [other.jsonl ...] [--codebleu] [--against none] [--json FILE]

Each file's modes are columns; tasks are paired by id. Every number has a 95 % bootstrap interval over tasks, every
difference a two-sided p. CodeBLEU is of the package `codebleu` (0.7), the mean over tasks; where a target has no data flow
(most single lines) its three other parts weigh a third each, as the package advises. Perplexity is exp of the mean negative
log-likelihood a token; rows without `nll` and `tokens` have none.
"""

import argparse
import json
import logging
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from failures import CorpusError, TrainingError, run_stage
from scores import Interval, bootstrap, edit_similarity, exact_match

Rows = dict[str, dict[str, Any]]
"""By task."""


@dataclass(frozen=True)
class Column:
    """One mode of one file."""

    name: str
    scores: dict[str, dict[str, float]]
    """Metric -> task -> value; EM, ES and CodeBLEU from 0 to 1, `nll` in nats a token."""
    weights: dict[str, float]
    """Tokens of each task, for perplexity."""


def read_rows(file: Path) -> dict[str, Rows]:
    """Mode -> task -> row."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror}. Write it with `precis eval --out`.") from error
    found: dict[str, Rows] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            task, mode = str(row["task_id"]), str(row["mode"])
            assert isinstance(row["target"], str) and isinstance(row["prediction"], str)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise CorpusError(f"{file}:{number} is no row of an evaluation ({type(error).__name__}: {error}).") from error
        if task in found.setdefault(mode, {}):
            raise CorpusError(f"{file}:{number}: {task} stands twice in mode {mode}. Evaluate into a new file.")
        found[mode][task] = row
    if not found:
        raise CorpusError(f"{file} holds no rows.")
    return found


TOKEN = re.compile(r"\w+|[^\w\s]")


def code_bleu(prediction: str, target: str, language: str = "python") -> float:
    """CodeBLEU of one prediction, from 0 to 1 (Ren et al. 2020), stripped as for EM; 1 where they are equal.

    Tokens are words and signs, not the package's runs between white space, of which a line has too few. Even so a line of three
    tokens has no 4-gram, and would not score 1 against itself.
    """
    prediction, target = prediction.strip(), target.strip()
    if prediction == target:
        return 1.0
    found = package_scores(prediction, target, language)
    parts = [found[name] for name in ("ngram_match_score", "weighted_ngram_match_score", "syntax_match_score")]
    # A target with data flow scores 1 against itself, one without scores 0.
    if package_scores(target, target, language)["dataflow_match_score"] > 0:
        parts.append(found["dataflow_match_score"])
    return float(np.mean(parts))


def package_scores(prediction: str, target: str, language: str) -> dict[str, float]:
    """What the package gives; it needs the extra `codebleu`."""
    try:
        from codebleu import calc_codebleu
    except ImportError as error:
        raise TrainingError(f"--codebleu needs the extra `codebleu` of pyproject.toml ({error}).") from error
    logging.disable(logging.WARNING)  # it warns for every target without data flow
    try:
        return dict(calc_codebleu([target], [prediction], language, tokenizer=TOKEN.findall))
    finally:
        logging.disable(logging.NOTSET)


def column_of(name: str, rows: Rows, with_code_bleu: bool) -> Column:
    """EM and ES are worked out again from prediction and target, so that every file is scored alike."""
    pairs = {task: (str(r["prediction"]), str(r["target"])) for task, r in rows.items()}
    scores = {
        "EM": {task: exact_match(*pair) for task, pair in pairs.items()},
        "ES": {task: edit_similarity(*pair) for task, pair in pairs.items()},
    }
    if with_code_bleu:
        scores["CodeBLEU"] = {task: code_bleu(*pair) for task, pair in pairs.items()}
    known = {task: r for task, r in rows.items() if "nll" in r and r.get("tokens", 0) > 0}
    if known:
        scores["nll"] = {task: float(r["nll"]) for task, r in known.items()}
    return Column(name, scores, {task: float(r["tokens"]) for task, r in known.items()})


def perplexity(column: Column, rounds: int = 2000, seed: int = 0) -> Interval:
    """exp of the mean loss a token, tasks resampled; `p` is of no use here."""
    tasks = sorted(column.scores["nll"])
    nll = np.asarray([column.scores["nll"][t] for t in tasks])
    tokens = np.asarray([column.weights[t] for t in tasks])
    rng = np.random.default_rng(seed)
    draws = [rng.integers(len(tasks), size=len(tasks)) for _ in range(rounds)]
    low, high = np.quantile([nll[d].sum() / tokens[d].sum() for d in draws], [0.025, 0.975])
    return Interval(math.exp(nll.sum() / tokens.sum()), math.exp(low), math.exp(high), len(tasks), 1.0)


def summary(column: Column) -> dict[str, Interval]:
    """Each metric's mean; EM, ES and CodeBLEU from 0 to 1."""
    found = {m: bootstrap(np.asarray(list(v.values()))) for m, v in column.scores.items() if m != "nll"}
    return found | ({"perplexity": perplexity(column)} if "nll" in column.scores else {})


def difference(a: Column, b: Column) -> dict[str, Interval]:
    """b − a over the tasks both have; for `nll`, in nats a token of each task."""
    found: dict[str, Interval] = {}
    for metric in a.scores.keys() & b.scores.keys():
        tasks = sorted(a.scores[metric].keys() & b.scores[metric].keys())
        if not tasks:
            continue
        x, y = (np.asarray([c.scores[metric][t] for t in tasks]) for c in (a, b))
        if metric == "nll":
            x, y = (v / np.asarray([a.weights[t] for t in tasks]) for v in (x, y))
        found[metric] = bootstrap(y - x)
    return found


def columns_of(files: list[Path], with_code_bleu: bool) -> list[Column]:
    """Named by mode, and by file where there are several."""
    found: list[Column] = []
    for file in files:
        for mode, rows in read_rows(file).items():
            name = mode if len(files) == 1 else f"{file.stem}/{mode}"
            found.append(column_of(name, rows, with_code_bleu))
    return found


def table(columns: list[Column], against: str | None) -> str:
    """Markdown: a row a column, then the differences from `against` (by default the first column)."""
    metrics = [m for m in ("EM", "ES", "CodeBLEU") if m in columns[0].scores]
    with_perplexity = any("nll" in c.scores for c in columns)
    head = ["", "n", *(f"{m}, %" for m in metrics), *(["perplexity"] if with_perplexity else [])]
    lines = [row(head), row(["---"] * len(head))]
    for column in columns:
        means = summary(column)
        cells = [means[m].shown(100) for m in metrics]
        cells += [means["perplexity"].shown() if "perplexity" in means else "–"] if with_perplexity else []
        lines.append(row([column.name, str(means["EM"].n), *cells]))
    anchor = next((c for c in columns if c.name == against), columns[0])
    names = [*metrics, *(["nll"] if with_perplexity else [])]
    lines += ["", row([f"less {anchor.name}", "n", *names]), row(["---"] * (2 + len(names)))]
    for column in columns:
        if column is anchor:
            continue
        apart = difference(anchor, column)
        cells = [f"{apart[m].shown(1 if m == 'nll' else 100)} p {apart[m].p:.4f}" if m in apart else "–" for m in names]
        lines.append(row([column.name, str(apart["EM"].n if "EM" in apart else 0), *cells]))
    return "\n".join(lines)


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--codebleu", action="store_true", help="needs the extra of that name")
    parser.add_argument("--against", help="the column others are compared with; default: the first")
    parser.add_argument("--json", type=Path, help="the same as JSON")
    args = parser.parse_args()
    columns = columns_of(args.rows, args.codebleu)
    if args.against is not None and args.against not in [c.name for c in columns]:
        raise CorpusError(f"there is no column {args.against}; there are {', '.join(c.name for c in columns)}.")
    print(table(columns, args.against))
    if args.json is not None:
        anchor = next((c for c in columns if c.name == args.against), columns[0])
        content = {
            c.name: {
                "means": {m: asdict(i) for m, i in summary(c).items()},
                "differences": {m: asdict(i) for m, i in difference(anchor, c).items()} if c is not anchor else {},
            }
            for c in columns
        }
        args.json.write_text(json.dumps({"against": anchor.name, "columns": content}, indent=1) + "\n")


if __name__ == "__main__":
    run_stage(main)
