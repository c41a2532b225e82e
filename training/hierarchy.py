"""Vectors of chunks -> their file's vector, by the fuser (HEF, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fuser import Fuser


def fused_file(fuser: Fuser, chunks: Tensor, lengths: Tensor) -> Tensor:
    """A file's vector from groups of its chunks. chunks: [n, g, b, d]; lengths: [n, g], 0 where no group is. -> [n, d]."""
    n, g, b, d = chunks.shape
    groups = fuser(chunks.flatten(0, 1), lengths.flatten().clamp(min=1)).view(n, g, d)
    count = (lengths > 0).sum(1)
    parents = fuser(F.pad(groups, (0, 0, 0, b - g)), count.clamp(min=1))
    return torch.where((count > 1)[:, None], parents, groups[:, 0])


def grouped(files: list[Tensor], branching: int) -> tuple[Tensor, Tensor]:
    """Chunks of each file [n_i, d], in the order of their lines -> what `fused_file` reads; of a file at most b · b."""
    parts = [file[: branching**2].split(branching) for file in files]
    groups = max(len(p) for p in parts)
    chunks = files[0].new_zeros(len(files), groups, branching, files[0].shape[1])
    lengths = torch.zeros(len(files), groups, dtype=torch.int32, device=chunks.device)
    for i, part in enumerate(parts):
        for j, group in enumerate(part):
            chunks[i, j, : len(group)] = group
            lengths[i, j] = len(group)
    return chunks, lengths
