"""Vectors of every context of a sample file, encoded once and kept beside the run; both papers freeze the encoder."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from failures import CheckpointError, CorpusError, write_whole
from fim_samples import Context, Modality
from pretrained_encoder import PretrainedEncoder
from ranks import Ranks

PART = 2048
"""Contexts encoded between two writes."""


def key_of(text: str) -> str:
    """The same for the same text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_vectors(file: Path) -> tuple[list[str], Tensor]:
    """(keys, vectors [n, d]) as `write_vectors` left them."""
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        return state["keys"], state["vectors"]
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}. Write it with mem_vectors.py.") from error
    except Exception as error:  # a damaged zip raises what it likes
        raise CheckpointError(f"{file} holds no vectors ({error}). Remove it; it is made again.") from error


def write_vectors(file: Path, keys: list[str], vectors: Tensor) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, {"keys": keys, "vectors": vectors})


def read_parts(folder: Path, name: str) -> tuple[list[str], Tensor]:
    """(keys, vectors) of every part; at least one is there."""
    parts = [read_vectors(file) for file in sorted(folder.glob(f"{name}-[0-9]*.pt"))]
    return [key for keys, _ in parts for key in keys], torch.cat([vectors for _, vectors in parts])


def encode_new(texts: dict[str, str], encoder: PretrainedEncoder, folder: Path, name: str) -> None:
    """Encodes what no part holds yet, a part at a time, so that an interrupted run loses one at most."""
    files = sorted(folder.glob(f"{name}-[0-9]*.pt"))
    known = {key for file in files for key in read_vectors(file)[0]}
    new = [key for key in texts if key not in known]
    began = time.monotonic()
    for start in range(0, len(new), PART):
        keys = new[start : start + PART]
        encoded = torch.from_numpy(encoder.encode([texts[key] for key in keys]))
        write_vectors(folder / f"{name}-{len(files) + start // PART:04}.pt", keys, encoded)
        done = start + len(keys)
        speed = done / (time.monotonic() - began)
        left = (len(new) - done) / speed / 60
        print(f"{done}/{len(new)} contexts encoded by {encoder.name}, {speed:.1f} a second, {left:.1f} min left", flush=True)


@dataclass
class ContextVectors:
    """Rows of one tensor by the text they stand for."""

    rows: dict[str, int]
    vectors: Tensor
    """float32 [n, d]."""
    modality: Modality
    by_text: bool = False
    """Keyed by the text itself, not by what an encoder reads of it."""

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def text_of(self, context: Context) -> str:
        return context.text if self.by_text else context.read_as(self.modality)

    def of_contexts(self, contexts: list[Context]) -> Tensor:
        """[n, d], in their order."""
        return self.vectors[[self.rows[key_of(self.text_of(c))] for c in contexts]]

    @classmethod
    def of(
        cls, contexts: list[Context], modality: Modality, encoder: PretrainedEncoder | None, given: Path | None,
        folder: Path, ranks: Ranks,
    ) -> "ContextVectors":  # fmt: skip
        """Read from `given`, or encoded by the first process and kept in `folder`; only what is new is encoded."""
        if given is not None:
            keys, vectors = read_vectors(given)
            # What a projector takes is unit vectors; learnt ones have any length.
            unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
            found = cls({k: i for i, k in enumerate(keys)}, unit, modality, by_text=True)
            absent = sum(key_of(c.text) not in found.rows for c in contexts)
            if absent:
                raise CorpusError(f"{given} lacks the vectors of {absent} contexts. Run mem_vectors.py on the same samples.")
            return found
        if encoder is None:
            raise CorpusError("neither --encoder nor --vectors is given: name one of them.")
        name = f"{encoder.name}-{modality}"
        if ranks.is_first:
            encode_new({key_of(text): text for text in (c.read_as(modality) for c in contexts)}, encoder, folder, name)
        ranks.wait()
        keys, vectors = read_parts(folder, name)
        return cls({k: i for i, k in enumerate(keys)}, vectors, modality)
