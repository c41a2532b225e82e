"""The encoder: token ids of a chunk or a query window -> one unit vector (HEF, section 3.1, in small).

The reader's own blocks, mean-pooled. Causal attention keeps right padding harmless without a mask.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.reader import Reader, ReaderConfig, Trunk


@dataclass(frozen=True)
class EncoderConfig:
    """Shapes of the encoder."""

    trunk: ReaderConfig
    vector_dim: int = 256


class Encoder(nn.Module):
    """Table, trunk, mean over the valid positions, linear, unit length."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.trunk.vocab_size, config.trunk.dim)
        self.trunk = Trunk(config.trunk)
        self.out = nn.Linear(config.trunk.dim, config.vector_dim, bias=False)

    @torch.no_grad()
    def start_from(self, reader: Reader) -> None:
        """The reader's table and first layers: a trained start for nothing."""
        self.embed_tokens.weight.copy_(reader.embed_tokens.weight)
        for mine, theirs in zip(self.trunk.layers, reader.trunk.layers, strict=False):
            mine.load_state_dict(theirs.state_dict())
        self.out.weight.copy_(torch.eye(*self.out.weight.shape))

    def pool(self, embeds: Tensor, lengths: Tensor) -> Tensor:
        """Token embeddings [n, t, dim], [n] -> [n, vector_dim]."""
        hidden = self.trunk(embeds)
        valid = torch.arange(embeds.shape[1], device=embeds.device)[None, :] < lengths[:, None]
        pooled = (hidden.float() * valid[..., None]).sum(1) / lengths[:, None]
        return F.normalize(self.out(pooled).float(), dim=-1)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """[n, t], [n] -> [n, vector_dim]."""
        return self.pool(self.embed_tokens(input_ids), lengths)
