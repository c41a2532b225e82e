"""Files -> chunks at syntax boundaries, and the identifier index that Jaccard retrieval reads.

The engine cuts with tree-sitter (HEF, section 3.1); this is its stand-in with Python's own parser, used for drawing reader
samples by the thousand. The later stages can read the engine's chunks instead.
"""

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

IDENTIFIER = re.compile(r"[A-Za-z_]\w+")
CHARACTERS_PER_TOKEN = 3.7
"""Mean of the bundled tokenizer on Python."""


@dataclass(frozen=True)
class Chunk:
    """A span of whole lines of one file."""

    path: str
    start_line: int
    """0-based, inclusive."""
    end_line: int
    """0-based, exclusive."""
    text: str
    encoder_text: str = ""
    """What the encoder reads of it; empty for this module's own chunks."""


def from_engine(row: dict[str, Any]) -> Chunk:
    """A line of the engine's chunk export, whose lines are 1-based and inclusive."""
    return Chunk(row["path"], row["startLine"] - 1, row["endLine"], row["text"].rstrip(), row["encoderText"])


def boundaries(text: str, lines: list[str], budget: int) -> list[int]:
    """Lines where a chunk may begin: statements, descending into those longer than `budget` characters."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [i for i in range(1, len(lines)) if not lines[i - 1].strip()]
    size = np.cumsum([0] + [len(line) + 1 for line in lines])
    found: list[int] = []
    stack: list[ast.AST] = [tree]
    while stack:
        for child in ast.iter_child_nodes(stack.pop()):
            if not isinstance(child, ast.stmt):
                continue
            decorators = getattr(child, "decorator_list", [])
            start = min([child.lineno] + [d.lineno for d in decorators]) - 1
            found.append(start)
            end = child.end_lineno or child.lineno
            if size[end] - size[start] > budget:
                stack.append(child)
    return sorted(set(found))


def cut(path: str, text: str, max_tokens: int = 160) -> list[Chunk]:
    """Neighbouring statements merged up to `max_tokens` (estimated from characters); blank chunks dropped."""
    budget = int(max_tokens * CHARACTERS_PER_TOKEN)
    lines = text.split("\n")
    edges = set(boundaries(text, lines, budget))
    chunks: list[Chunk] = []
    start, size, last_edge = 0, 0, 0

    def close(end: int) -> None:
        body = "\n".join(lines[start:end])
        if len(body.strip()) > 20:
            chunks.append(Chunk(path, start, end, body.rstrip()))

    for i, line in enumerate(lines):
        if i in edges and i > start:
            last_edge = i
        if size + len(line) + 1 > budget and i > start:
            end = last_edge if last_edge > start else i
            close(end)
            size = sum(len(x) + 1 for x in lines[end:i])
            start = end
        # A definition at the margin starts a chunk of its own once the open one has some body.
        elif i in edges and i > start and size > budget // 3 and re.match(r"(class|def|async|@)", line):
            close(i)
            start, size = i, 0
        size += len(line) + 1
    close(len(lines))
    return chunks


def identifiers(text: str) -> set[str]:
    """The words Jaccard similarity compares."""
    return set(IDENTIFIER.findall(text))


class JaccardIndex:
    """Every chunk of a repository, searchable by identifier overlap (RepoCoder, section 2.2)."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        self.vocabulary: dict[str, int] = {}
        postings: list[list[int]] = []
        sizes = np.zeros(len(chunks), np.int32)
        for n, chunk in enumerate(chunks):
            words = identifiers(chunk.text)
            sizes[n] = len(words)
            for word in words:
                i = self.vocabulary.setdefault(word, len(postings))
                if i == len(postings):
                    postings.append([])
                postings[i].append(n)
        self.sizes = sizes
        self.postings = [np.asarray(p, np.int32) for p in postings]
        names = {path: i for i, path in enumerate(dict.fromkeys(c.path for c in chunks))}
        self.files = np.asarray([names[c.path] for c in chunks], np.int32)
        self.names = names

    def search(self, query: set[str], not_in: str, count: int) -> list[tuple[float, Chunk]]:
        """The best chunks of other files, best first, as (similarity, chunk)."""
        if not self.chunks:
            return []
        hits = [self.postings[i] for i in (self.vocabulary.get(w) for w in query) if i is not None]
        if not hits:
            return []
        shared = np.bincount(np.concatenate(hits), minlength=len(self.chunks)).astype(np.float32)
        score = shared / np.maximum(len(query) + self.sizes - shared, 1)
        score[self.files == self.names.get(not_in, -1)] = 0
        order = np.argsort(-score, kind="stable")[:count]
        return [(float(score[i]), self.chunks[i]) for i in order if score[i] > 0]
