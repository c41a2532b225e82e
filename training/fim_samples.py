"""Fill-in-the-middle samples as text, one JSON object a line: what any reader with any tokenizer can train on.

`contexts` are chunks of other files, best first. `uwl` is there once useful_contexts.py scored them.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from failures import CorpusError

Modality = Literal["text", "ast"]


@dataclass
class Context:
    """A retrieved chunk in the forms a reader or an encoder can take it."""

    path: str
    text: str
    encoder_text: str = ""
    """What a text encoder reads; empty means `text`."""
    linearised: str = ""
    """Its syntax tree in one line, from the engine; empty where the chunk was not cut by the engine."""
    names: list[str] = field(default_factory=list)
    """Names it defines, qualified where the engine knows."""
    overlap: float = 0.0
    """Jaccard similarity to the window around the hole, by which it was found."""
    line: int = 0
    """Its first line in its file, from 0: the order in which chunks of one file are fused."""
    uwl: float | None = None
    """σ(log p(y|x,c) − log p(y|x)) under a reference reader (HEF, equation 3)."""

    def read_as(self, modality: Modality) -> str:
        """The text an encoder of that modality reads."""
        if modality == "ast":
            return self.linearised or self.text
        return self.encoder_text or self.text


@dataclass
class FimSample:
    """A hole in a file and chunks of other files that resemble its surroundings."""

    id: str
    repo: str
    path: str
    prefix: str
    middle: str
    suffix: str
    contexts: list[Context] = field(default_factory=list)

    def files(self, most: int) -> list[list[Context]]:
        """Contexts of each file that has two or more, in the order of their lines; the file of the best context first."""
        by_path: dict[str, list[Context]] = {}
        for context in self.contexts:
            by_path.setdefault(context.path, []).append(context)
        shared = [sorted(group, key=lambda c: c.line) for group in by_path.values() if len(group) > 1]
        return shared[:most]


def write_samples(file: Path, samples: Iterable[FimSample]) -> int:
    """Returns how many were written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with file.open("w") as out:
        for sample in samples:
            out.write(json.dumps(asdict(sample)) + "\n")
            count += 1
    return count


def read_samples(file: Path, limit: int | None = None) -> list[FimSample]:
    """Raises CorpusError for a missing or empty file and for a line that is no sample."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise CorpusError(f"{file}: {error.strerror}. Write it with draw_samples.py.") from error
    samples: list[FimSample] = []
    for number, line in enumerate(lines[:limit], 1):
        try:
            row = json.loads(line)
            contexts = [Context(**context) for context in row.pop("contexts")]
            samples.append(FimSample(**row, contexts=contexts))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorpusError(f"{file}:{number} is no sample ({error}). Write the file with draw_samples.py.") from error
    if not samples:
        raise CorpusError(f"{file} holds no samples: nothing to train on.")
    return samples
