"""Completions written by the reader, greedily or sampled, for REINFORCE and for evaluation."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from pretrained import PretrainedReader
from sequences import Sequences, embeds_of


@dataclass(frozen=True)
class Rollouts:
    """A batch of completions."""

    ids: Tensor
    """int64 [B, U]; from the stop token on, what follows is padding."""
    mask: Tensor
    """int64 [B, U], 1 up to and with the stop token."""
    texts: list[str]
    """Without the stop token."""


def nucleus(logits: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """One token each from the smallest set of tokens whose probability reaches `top_p`. [B, V] -> [B]."""
    p, order = logits.float().softmax(-1).sort(descending=True, dim=-1)
    p = p.masked_fill(p.cumsum(-1) - p >= top_p, 0.0)
    drawn = torch.multinomial(p, 1, generator=generator)
    return order.gather(1, drawn)[:, 0]


@torch.no_grad()
def write(
    reader: PretrainedReader, prompts: Sequences, rows: Tensor | None, count: int,
    top_p: float | None = None, generator: torch.Generator | None = None, lines: int | None = None,
) -> Rollouts:  # fmt: skip
    """Up to `count` tokens each: greedy, or sampled with `top_p`. `lines`: a completion with so many whole lines is done."""
    cache = DynamicCache(config=reader.model.config)
    mask, x = prompts.mask, embeds_of(reader, prompts, rows)
    stops = torch.tensor(reader.stops, device=x.device)
    done = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    taken: list[Tensor] = []
    kept: list[Tensor] = []
    for _ in range(count):
        hidden = reader.hidden(x, mask, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        logits = reader.logits(hidden)
        logits[:, reader.forbidden] = float("-inf")
        if top_p is None:
            chosen = logits.argmax(-1)
        else:
            assert generator is not None, "Sampling needs a generator."
            chosen = nucleus(logits, top_p, generator)
        taken.append(chosen)
        kept.append(~done)
        done = done | torch.isin(chosen, stops)
        if lines is not None:
            texts = texts_of(reader, torch.stack(taken, 1), torch.stack(kept, 1))
            done = done | torch.tensor([t.lstrip("\n").count("\n") >= lines for t in texts], device=x.device)
        if bool(done.all()):
            break
        x = reader.table(chosen)[:, None]
        mask = torch.cat((mask, torch.ones_like(mask[:, :1])), dim=1)
    ids, valid = torch.stack(taken, 1), torch.stack(kept, 1)
    return Rollouts(ids, valid.long(), texts_of(reader, ids, valid))


def texts_of(reader: PretrainedReader, ids: Tensor, valid: Tensor) -> list[str]:
    """Decoded without stop tokens."""
    stops = set(reader.stops)
    pairs = zip(ids.tolist(), valid.tolist(), strict=True)  # at once: to look at each would wait for the device
    rows = [[i for i, ok in zip(r, v, strict=True) if ok and i not in stops] for r, v in pairs]
    return [reader.tokenizer.decode(row, skip_special_tokens=False) for row in rows]
