"""Names put before the prompt beside the pseudo-tokens (HEF, section 3.8: at most 64 tokens), as the engine chooses them.

The names a retrieved chunk holds, from behind the place that is most like the lines above the cursor: what stood next there is
likely to be named next here. Left out are names that the prompt holds already, and Python's keywords and built-in names: they
say nothing of the repository. `engine/completion/entityNames.ts` is the twin; both are tested on
`test/fixtures/entityNames.json`.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
TAIL_LINES = 4
"""Lines above the cursor that are compared, and lines of a chunk they are compared with."""
WORDS = Path(__file__).parents[1] / "engine" / "completion" / "languageWords.json"
RESERVED = frozenset(" ".join(json.loads(WORDS.read_text())["python"].values()).split())


def names_in(text: str) -> list[str]:
    """In order, repetitions included."""
    return NAME.findall(text)


def place_behind(chunk: str, prefix: str) -> int:
    """The line of `chunk` behind the four most like the last four of `prefix` by shared names; 0 where none is like them."""
    tail = [line for line in prefix.split("\n") if line.strip()][-TAIL_LINES:]
    wanted = set(names_in("\n".join(tail)))
    lines = [set(names_in(line)) for line in chunk.split("\n")]
    best, place = 0.0, 0
    for i in range(len(lines)):
        here = set[str]().union(*lines[max(0, i - TAIL_LINES + 1) : i + 1])
        score = len(here & wanted) / max(1, len(here | wanted))
        if score > best:
            best, place = score, i + 1
    return place


def from_place(chunk: str, prefix: str) -> Iterator[str]:
    """The chunk's names, those behind the place first."""
    lines = chunk.split("\n")
    place = place_behind(chunk, prefix)
    for line in lines[place:] + lines[:place]:
        yield from names_in(line)


def entity_names(chunks: list[str], prefix: str, suffix: str, budget: int, count: Callable[[str], int]) -> list[str]:
    """Names for a prompt. chunks: texts, best first. budget: tokens, as `count` counts a name with a space before it.

    The best chunk's names stand last, next to the prompt.
    """
    known = set(names_in(prefix)) | set(names_in(suffix))
    groups: list[list[str]] = []
    for chunk in chunks:
        group: list[str] = []
        for name in from_place(chunk, prefix):
            if name in known or name in RESERVED:
                continue
            budget -= count(" " + name)
            if budget < 0:
                return [n for g in [group, *reversed(groups)] for n in g]
            known.add(name)
            group.append(name)
        groups.append(group)
    return [n for g in reversed(groups) for n in g]
