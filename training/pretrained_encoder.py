"""Encoders from local folders: Qwen3-Embedding, UniXcoder, or a run of ours; text -> unit vector."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen2Model, Qwen3Model, RobertaModel

import checkpoints
from failures import CheckpointError
from models.encoder import Encoder
from pretrained import frozen, load_tokenizer, load_weights, read_json
from tokenizer import END_OF_TEXT

ENCODER_ONLY = "<encoder-only>"
"""UniXcoder's mode token."""


def last_token(hidden: Tensor, lengths: Tensor) -> Tensor:
    """The state of each text's last token (Qwen3-Embedding). [n, t, d], [n] -> [n, d]."""
    return hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]


def mean(hidden: Tensor, lengths: Tensor) -> Tensor:
    """The mean over each text's tokens. [n, t, d], [n] -> [n, d]."""
    valid = torch.arange(hidden.shape[1], device=hidden.device)[None, :] < lengths[:, None]
    return (hidden * valid[..., None]).sum(1) / lengths[:, None]


POOLING = {"last": last_token, "mean": mean}


@dataclass
class PretrainedEncoder:
    """A frozen encoder; `before` and `after` are the ids it wants around a text."""

    model: Any
    tokenizer: Tokenizer
    name: str
    pooling: str
    before: list[int]
    after: list[int]
    max_tokens: int
    pad: int = 0

    @property
    def dim(self) -> int:
        config = self.model.config
        return int(config.vector_dim if isinstance(self.model, Encoder) else config.hidden_size)

    def ids(self, text: str) -> list[int]:
        """Ids of a text, cut so that what stands around it stays."""
        room = self.max_tokens - len(self.before) - len(self.after)
        return [*self.before, *self.tokenizer.encode(text, add_special_tokens=False).ids[:room], *self.after]

    @torch.no_grad()
    def encode(self, texts: list[str], batch: int = 16) -> NDArray[np.float32]:
        """Unit vectors [n, dim], in batches of similar length."""
        rows = [self.ids(text) or [self.pad] for text in texts]
        out = np.zeros((len(rows), self.dim), np.float32)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            out[part] = self.vectors([rows[i] for i in part]).cpu().numpy()
        return out

    def vectors(self, rows: list[list[int]]) -> Tensor:
        """[n, dim] of one batch of ids, padded on the right."""
        device = next(self.model.parameters()).device
        lengths = torch.tensor([len(r) for r in rows], device=device)
        ids = torch.full((len(rows), max(len(r) for r in rows)), self.pad)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        ids = ids.to(device)
        if isinstance(self.model, Encoder):
            return self.model(ids, lengths)
        mask = (torch.arange(ids.shape[1], device=device)[None, :] < lengths[:, None]).long()
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        return F.normalize(POOLING[self.pooling](hidden, lengths), dim=-1)


def stated_pooling(folder: Path) -> str | None:
    """What a sentence-transformers folder says of its pooling."""
    if not (folder / "1_Pooling" / "config.json").is_file():
        return None
    stated = read_json(folder / "1_Pooling", "config.json")
    modes = {"pooling_mode_lasttoken": "last", "pooling_mode_mean_tokens": "mean"}
    chosen = [name for key, name in modes.items() if stated.get(key)]
    if len(chosen) != 1:
        raise CheckpointError(f"{folder}/1_Pooling asks for a pooling other than last token or mean.")
    return chosen[0]


def load_encoder(folder: Path, dtype: torch.dtype = torch.float32, max_tokens: int = 512) -> PretrainedEncoder:
    """A folder's encoder; `max_tokens` of a text are read (both papers: 512)."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder.")
    if (folder / "encoder.pt").is_file() or (folder / "joint" / "encoder.pt").is_file():
        encoder, _ = checkpoints.load_encoder(folder)
        tokenizer = load_tokenizer(folder / "tokenizer")
        return PretrainedEncoder(frozen(encoder), tokenizer, folder.name, "mean", [], [], encoder.config.trunk.max_tokens)
    kind = read_json(folder, "config.json").get("model_type")
    tokenizer = load_tokenizer(folder)
    if kind in ("qwen3", "qwen2"):
        pooling = stated_pooling(folder) or "last"
        end = tokenizer.token_to_id(END_OF_TEXT)
        if end is None:
            raise CheckpointError(f"the tokenizer of {folder} lacks {END_OF_TEXT}, whose state is the vector.")
        model = frozen(load_weights(Qwen3Model if kind == "qwen3" else Qwen2Model, folder, dtype))
        return PretrainedEncoder(
            model, tokenizer, folder.name, pooling, [], [end] if pooling == "last" else [], max_tokens, end
        )
    if kind == "roberta":
        around = {token: tokenizer.token_to_id(token) for token in ("<s>", ENCODER_ONLY, "</s>", "<pad>")}
        lacking = [token for token, number in around.items() if number is None]
        if lacking:
            raise CheckpointError(f"the tokenizer of {folder} lacks {', '.join(lacking)}: it is no UniXcoder checkpoint.")
        model = frozen(load_weights(RobertaModel, folder, dtype))
        # RoBERTa counts positions from the padding id + 1.
        longest = min(max_tokens, int(model.config.max_position_embeddings) - int(model.config.pad_token_id) - 1)
        before = [around["<s>"], around[ENCODER_ONLY], around["</s>"]]
        return PretrainedEncoder(model, tokenizer, folder.name, "mean", before, [around["</s>"]], longest, around["<pad>"])
    raise CheckpointError(
        f"{folder} holds a {kind} checkpoint; an encoder must be qwen3 (Qwen3-Embedding), qwen2 or roberta (UniXcoder)."
    )
