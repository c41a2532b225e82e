"""Losses of every stage, with the section of the paper each comes from."""

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Summed next-token loss in nats; weights that sum to 1 make it a mean. logits [N, V], targets [N], weights [N]."""
    return (F.cross_entropy(logits.float(), targets, reduction="none") * weights).sum()


def info_nce(queries: Tensor, keys: Tensor, temperature: float, same: Tensor | None = None) -> Tensor:
    """InfoNCE over a batch (HEF, section 3.2): row i of `keys` is the positive of row i of `queries`, others are negatives.

    queries, keys: unit vectors [n, d]. `same` [n, n] is true where a key must not count as a negative.
    """
    scores = queries @ keys.T / temperature
    if same is not None:
        own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(same & ~own, float("-inf"))
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def cosine_alignment(projected: Tensor, vectors: Tensor) -> Tensor:
    """Mean squared difference of the two cosine-similarity matrices (LlavaCode, section 3.3). [n, d1], [n, d2]."""
    a, b = F.normalize(projected, dim=-1), F.normalize(vectors, dim=-1)
    return F.mse_loss(a @ a.T, b @ b.T)
