"""Corpus -> repository-level fill-in-the-middle samples, as token arrays in the engine's exact prompt templates.

python samples.py --corpus FILE --tokenizer FILE --out DIR --count N [--split held-out] [--seed S]
"""

import argparse
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from chunks import Chunk, JaccardIndex, cut, identifiers
from corpus import corpus_files
from entity_names import entity_names
from failures import CorpusError, run_stage
from tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, read_tokenizer

RETRIEVED = FILE_SEP + "{path}\n{text}\n"
SPM = FILE_SEP + "{path}\n" + FIM_PREFIX + FIM_SUFFIX + "{suffix}" + FIM_MIDDLE + "{prefix}"
NAMES = FILE_SEP + " {names}\n"
PSM = FILE_SEP + "{path}\n" + FIM_PREFIX + "{prefix}" + FIM_SUFFIX + "{suffix}" + FIM_MIDDLE
IGNORED, CONTEXT, MIDDLE, END = 0, 1, 2, 3
"""Loss classes of a token; END is the end of text behind a middle."""
MACHINE_LEARNING = re.compile(
    r"torch|tensor|jax|flax|optax|haiku|keras|learn|transformers|gym|baselines|tianshou|ignite|botorch|pyro|blackjax|monai|"
    r"catalyst|skorch|deepchem|avalanche|kornia|allennlp|deepspeed|gluonts|sktime|autogluon|ax-platform|flwr|mlflow|chex|"
    r"distrax|rlax|equinox|lightning|timm|peft|trl|accelerate|datasets|optuna|ray|open-clip|shap|numpyro|evalu|spacy|thinc"
)


@dataclass(frozen=True)
class Budget:
    """Tokens of each part of a prompt."""

    left: int = 384
    right: int = 128
    context: int = 448
    middle: int = 96
    names: int = 38
    """Of entity names, in mode compressed."""
    left_beside_names: int = 340
    """In place of `left` there, so that the prompt is about as long as without context."""


@dataclass
class Sample:
    """A hole in a file with what may help to fill it."""

    repo: str
    path: str
    prefix: str
    middle: str
    suffix: str
    retrieved: list[Chunk] = field(default_factory=list)
    """Worst first: the best stands next to the file."""


def window(prefix: str, suffix: str, before: int = 16, after: int = 5) -> str:
    """The lines around the cursor that a query is made of, as the engine takes them."""
    return "\n".join(prefix.split("\n")[-before:]) + "\n".join(["", *suffix.split("\n")[:after]])


def draw_hole(text: str, rng: random.Random) -> tuple[str, str, str] | None:
    """(prefix, middle, suffix): half at a line's start, a fifth behind its indentation, the rest inside the line."""
    lines = text.split("\n")
    for _ in range(8):
        i = rng.randrange(1, len(lines))
        line = lines[i]
        if not line.strip() or (line.lstrip().startswith("#") and rng.random() < 0.8):
            continue
        if not lines[i - 1].strip() and rng.random() < 0.7:
            continue
        count = 1 if rng.random() < 0.65 else 1 + min(8, int(np.random.default_rng(rng.getrandbits(32)).poisson(2.0)))
        rest = lines[i : i + count]
        indent = len(line) - len(line.lstrip())
        kind = rng.random()
        if kind < 0.5:
            column = 0
        elif kind < 0.7:
            column = indent
        else:
            column = rng.randrange(indent, len(line))
        start = sum(len(x) + 1 for x in lines[:i]) + column
        end = sum(len(x) + 1 for x in lines[: i + len(rest)])
        if kind > 0.92 and len(line) - column > 4:
            end = start + rng.randrange(2, len(line) - column)  # closing brackets already typed: the hole ends inside the line
        end = min(end, len(text))
        if end > start:
            return text[:start], text[start:end], text[end:]
    return None


def renamed(chunk: Chunk, rng: random.Random) -> Chunk:
    """A near-duplicate: some identifiers replaced throughout, so that copying must adapt."""
    words = sorted(w for w in identifiers(chunk.text) if len(w) > 3)
    text = chunk.text
    for word in rng.sample(words, min(len(words), rng.randrange(0, 4))):
        text = re.sub(rf"\b{re.escape(word)}\b", rng.choice(words)[: rng.randrange(3, 9)] + "_" + word[:5], text)
    return Chunk(chunk.path.replace(".py", "_" + rng.choice(["base", "v2", "utils", "old", "impl"]) + ".py"), 0, 0, text)


class Repository:
    """A repository's files and chunks, from which samples are drawn."""

    def __init__(self, name: str, files: dict[str, str], chunks: list[Chunk] | None = None, chunk_tokens: int = 160) -> None:
        self.name = name
        self.files = {p: t for p, t in files.items() if "<|" not in t}
        self.paths = list(self.files)
        if chunks is None:
            self.by_file = {p: cut(p, t, chunk_tokens) for p, t in self.files.items()}
        else:
            self.by_file = {p: [] for p in self.files}
            for chunk in chunks:
                self.by_file[chunk.path].append(chunk)
        self.index = JaccardIndex([c for cs in self.by_file.values() for c in cs])
        self.position = {id(c): i for i, c in enumerate(self.index.chunks)}
        self.bytes = sum(len(t) for t in self.files.values())

    def draw(
        self, rng: random.Random, oracle: float = 0.35, copies: float = 0.07, retrieve: bool = True, found: int = 8
    ) -> Sample | None:
        """One sample. `oracle`: share whose query sees the answer; `copies`: share with a near-duplicate planted."""
        path = rng.choice(self.paths)
        hole = draw_hole(self.files[path], rng)
        if hole is None:
            return None
        prefix, middle, suffix = hole
        sample = Sample(self.name, path, prefix, middle, suffix)
        if retrieve:
            query = identifiers(window(prefix, suffix) + ("\n" + middle if rng.random() < oracle else ""))
            similar = [c for _, c in self.index.search(query, path, found)]
            line = prefix.count("\n")
            if rng.random() < copies:
                here = [c for c in self.by_file[path] if c.start_line <= line < c.end_line]
                similar = [renamed(c, rng) for c in here] + similar
            sample.retrieved = similar[::-1]
        return sample


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def context_ids(tokenizer: Tokenizer, chunks: list[Chunk], budget: int) -> list[int]:
    """Retrieved chunks in their template, the last (best) ones kept when they do not all fit."""
    kept: list[list[int]] = []
    left = budget
    for chunk in reversed(chunks):
        ids = encode(tokenizer, RETRIEVED.format(path=chunk.path, text=chunk.text))
        if len(ids) <= left:
            kept.append(ids)
            left -= len(ids)
    return [i for ids in reversed(kept) for i in ids]


def name_ids(tokenizer: Tokenizer, sample: Sample, budget: Budget) -> list[int]:
    """Entity names of the best chunks in their template; nothing where there are none."""
    prefix = tokenizer.decode(left_ids(tokenizer, sample.prefix, budget.left_beside_names))
    suffix = tokenizer.decode(encode(tokenizer, sample.suffix[: 8 * budget.right])[: budget.right])
    best = [chunk.text for chunk in reversed(sample.retrieved)]
    names = entity_names(best, prefix, suffix, budget.names, lambda text: len(encode(tokenizer, text)))
    return encode(tokenizer, NAMES.format(names=" ".join(names))) if names else []


def left_ids(tokenizer: Tokenizer, prefix: str, budget: int) -> list[int]:
    """The last whole lines of the prefix within `budget` tokens; a single longer line is cut."""
    text = prefix[-8 * budget :]
    encoding = tokenizer.encode(text, add_special_tokens=False)
    if len(encoding.ids) <= budget:
        return encoding.ids
    next_line = text.find("\n", encoding.offsets[-budget][0]) + 1
    return encode(tokenizer, text[next_line:]) if 0 < next_line < len(text) else encoding.ids[-budget:]


def prompt_ids(tokenizer: Tokenizer, sample: Sample, order: str, budget: Budget) -> list[int]:
    """The prompt without retrieved text, up to the place where the completion begins."""
    left = left_ids(tokenizer, sample.prefix, budget.left)
    right = encode(tokenizer, sample.suffix[: 8 * budget.right])[: budget.right]
    template = {"spm": SPM, "psm": PSM}[order]
    ids: list[int] = []
    for part in re.split(r"(\{prefix\}|\{suffix\})", template.replace("{path}", sample.path)):
        ids += left if part == "{prefix}" else right if part == "{suffix}" else encode(tokenizer, part)
    return ids


Before = Literal["nothing", "chunks", "names"]
"""What stands before the prompt."""


def render(
    tokenizer: Tokenizer, sample: Sample, order: str, budget: Budget, before: Before
) -> tuple[list[int], list[int]] | None:
    """(ids, loss classes) of a whole sample, or None if the hole is too long."""
    middle = encode(tokenizer, sample.middle)
    if not 0 < len(middle) <= budget.middle:
        return None
    end = tokenizer.token_to_id(END_OF_TEXT)
    head: list[int] = []
    if before == "chunks":
        head = context_ids(tokenizer, sample.retrieved, budget.context)
    elif before == "names":
        head = name_ids(tokenizer, sample, budget)
        budget = replace(budget, left=budget.left_beside_names)
    if order == "plain":
        text = (sample.prefix + sample.middle)[-8 * budget.left :] + sample.suffix[:2000]
        body = encode(tokenizer, FILE_SEP + sample.path + "\n" + text)[: budget.left + budget.right + budget.middle]
        ids = head + body
        return ids, [CONTEXT] * len(ids)
    prompt = head + prompt_ids(tokenizer, sample, order, budget)
    return prompt + middle + [end], [CONTEXT] * len(prompt) + [MIDDLE] * len(middle) + [END]


def repositories(corpus: Path, split: str, chunk_tokens: int = 160) -> Iterator[Repository]:
    """Repositories one after another; the corpus is grouped by repository."""
    for name, group in groupby(corpus_files(corpus), key=lambda r: str(r["repo"])):
        files = {r["path"]: r["text"] for r in group if r["split"] == split}
        if len(files) >= 3:
            yield Repository(name, files, chunk_tokens=chunk_tokens)


def write(folder: Path, rows: list[tuple[list[int], list[int]]]) -> None:
    """Token arrays as batches.py reads them; raises CorpusError where there is no row."""
    if not rows:
        raise CorpusError(f"not one sample for {folder}: the corpus has no repository of this split that can be drawn from.")
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.asarray([len(ids) for ids, _ in rows], np.int64)
    np.save(folder / "tokens.npy", np.concatenate([np.asarray(ids, np.uint16) for ids, _ in rows]))
    np.save(folder / "classes.npy", np.concatenate([np.asarray(c, np.uint8) for _, c in rows]))
    np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
    spread = np.quantile(lengths, [0.1, 0.25, 0.5, 0.75, 0.9, 1]).astype(int).tolist()
    print(f"{folder.name}: {len(rows)} samples, {lengths.sum() / 1e6:.2f} M tokens, quantiles {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True, help="samples, about")
    parser.add_argument("--valid", action="store_true", help="held-out samples, each once without and once with retrieved text")
    parser.add_argument("--retrieved", type=float, default=0.6, help="share with retrieved text")
    parser.add_argument("--corpus-bytes", type=int, default=390_000_000, help="size of the split, to spread the samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--psm", type=float, default=0.3, help="share of samples in prefix-suffix-middle order")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    tokenizer = read_tokenizer(args.tokenizer)
    train: list[tuple[list[int], list[int]]] = []
    none: list[tuple[list[int], list[int]]] = []
    full: list[tuple[list[int], list[int]]] = []
    for repository in repositories(args.corpus, "held-out" if args.valid else "train"):
        weight = 2.0 if MACHINE_LEARNING.search(repository.name) else 0.8
        for _ in range(max(3, round(args.count * weight * repository.bytes / args.corpus_bytes))):
            if args.valid:
                sample = repository.draw(rng, oracle=0.0, copies=0.0)
                rows = [render(tokenizer, sample, "spm", Budget(), b) if sample else None for b in ("nothing", "chunks")]
                if rows[0] and rows[1]:
                    none.append(rows[0])
                    full.append(rows[1])
                continue
            retrieve = rng.random() < args.retrieved
            sample = repository.draw(rng, retrieve=retrieve)
            kind = rng.random()
            order = "psm" if kind < args.psm else "plain" if kind < args.psm + 0.15 else "spm"
            budget = Budget(context=rng.choice([160, 320, 448, 448]))
            row = render(tokenizer, sample, order, budget, "chunks" if retrieve else "nothing") if sample else None
            if row is not None:
                train.append(row)
    if args.valid:
        write(args.out / "none", none)
        write(args.out / "full", full)
    else:
        rng.shuffle(train)
        write(args.out, train)


if __name__ == "__main__":
    run_stage(main)
