"""How much a copied token weighs beside a reader, fitted on lines of repositories that nothing was trained on.

    python fit_copying.py --run DIR --corpus FILE [--folders DIR ...] --out copying.json

Prints exact matches and loss with and without copying, each half of the samples judged by weights of the other half.
"""

import argparse
import json
import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from checkpoints import load_reader
from chunks import identifiers
from copying import LONGEST, Place, copied_after, evidence_of, exact_matches, fit, loss
from corpus import corpus_files
from failures import CorpusError, run_stage
from models.reader import Reader
from samples import MIDDLE, Before, Budget, Repository, Sample, encode, render, window
from tokenizer import read_tokenizer

CHUNKS, BEFORE, AFTER = 8, 20_000, 20_000
"""Chunks and characters around the cursor that are copied from, as in `engine/completion/copySources.ts`."""
MODES: dict[str, Before] = {"none": "nothing", "full": "chunks", "compressed, names alone": "names"}


def held_out(corpus: Path, folders: list[Path]) -> Iterator[Repository]:
    """The corpus' held-out repositories, and folders of source."""
    for name, group in groupby(corpus_files(corpus), key=lambda r: str(r["repo"])):
        files = {r["path"]: r["text"] for r in group if r["split"] != "train"}
        if len(files) >= 20:
            yield Repository(name, files)
    for folder in folders:
        texts = {str(p.relative_to(folder)): p.read_text(errors="ignore") for p in sorted(folder.rglob("*.py"))}
        yield Repository(folder.name, {path: text for path, text in texts.items() if 300 < len(text) < 60_000})


def draw_line(repository: Repository, rng: random.Random) -> Sample:
    """A line of code that is to be written whole, with what retrieval finds for it."""
    while True:
        path = rng.choice(repository.paths)
        lines = repository.files[path].split("\n")
        i = rng.randrange(len(lines))
        if i == 0 or len(lines[i].strip()) < 6 or lines[i].lstrip().startswith(("#", '"', "'")):
            continue
        prefix, suffix = "\n".join(lines[:i]) + "\n", "\n".join(lines[i + 1 :])
        found = [c for _, c in repository.index.search(identifiers(window(prefix, suffix)), path, CHUNKS)]
        return Sample(repository.name, path, prefix, lines[i] + "\n", suffix, found[::-1])


@torch.no_grad()
def probabilities(reader: Reader, ids: list[int], count: int) -> torch.Tensor:
    """[count, V] of the last `count` tokens, each given all before it."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = reader.hidden(F.embedding(torch.tensor([ids[:-1]]), reader.embed_tokens.weight).bfloat16())
        return reader.logits(hidden[:, -count:])[0].float().softmax(-1)


def places_of(reader: Reader, tokenizer: Tokenizer, sample: Sample, number: int, before: Before) -> list[Place]:
    """Every token of the sample's line."""
    row = render(tokenizer, sample, "spm", Budget(), before)
    if row is None:
        return []
    ids, classes = row
    count = classes.count(MIDDLE)
    ids = ids[:-1]  # without the end of text: the engine ends a line itself
    p = probabilities(reader, ids, count)
    start = sample.prefix[-BEFORE:]
    chunks = [encode(tokenizer, evidence_of(c.text)) for c in reversed(sample.retrieved)]
    others = [encode(tokenizer, sample.suffix[:AFTER]), *chunks]
    # Mode none copies from its own file alone.
    sources = [encode(tokenizer, start), *(others[:1] if before == "nothing" else others)]
    places = []
    for j in range(count):
        true = ids[len(ids) - count + j]
        copied, agreeing = copied_after(ids[len(ids) - count + j - LONGEST : len(ids) - count + j], sources)
        best = int(p[j].argmax())
        places.append(
            Place(
                number, agreeing, copied == true, float(p[j, true]), float(p[j, copied]) if agreeing else 0.0,
                float(p[j, best]), best == true, best == copied,
            )
        )  # fmt: skip
    return places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="sources that nothing was trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    reader = load_reader(args.run)[0].eval()
    tokenizer = read_tokenizer(args.run / "tokenizer" / "tokenizer.json")
    repositories = list(held_out(args.corpus, args.folders))
    if not repositories:
        raise CorpusError(f"{args.corpus} holds no repository of 20 files back: name sources with --folders.")
    places: dict[str, list[Place]] = {mode: [] for mode in MODES}
    for number in range(args.samples):
        sample = draw_line(repositories[number % len(repositories)], rng)
        for mode, before in MODES.items():
            places[mode] += places_of(reader, tokenizer, sample, number, before)
        if number % 20 == 19:
            print(f"{number + 1} of {args.samples} lines", flush=True)

    everywhere = [p for mode in places.values() for p in mode]
    # Halves that each hold every repository.
    half = {n: n // len(repositories) % 2 for n in range(args.samples)}
    other = [fit([p for p in everywhere if half[p.sample] != h]) for h in (0, 1)]
    table: dict[str, Any] = {}
    for mode, here in places.items():
        table[mode] = {
            "exact matches": [round(exact_matches(here, w), 4) for w in (lambda _: [], lambda n: other[half[n]])],
            "loss": [round(loss(here, w), 3) for w in (lambda _: [], lambda n: other[half[n]])],
        }
        print(f"{mode}: without, with copying: {table[mode]}")
    weights = fit(everywhere)
    facts = {"repositories": [r.name for r in repositories], "lines": args.samples, "held out": table}
    args.out.write_text(json.dumps({"weights": weights, "facts": facts}, indent=2) + "\n")
    print(f"weights {weights}")


if __name__ == "__main__":
    run_stage(main)
