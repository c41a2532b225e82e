"""Stage 2: the encoder finds chunks from query windows, and its vectors keep what the projector needs to name their tokens.

    python train_encoder.py --run DIR --nodes DIR --minutes 8

Contrastive with in-batch negatives, three quarters of them from other repositories. Beside it the projector learns to turn a
vector into rows near the reader's embeddings of the chunk's tokens (LlavaCode's stage 0, reconstruction, made cheap): row j
of a chunk names the tokens of its j-th part. Killed and started again, it goes on to the same loss; several processes share
the micro-batches of a step: torchrun --nproc-per-node 2 -- train_encoder.py ...
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from batches import read_array
from checkpoints import load_reader, new_encoder, new_projector, save
from failures import check_finite, run_stage
from losses import info_nce
from models.encoder import Encoder
from models.projector import Projector
from nodes import Ragged
from parallel import Replicas, chosen_device, on_device
from ranks import Ranks
from train_reader import optimizers
from unfinished import Progress, Unfinished

TEMPERATURE = 0.05


class Stage(nn.Module):
    """What is trained: encoder, projector, and the scale between rows and logits."""

    def __init__(self, encoder: Encoder, projector: Projector, table: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.register_buffer("table", F.normalize(table, dim=-1))
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.embedding_size = float(table.norm(dim=-1).mean())


def both_losses(
    stage: Stage, queries: Tensor, query_lengths: Tensor, chunks: Tensor, chunk_lengths: Tensor, same: Tensor,
    naming: Tensor, share: float, naming_weight: float,
) -> Tensor:  # fmt: skip
    """InfoNCE plus the naming loss, times `share` of the whole batch. naming: target distribution [n, perNode, V]."""
    encoder = stage.encoder
    q = encoder.pool(encoder.embed_tokens(queries).bfloat16(), query_lengths)
    k = encoder.pool(encoder.embed_tokens(chunks).bfloat16(), chunk_lengths)
    found = (info_nce(q, k, TEMPERATURE, same) + info_nce(k, q, TEMPERATURE, same)) / 2
    rows = stage.projector(k)
    logits = F.normalize(rows.float(), dim=-1) @ stage.table.T * stage.scale
    named = -(naming * F.log_softmax(logits, dim=-1)).sum(-1).mean()
    # Rows as long as the reader's own embeddings, so that its first layer sees nothing unusual.
    length = (rows.float().norm(dim=-1) / stage.embedding_size - 1).square().mean()
    return (found + naming_weight * named + 0.1 * length) * share


def naming_targets(
    ids: NDArray[np.int64], lengths: NDArray[np.int64], per_node: int, rarity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Rows of weights over the vocabulary, rare tokens counting more. [n, per_node, V]."""
    targets = np.zeros((len(ids), per_node, len(rarity)), np.float32)
    for i, length in enumerate(lengths):
        for j, part in enumerate(np.array_split(ids[i, :length], per_node)):
            np.add.at(targets[i, j], part, rarity[part])
    targets = np.sqrt(targets)
    return targets / np.maximum(targets.sum(-1, keepdims=True), 1e-6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--nodes", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--max-steps", type=int, default=10**9)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--per-node", type=int, default=4, help="pseudo-tokens of a node")
    parser.add_argument("--batch", type=int, default=96, help="pairs")
    parser.add_argument("--micro", type=int, default=48, help="pairs that are each other's negatives")
    parser.add_argument("--query-tokens", type=int, default=224)
    parser.add_argument("--chunk-tokens", type=int, default=176)
    parser.add_argument("--naming-weight", type=float, default=0.5)
    parser.add_argument("--save-every", type=int, default=100, help="steps; started again, it goes on from the last")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()

    ranks = Ranks.open()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    reader, _ = load_reader(args.run, "reader")
    dim = reader.config.dim
    stage = Stage(new_encoder(reader, args.layers), new_projector(dim, dim, args.per_node), reader.embed_tokens.weight.detach())
    chunks_file, pairs_file = (read_array(args.nodes / f"{name}.npz", "nodes.py") for name in ("chunks", "pairs"))
    chunks = Ragged(chunks_file["tokens"], chunks_file["offsets"])
    queries = Ragged(pairs_file["tokens"], pairs_file["offsets"])
    positives, repos = pairs_file["positives"], chunks_file["repos"]
    counts = np.bincount(chunks.tokens, minlength=reader.config.vocab_size)
    rarity = (1.0 / np.sqrt(counts + 100.0)).astype(np.float32)

    by_repo = [np.flatnonzero(repos[positives] == r) for r in np.unique(repos[positives])]
    held_out = by_repo[::25]
    by_repo = [rows for i, rows in enumerate(by_repo) if i % 25]

    def micro_batch(source: list[NDArray[np.int64]], share: float) -> tuple[Tensor | float, ...]:
        # A quarter of a micro-batch from one repository: the negatives that are hard.
        rows = np.concatenate([rng.choice(source[rng.integers(len(source))], args.micro // 4) for _ in range(4)])
        q, q_lengths = queries.padded(rows, args.query_tokens)
        k, k_lengths = chunks.padded(positives[rows], args.chunk_tokens)
        same = positives[rows][:, None] == positives[rows][None, :]
        naming = naming_targets(k, k_lengths, args.per_node, rarity)
        arrays = (q, q_lengths, k, k_lengths, same, naming)
        return (*(torch.from_numpy(a) for a in arrays), share, args.naming_weight)

    stage.to(ranks.device if ranks.count > 1 else chosen_device(args.device))
    loss_of = both_losses if args.no_compile else torch.compile(both_losses, dynamic=False)
    replicas = Replicas(stage, loss_of, args.workers)
    parts = max(1, args.batch // args.micro)
    opts = optimizers(stage, 0.006, 1e-3)
    base = [o.param_groups[0]["lr"] for o in opts]
    replicas.warm_up(micro_batch(by_repo, 1 / parts))
    told = ("layers", "per_node", "batch", "micro", "query_tokens", "chunk_tokens", "naming_weight", "minutes", "max_steps")
    made_by = {name: getattr(args, name) for name in told}
    unfinished = Unfinished(args.run / "encoder.unfinished.pt", made_by, args.save_every)
    done = unfinished.resume(stage, opts, rng)
    ranks.wait()
    began, step, running = time.time() - done.seconds, done.step, done.loss
    while True:
        progress = max(ranks.told_by_first(time.time() - began) / (args.minutes * 60), step / args.max_steps)
        if progress >= 1.0:
            break
        for o, rate in zip(opts, base, strict=True):
            o.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 20, (1.0 - progress) / 0.6 + 0.01)
        # Every process draws all of them and reads its share.
        micros = [micro_batch(by_repo, 1 / parts) for _ in range(parts)]
        loss = replicas.backward(micros[ranks.number :: ranks.count])
        ranks.sum_gradients(stage.parameters())
        loss = ranks.sum({"loss": loss})["loss"]
        check_finite(loss, step, "drawn with seed 0", args.run / "encoder.pt")
        nn.utils.clip_grad_norm_(stage.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        running = loss if step == 1 else 0.95 * running + 0.05 * loss
        if step % 20 == 0:
            ranks.say(f"step {step} loss {running:.3f} {(time.time() - began) / 60:.1f} min")
        if ranks.is_first:
            unfinished.keep(stage, opts, rng, Progress(step, time.time() - began, running))

    stage.eval()
    hits, total = 0, 0
    with torch.no_grad(), torch.autocast(replicas.device.type, torch.bfloat16):
        for _ in range(8):
            q, q_lengths, k, k_lengths, same, *_ = on_device(micro_batch(held_out, 1.0), replicas.device)
            found = stage.encoder(q, q_lengths) @ stage.encoder(k, k_lengths).T
            best = found.argmax(-1)
            hits += int(same[torch.arange(len(best), device=best.device), best].sum())
            total += len(best)
    facts = {"steps": step, "pairs": step * parts * args.micro, "held-out recall at 1 of 48": round(hits / total, 3)}
    ranks.say(json.dumps(facts))
    if ranks.is_first:
        rows = {"objective": "naming, with the encoder", "rows a node": args.per_node}
        save(args.run / "encoder.pt", stage.encoder, facts | {"objective": "InfoNCE, temperature 0.05, and naming"})
        save(args.run / "projector.pt", stage.projector, rows)
        unfinished.remove()
    ranks.close()


if __name__ == "__main__":
    run_stage(main)
