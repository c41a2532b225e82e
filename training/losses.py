"""Losses of every stage, with the section of the paper each comes from."""

from dataclasses import dataclass

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
    """1/√2 ‖S_C(vectors) − S_C(projected)‖_F over a batch (LlavaCode, equation 3). [n, d1], [n, d2] -> a scalar.

    Every pair stands twice in a symmetric matrix, hence 1/√2. The published code takes the mean of the squares instead; the
    norm grows with n, so the weight belongs to a batch size.
    """
    a, b = F.normalize(projected.float(), dim=-1), F.normalize(vectors.float(), dim=-1)
    squares = (a @ a.T - b @ b.T).square().sum()
    # The root has no gradient at 0, where projected and encoder vectors agree.
    return (squares / 2).clamp(min=1e-12).sqrt()


def token_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """log p of each target. logits [B, T, V], targets [B, T] -> [B, T], nats."""
    return -F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")


def sequence_cross_entropy(log_probs: Tensor, mask: Tensor) -> Tensor:
    """−1/T Σ log p of each sequence, then the mean of the sequences (LlavaCode, section 3.2). Both [B, T]."""
    return -((log_probs * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def reinforce(log_probs: Tensor, mask: Tensor, rewards: Tensor, baseline: Tensor | None = None) -> Tensor:
    """−(r − b) Σ log p of a rollout's tokens, mean over the batch (LlavaCode, equation 2).

    log_probs, mask: [B, T]; rewards, baseline: [B]. The paper has no baseline and greedy rollouts. With the reward of the
    greedy rollout as baseline of a sampled one it is self-critical (Rennie et al. 2017), as in the published code.
    """
    advantage = rewards if baseline is None else rewards - baseline
    return -(advantage.detach() * (log_probs * mask).sum(1)).mean()


def kl_to_teacher(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher ‖ student), nats a token: the reader with pseudo-tokens against itself with the text (LlavaCode, section 3.6).

    student, teacher: logits [B, T, V] of the same tokens; mask [B, T].
    """
    p, q = F.log_softmax(teacher.detach().float(), dim=-1), F.log_softmax(student.float(), dim=-1)
    return ((p.exp() * (p - q)).sum(-1) * mask).sum() / mask.sum().clamp(min=1)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of L (LlavaCode, equation 4 and table 4)."""

    cross_entropy: float = 0.9
    reinforce: float = 0.1
    alignment: float = 0.1
    kl: float = 0.0
    """The paper found that it hurts: a switch, off."""

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Σ weight · term over the terms that were computed."""
        return torch.stack([getattr(self, name) * term for name, term in terms.items()]).sum()
