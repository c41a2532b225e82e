"""The fuser: up to b child vectors -> their parent's vector (HEF, section 3.2).

A causal transformer between W_in and W_out; the last valid position speaks for the parent. Children and parents live in one
space, so it applies to its own results: chunks -> file -> directory -> repository.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.reader import ReaderConfig, Trunk


@dataclass(frozen=True)
class FuserConfig:
    """Shapes of the fuser."""

    trunk: ReaderConfig
    vector_dim: int = 256
    branching: int = 8


class MeanFuser(nn.Module):
    """The children's mean at unit length: for an encoder that no fuser was trained for."""

    def __init__(self, vector_dim: int, branching: int = 8) -> None:
        super().__init__()
        self.vector_dim, self.branching = vector_dim, branching

    def forward(self, children: Tensor, lengths: Tensor) -> Tensor:
        """[n, branching, vector_dim], [n] -> [n, vector_dim]."""
        valid = torch.arange(self.branching, device=lengths.device)[None, :] < lengths[:, None]
        return F.normalize((children * valid[..., None]).sum(1), dim=-1)


class Fuser(nn.Module):
    """W_in, causal trunk, W_out, unit length."""

    def __init__(self, config: FuserConfig) -> None:
        super().__init__()
        self.config = config
        self.w_in = nn.Linear(config.vector_dim, config.trunk.dim, bias=False)
        self.trunk = Trunk(config.trunk)
        self.w_out = nn.Linear(config.trunk.dim, config.vector_dim, bias=False)
        nn.init.normal_(self.w_in.weight, std=config.vector_dim**-0.5)
        nn.init.normal_(self.w_out.weight, std=config.trunk.dim**-0.5)

    def forward(self, children: Tensor, lengths: Tensor) -> Tensor:
        """[n, branching, vector_dim], [n] -> [n, vector_dim]."""
        # Unit vectors have components of about d^-0.5; the trunk expects about 1.
        hidden = self.trunk(self.w_in(children * self.config.vector_dim**0.5))
        last = hidden[torch.arange(len(lengths), device=lengths.device), lengths.long() - 1]
        return F.normalize(self.w_out(last).float(), dim=-1)
