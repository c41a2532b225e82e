"""The model card of a pack, written from the facts its stages recorded."""

import json
from pathlib import Path
from typing import Any

EVALUATION = "<!-- evaluation: begin -->\nNot measured yet.\n<!-- evaluation: end -->"
"""Filled in from the engine's own `precis eval`, which runs the pack as users do."""


def stage_lines(facts: dict[str, Any]) -> str:
    lines = []
    for stage, values in facts.items():
        if isinstance(values, dict):
            lines.append(f"- **{stage}**: " + ", ".join(f"{k} {v}" for k, v in values.items()))
    if facts.get("untrained"):
        lines.append(f"- **Provisional**: {', '.join(facts['untrained'])} not trained yet. Not for shipping.")
    return "\n".join(lines)


def curve_table(file: Path) -> str:
    """The reader's losses where held-out ones were taken, from the stage's curve.jsonl; nothing where there is none."""
    lines = file.read_text().splitlines() if file.is_file() else []
    rows, loss = [], float("nan")
    for line in map(json.loads, lines):
        loss = line.get("loss", loss)
        if "none" in line and "full" in line:
            rows.append(f"| {line['tokens'] / 1e6:.1f} | {loss:.2f} | {line['none']:.3f} | {line['full']:.3f} |")
    head = "| tokens, M | training loss | held-out middle, alone | with retrieved text |\n|---|---|---|---|\n"
    return "Losses of the reader's stage, nats a token:\n\n" + head + "\n".join(rows) if rows else ""


def model_card(sources: Path, facts: dict[str, Any], curve: str = "") -> str:
    """Markdown."""
    content = json.loads(sources.read_text())
    table = content["sources"]
    kept = sum(s["bytes"] for s in table)
    reader = facts["reader"]
    flops = 6 * reader["parameters"] * reader["tokens"]
    rows = "\n".join(f"| {s['name']} | {s['version']} | {s['licence'][:60]} | {s['split']} | {s['bytes']} |" for s in table)
    return f"""# Precis Python, small

A Qwen2-architecture family for local Python completion: reader, encoder, fuser, projector and a byte-level BPE tokenizer with
Qwen2.5-Coder's special tokens. Trained from nothing on a two-core CPU by the scripts in `training/`; no weights of another
model were used. Weights: MIT.

## What it is for

The first run of Precis, offline and in seconds. It knows common Python; most of what it gets right has been written before, in
the file or in the repository, and is copied: the engine mixes what followed the same tokens earlier into the reader's
distribution, by the weights in `pack.json`. It does not know libraries the way a large model does; for that, add a
Qwen2.5-Coder pack.

## Stages

{stage_lines(facts)}

The reader was trained for about {flops:.1e} FLOPs.

{curve}

## Data

Python files of {len(table)} permissively licensed packages, {kept / 1e6:.0f} MB after filtering; the reader saw a random part
of it. Left out: vendored, generated, minified and very large files, files with secrets, duplicates across packages, and files
that share lines with the evaluation repositories. Dropped files by reason: {content["dropped"]}.
RepoEval's repositories (awslabs/fortuna, huggingface/evaluate, opendilab/ACE and DI-engine, pytorch/rl and tensordict,
huggingface/diffusers, nerfstudio, google/vizier, alibaba/FederatedScope) are excluded by name and by shared lines.

## Evaluation

{EVALUATION}

## Limits

Python only. Small: expect plausible single lines, wrong names and wrong calls. Licences of the training text do not pass to
completions, but a completion can repeat common idioms word for word.

## Sources

| package | version | licence | split | bytes |
|---|---|---|---|---|
{rows}
"""
