r"""Engine chunks -> fill-in-the-middle samples as text, drawn as LlavaCode draws them (section 4.1).

    python draw_samples.py --chunks FILE --out DIR --count 2000 --held-out 0.1

Repositories with fewer than five files or, where the corpus tells them, fewer than 50 stars, and files with fewer than three
imports are left out; the middle has 1 to 9 whole lines (Poisson); every sample has at least ten neighbours by Jaccard
similarity from other files. `--windows` cuts the neighbours as the paper does, 10 n lines with 5 n overlap for a middle of n
lines; without it they are the engine's chunks, which know their syntax. Train and valid never share a repository; the middle
of a valid sample has one line. Of files with the same text one is drawn from.
"""

import argparse
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chunks import Chunk, JaccardIndex, from_engine, identifiers
from failures import CorpusError, run_stage
from fim_samples import Context, FimSample, read_samples, write_samples
from samples import window

IMPORT = re.compile(r"^\s*(?:import|from)\s", re.MULTILINE)
MEAN_LINES = 3.0
"""λ of the middle's lines; the paper names the distribution, not its mean."""
LONGEST = 9
KEPT = 12_000
"""Characters kept on each side of a hole: more than a prompt takes."""
WINDOW_LINES, WINDOW_STEP = 10, 5
"""Lines of a window and between two, for each line of the middle."""


@dataclass(frozen=True)
class Rules:
    """What is drawn from, and what is kept."""

    min_stars: int = 50
    """Of repositories whose row tells its stars; packages from a registry have none to tell."""
    min_files: int = 5
    min_imports: int = 3
    min_neighbours: int = 10
    windows: bool = False
    keep: int = 16
    """Neighbours kept of each sample."""


@dataclass
class Source:
    """A repository with what was cut from it."""

    name: str
    files: dict[str, str]
    chunks: list[Chunk]
    features: dict[int, dict[str, Any]]
    """By `id` of a chunk: what the engine says of it beside its text."""
    indexes: dict[int, JaccardIndex] = field(default_factory=dict)
    """By lines of the middle; 0 for the engine's chunks."""

    def index(self, lines: int, windows: bool) -> JaccardIndex:
        key = lines if windows else 0
        if key not in self.indexes:
            self.indexes[key] = JaccardIndex(cut_windows(self.files, lines) if windows else self.chunks)
        return self.indexes[key]


def cut_windows(files: dict[str, str], lines: int) -> list[Chunk]:
    """10 n lines with 5 n overlap."""
    size, step = WINDOW_LINES * lines, WINDOW_STEP * lines
    found: list[Chunk] = []
    for path, text in files.items():
        rows = text.split("\n")
        for start in range(0, max(1, len(rows) - step), step):
            body = "\n".join(rows[start : start + size]).rstrip()
            if body.strip():
                found.append(Chunk(path, start, min(start + size, len(rows)), body))
    return found


def sources(file: Path, rules: Rules) -> Iterator[Source]:
    """Repositories of engine_chunks.py that pass the rules, without files seen before."""
    seen: set[bytes] = set()
    try:
        lines = file.open()
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror}. Write it with engine_chunks.py.") from error
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                files = {p: t for p, t in row["files"].items() if not known(t, seen)}
                raw = [c for c in row["chunks"] if c["path"] in files]
                name = str(row["repo"])
                stars = int(row.get("stars", rules.min_stars))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CorpusError(
                    f"{file}:{number} is no repository ({error}). Write the file with engine_chunks.py."
                ) from error
            if len(files) < rules.min_files or stars < rules.min_stars:
                continue
            chunks = [from_engine(c) for c in raw]
            yield Source(name, files, chunks, {id(c): r for c, r in zip(chunks, raw, strict=True)})


def known(text: str, seen: set[bytes]) -> bool:
    """True where a file's text was seen before."""
    digest = hashlib.blake2b(text.encode(), digest_size=12).digest()
    was = digest in seen
    seen.add(digest)
    return was


def middle_lines(rng: np.random.Generator) -> int:
    """1 to 9, Poisson."""
    while True:
        count = int(rng.poisson(MEAN_LINES))
        if 1 <= count <= LONGEST:
            return count


def context_of(source: Source, chunk: Chunk, overlap: float) -> Context:
    row = source.features.get(id(chunk), {})
    qualified = str(row.get("qualifiedName", ""))
    names = ([qualified] if qualified else []) + [str(n) for n in row.get("defines", []) if n != qualified.rpartition(".")[2]]
    linearised = str(row.get("linearised", ""))
    return Context(chunk.path, chunk.text, chunk.encoder_text, linearised, names, round(overlap, 4), chunk.start_line)


def draw(source: Source, rng: np.random.Generator, rules: Rules, one_line: bool, number: int) -> FimSample | None:
    """One sample, or None where the place drawn does not do."""
    paths = [p for p, t in source.files.items() if len(IMPORT.findall(t)) >= rules.min_imports and "<|" not in t]
    if not paths:
        return None
    path = paths[int(rng.integers(len(paths)))]
    lines = source.files[path].split("\n")
    count = 1 if one_line else middle_lines(rng)
    if len(lines) <= count + 1:
        return None
    start = int(rng.integers(1, len(lines) - count))
    hole = lines[start : start + count]
    if not hole[0].strip() or not hole[-1].strip() or all(row.lstrip().startswith("#") for row in hole):
        return None
    prefix = "".join(row + "\n" for row in lines[:start])
    suffix = "\n" + "\n".join(lines[start + count :])
    index = source.index(count, rules.windows)
    found = index.search(identifiers(window(prefix, suffix)), path, max(rules.keep, rules.min_neighbours))
    if len(found) < rules.min_neighbours:
        return None
    contexts = [context_of(source, chunk, overlap) for overlap, chunk in found[: rules.keep]]
    return FimSample(f"{source.name}/{number}", source.name, path, prefix[-KEPT:], "\n".join(hole), suffix[:KEPT], contexts)


def with_random_contexts(sample: FimSample, source: Source, seed: int, rules: Rules) -> FimSample:
    """The same hole with chunks of other files of its repository in place of its neighbours."""
    others = [chunk for chunk in source.index(sample.middle.count("\n") + 1, rules.windows).chunks if chunk.path != sample.path]
    # A generator of the sample's own, so that its contexts do not hang on the samples before it.
    rng = np.random.default_rng((seed, *hashlib.blake2b(sample.id.encode(), digest_size=8).digest()))
    drawn = [others[i] for i in rng.permutation(len(others))[: rules.keep]]
    return replace(sample, contexts=[context_of(source, chunk, 0.0) for chunk in drawn])


def again_at_random(samples: list[FimSample], found: list[Source], seed: int, rules: Rules) -> list[FimSample]:
    """Samples of a file with contexts at random; raises where their repository is not there."""
    by_name = {source.name: source for source in found}
    absent = sorted({s.repo for s in samples} - by_name.keys())
    if absent:
        raise CorpusError(f"--chunks lacks {', '.join(absent[:5])}: give the file the samples were drawn from.")
    return [with_random_contexts(s, by_name[s.repo], seed, rules) for s in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--chunks", type=Path, required=True, help="chunks.jsonl of engine_chunks.py")
    add("--out", type=Path, required=True)
    add("--count", type=int, required=True, help="samples to train on")
    add("--valid", type=int, default=200, help="samples held out")
    add("--held-out", type=float, default=0.1, help="share of the repositories for valid")
    add(
        "--valid-chunks", type=Path, help="chunks.jsonl of other repositories, all for valid; none of --chunks is held out then"
    )
    add("--max-repos", type=int, default=10**9)
    add("--windows", action="store_true", help="the paper's windows instead of the engine's chunks")
    add("--random", action="store_true", help="chunks of other files at random as contexts, HEF's control (table 4)")
    add("--holes", type=Path, help="with --random: the holes of this sample file again, as train.jsonl")
    add("--keep", type=int, default=Rules.keep, help="contexts kept of each sample")
    add("--min-stars", type=int, default=Rules.min_stars, help="where a repository's row has its stars")
    add("--min-files", type=int, default=Rules.min_files)
    add("--min-imports", type=int, default=Rules.min_imports)
    add("--min-neighbours", type=int, default=Rules.min_neighbours)
    add("--seed", type=int, default=0)
    args = parser.parse_args()

    rules = Rules(args.min_stars, args.min_files, args.min_imports, args.min_neighbours, args.windows, args.keep)
    found = [s for _, s in zip(range(args.max_repos), sources(args.chunks, rules), strict=False)]
    if args.valid_chunks is not None:
        valid, train = list(sources(args.valid_chunks, rules)), found
        both = {s.name for s in valid} & {s.name for s in train}
        if both:
            raise CorpusError(f"{', '.join(sorted(both))} stands in both files of chunks: leave it out of one of them.")
        if not valid or not train:
            raise CorpusError(
                f"{args.chunks} has {len(train)} repositories that pass the rules, {args.valid_chunks} {len(valid)}: "
                "one of each is needed."
            )
    elif len(found) < 2:
        raise CorpusError(
            f"{args.chunks} has {len(found)} repositories that pass the rules; two are needed, one of them held out."
        )
    else:
        random.Random(args.seed).shuffle(found)
        held = max(1, min(len(found) - 1, round(args.held_out * len(found))))
        valid, train = found[:held], found[held:]
    if args.holes is not None:
        count = write_samples(args.out / "train.jsonl", again_at_random(read_samples(args.holes), found, args.seed, rules))
        print(f"train: {count} holes of {args.holes} with contexts at random")
        return
    for name, part, wanted in (("valid", valid, args.valid), ("train", train, args.count)):
        rng = np.random.default_rng((args.seed, len(name)))
        drawn: list[FimSample] = []
        for _ in range(40 * wanted):
            if len(drawn) == wanted:
                break
            source = part[int(rng.integers(len(part)))]
            sample = draw(source, rng, rules, name == "valid", len(drawn))
            if sample is not None:
                drawn.append(sample)
        if not drawn:
            raise CorpusError(
                f"no {name} sample passes the rules: lower --min-neighbours or --min-imports, or bring more files."
            )
        if args.random:
            drawn = again_at_random(drawn, part, args.seed, rules)
        write_samples(args.out / f"{name}.jsonl", drawn)
        lines = np.asarray([s.middle.count("\n") + 1 for s in drawn])
        spread = f"{lines.mean():.2f} lines in the mean, at most {lines.max()}"
        print(f"{name}: {len(drawn)} samples of {len(part)} repositories, {spread}")


if __name__ == "__main__":
    run_stage(main)
