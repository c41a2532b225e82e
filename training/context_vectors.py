"""Vectors of every context of a sample file, encoded once and kept beside the run; both papers freeze the encoder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from failures import CheckpointError, CorpusError, write_whole
from fim_samples import Context, Modality
from pretrained_encoder import PretrainedEncoder
from ranks import Ranks


def key_of(text: str) -> str:
    """The same for the same text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_vectors(file: Path) -> tuple[list[str], Tensor]:
    """(keys, vectors [n, d]) as `write_vectors` left them."""
    try:
        state = torch.load(file, weights_only=True)
        return state["keys"], state["vectors"]
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}. Write it with mem_vectors.py.") from error
    except Exception as error:  # a damaged zip raises what it likes
        raise CheckpointError(f"{file} holds no vectors ({error}). Remove it; it is made again.") from error


def write_vectors(file: Path, keys: list[str], vectors: Tensor) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, {"keys": keys, "vectors": vectors})


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
        file = folder / f"{encoder.name}-{modality}.pt"
        if ranks.is_first:
            known, vectors = read_vectors(file) if file.is_file() else ([], torch.zeros((0, encoder.dim)))
            texts = {key_of(text): text for text in (c.read_as(modality) for c in contexts)}
            new = [key for key in texts if key not in set(known)]
            if new:
                ranks.say(f"encoding {len(new)} contexts with {encoder.name}")
                encoded = torch.from_numpy(encoder.encode([texts[key] for key in new]))
                known, vectors = known + new, torch.cat((vectors, encoded))
                write_vectors(file, known, vectors)
        ranks.wait()
        keys, vectors = read_vectors(file)
        return cls({k: i for i, k in enumerate(keys)}, vectors, modality)
