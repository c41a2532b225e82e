"""The projector: a node's vector -> its pseudo-tokens, rows of the reader's input space (LlavaCode, section 3.1; HEF, 3.5)."""

from dataclasses import dataclass, replace

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
    layers: int = 2
    """Linear layers: 2 (HEF), or 3, LlavaCode's best, with GELU and LayerNorm behind each of the first two."""
    norm: bool = True
    """LlavaCode's LayerNorm behind GELU; HEF has none."""

    def __post_init__(self) -> None:
        assert self.layers in (2, 3), f"layers ({self.layers}) must be 2 or 3."


class Projector(nn.Module):
    """Linear layers with GELU and LayerNorm in between."""

    def __init__(self, config: ProjectorConfig) -> None:
        super().__init__()
        self.config = config
        self.up = nn.Linear(config.vector_dim, config.hidden)
        self.norm = nn.LayerNorm(config.hidden) if config.norm else None
        if config.layers == 3:
            self.mid = nn.Linear(config.hidden, config.hidden)
            self.mid_norm = nn.LayerNorm(config.hidden) if config.norm else None
        self.down = nn.Linear(config.hidden, config.per_node * config.reader_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """[n, vector_dim] -> [n, per_node, reader_dim]."""
        c = self.config
        # Unit vectors have components of about d^-0.5; the first layer expects about 1.
        hidden = F.gelu(self.up(vectors * c.vector_dim**0.5))
        hidden = hidden if self.norm is None else self.norm(hidden)
        if c.layers == 3:
            hidden = F.gelu(self.mid(hidden))
            hidden = hidden if self.mid_norm is None else self.mid_norm(hidden)
        return self.down(hidden).view(-1, c.per_node, c.reader_dim)

    def first_rows(self, per_node: int) -> "Projector":
        """A projector of the first `per_node` rows of this one."""
        assert per_node <= self.config.per_node, f"{self.config.per_node} rows are trained, not {per_node}."
        if per_node == self.config.per_node:
            return self
        twin = Projector(replace(self.config, per_node=per_node))
        size = per_node * self.config.reader_dim
        own = self.state_dict()
        twin.load_state_dict({name: value[:size] if name.startswith("down.") else value for name, value in own.items()})
        return twin
