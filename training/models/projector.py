"""The projector: a node's vector -> its pseudo-tokens, rows of the reader's input space (LlavaCode, section 3.2)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ProjectorConfig:
    """Shapes of the projector."""

    vector_dim: int = 256
    hidden: int = 512
    reader_dim: int = 256
    per_node: int = 1
    """Pseudo-tokens of one node."""


class Projector(nn.Module):
    """Two layers with GELU, as in HEF, and LlavaCode's LayerNorm in between."""

    def __init__(self, config: ProjectorConfig) -> None:
        super().__init__()
        self.config = config
        self.up = nn.Linear(config.vector_dim, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.down = nn.Linear(config.hidden, config.per_node * config.reader_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """[n, vector_dim] -> [n, per_node, reader_dim]."""
        c = self.config
        hidden = self.norm(F.gelu(self.up(vectors * c.vector_dim**0.5)))
        return self.down(hidden).view(-1, c.per_node, c.reader_dim)
