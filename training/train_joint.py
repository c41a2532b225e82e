"""Stage 4: reader, fuser and projector end to end on a mixture of the three modes, so that one reader serves them all.

    python train_joint.py --run DIR --nodes DIR --minutes 20

HEF's own regimes are `--regime end-to-end` or `separate` (the fuser stays as it was pre-trained) with `--shares 0 0 1 0`.

The encoder stays frozen (HEF, section 3.3; LlavaCode, section 3.2): its vectors are computed once. Compressed samples put the
rows of some nodes and entity names before the prompt; a node may be a file, fused from its chunks. Several processes share the
micro-batches of a step: torchrun --nproc-per-node 2 -- train_joint.py ...
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

import checkpoints
from batches import MIDDLES, Batch, SampleSet, mixed, read_array
from failures import CheckpointError, check_finite, run_stage, write_whole
from hierarchy import fused_file
from losses import weighted_cross_entropy
from models.fuser import Fuser
from models.projector import Projector
from models.reader import Reader
from nodes import Ragged
from parallel import Replicas, chosen_device, device_of, on_device
from ranks import Ranks
from train_reader import optimizers
from vectors import encode_rows

FILE_GROUPS = 2
"""Groups of chunks a file is fused from in training; longer files are cut, to encode less."""


class Stage(nn.Module):
    """What is trained together."""

    def __init__(self, reader: Reader, fuser: Fuser, projector: Projector) -> None:
        super().__init__()
        self.reader = reader
        self.fuser = fuser
        self.projector = projector


def mixture_loss(
    stage: Stage, ids: Tensor, weights: Tensor, nodes: Tensor | None, file_chunks: Tensor | None, file_lengths: Tensor | None,
    is_file: Tensor | None,
) -> Tensor:  # fmt: skip
    """Weighted loss of ids[:, 1:]. nodes [B, k, d], worst first; where `is_file`, the fused file stands instead."""
    x = F.embedding(ids[:, :-1], stage.reader.embed_tokens.weight).bfloat16()
    before = 0
    if nodes is not None and file_chunks is not None and file_lengths is not None and is_file is not None:
        fused = fused_file(stage.fuser, file_chunks, file_lengths)
        nodes = torch.where(is_file[..., None], fused[:, None].to(nodes.dtype), nodes)
        rows = stage.projector(nodes.flatten(0, 1)).view(len(ids), -1, x.shape[-1])
        before = rows.shape[1]
        x = torch.cat((rows.bfloat16(), x), dim=1)
    hidden = stage.reader.hidden(x)[:, before:]
    logits = stage.reader.logits(hidden)
    return weighted_cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), weights.flatten())


class NodeSource:
    """Vectors of the candidates of every sample, and of the chunks of their files, encoded once."""

    def __init__(
        self, run: Path, nodes: Path, samples: NDArray[np.int64], keep: int, branching: int, file_share: float,
        device: torch.device,
    ) -> None:  # fmt: skip
        data = read_array(nodes / "chunks.npz", "nodes.py")
        self.candidates = read_array(nodes / "candidates.npy", "nodes.py")[:, :keep]
        self.b = branching
        files = data["files"]
        starts = np.flatnonzero(np.concatenate([[True], files[1:] != files[:-1]]))
        ends = np.append(starts[1:], len(files))
        self.span_of = {int(files[s]): (int(s), int(e)) for s, e in zip(starts, ends, strict=True)}
        self.files = files
        rng = np.random.default_rng(3)
        with_file = samples[rng.random(len(samples)) < file_share]
        self.file_of_sample = {int(s): int(files[self.candidates[s, rng.integers(3)]]) for s in with_file}
        wanted = set(self.candidates[samples].flatten().tolist()) - {-1}
        for file in self.file_of_sample.values():
            first, last = self.span_of[file]
            wanted.update(range(first, min(last, first + FILE_GROUPS * branching)))
        self.rows = np.asarray(sorted(wanted))
        encoder = checkpoints.load_encoder(run)[0].to(device)
        self.vectors = encode_rows(encoder, Ragged(data["tokens"], data["offsets"]), self.rows)
        print(f"{len(self.rows)} chunks encoded", flush=True)

    def vector(self, chunk: int) -> NDArray[np.float32]:
        return self.vectors[np.searchsorted(self.rows, chunk)]

    def batch(self, samples: NDArray[np.int64], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(nodes [B, count, d], file chunks [B, g, b, d], lengths [B, g], is_file [B, count]), worst first."""
        d, b = self.vectors.shape[1], self.b
        nodes = np.zeros((len(samples), count, d), np.float32)
        chunks = np.zeros((len(samples), FILE_GROUPS, b, d), np.float32)
        lengths = np.zeros((len(samples), FILE_GROUPS), np.int32)
        is_file = np.zeros((len(samples), count), bool)
        for i, sample in enumerate(samples):
            for j, chunk in enumerate(self.candidates[sample, :count][::-1]):
                nodes[i, j] = self.vector(int(chunk))
            file = self.file_of_sample.get(int(sample))
            if file is None:
                continue
            first, last = self.span_of[file]
            for k, chunk in enumerate(range(first, min(last, first + FILE_GROUPS * b))):
                chunks[i, k // b, k % b] = self.vector(chunk)
                lengths[i, k // b] += 1
            is_file[i, rng.integers(count)] = True
        return tuple(torch.from_numpy(a) for a in (nodes, chunks, lengths, is_file))  # type: ignore[return-value]


Micro = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]


def mixture(
    sets: dict[str, SampleSet], source: NodeSource, rows: dict[str, NDArray[np.int64]], shares: dict[str, float],
    length: dict[str, int], batch_tokens: int, micro_rows: int, count: int, rng: np.random.Generator,
) -> Iterator[tuple[str, list[Micro]]]:  # fmt: skip
    """(samples, micro-batches) of batches whose micro-batches each hold one mode; the weights of a batch sum to 1."""
    size = {mode: max(1, micro_rows * 2 // 3) if mode == "full" else micro_rows for mode in shares}
    modes = list(shares)
    # Shares are of tokens; a micro-batch of one mode is drawn so often that they come out.
    chance = np.asarray([shares[m] / (size[m] * length[m]) for m in modes])
    chance /= chance.sum()
    eligible = {m: rows[m][sets[m].lengths[rows[m]] <= length[m] + 1] for m in modes}
    eligible["compressed"] = eligible["compressed"][source.candidates[eligible["compressed"], count - 1] >= 0]
    while True:
        parts: list[tuple[Batch, tuple[Tensor, Tensor, Tensor, Tensor] | None]] = []
        tokens = 0
        while tokens < batch_tokens:
            mode = modes[int(rng.choice(len(modes), p=chance))]
            picked = rng.choice(eligible[mode], size[mode], replace=False)
            nodes = source.batch(picked, count, rng) if mode == "compressed" else None
            parts.append((sets[mode].batch(picked, length[mode]), nodes))
            tokens += size[mode] * length[mode]
        total = sum(float(p.weights.sum()) for p, _ in parts)
        named = "; ".join(f"{'without' if nodes is None else 'with'} pseudo-tokens {list(p.rows)}" for p, nodes in parts)
        yield named, [(p.ids, p.weights / total, *(nodes or (None, None, None, None))) for p, nodes in parts]


@torch.no_grad()
def middle_losses(
    stage: Stage, sets: dict[str, SampleSet], source: NodeSource, rows: NDArray[np.int64], count: int
) -> dict[str, float]:
    """Loss of the middle alone on the same holes in every mode, nats a token."""
    rng = np.random.default_rng(0)
    found: dict[str, float] = {}
    for mode, samples in sets.items():
        plain = copy.copy(samples)
        plain.class_weights = np.asarray(MIDDLES, np.float32)
        total = weight = 0.0
        for i in range(0, len(rows), 8):
            part = rows[i : i + 8]
            batch = plain.batch(part, int(samples.lengths[part].max()) - 1)
            nodes = source.batch(part, count, rng) if mode == "compressed" else (None, None, None, None)
            device = device_of(stage)
            with torch.autocast(device.type, torch.bfloat16):
                total += float(mixture_loss(stage, *on_device((batch.ids, batch.weights, *nodes), device)))
            weight += float(batch.weights.sum())
        found[mode] = round(total / weight, 4)
    return found


def resumed(
    file: Path, stage: Stage, opts: list[torch.optim.Optimizer], rng: np.random.Generator
) -> tuple[int, float, int, float]:
    """(steps, seconds, tokens, loss) of an interrupted run, whose state is put back; zeros where there is none."""
    if not file.is_file():
        return 0, 0.0, 0, 0.0
    try:
        state = checkpoints.load(file)
        rng.bit_generator.state = state["rng"]
    except Exception as error:  # a damaged zip raises what it likes
        raise CheckpointError(f"{file} cannot be read ({error}). Remove it to start anew.") from error
    try:
        stage.load_state_dict(state["stage"])
    except RuntimeError as error:
        raise CheckpointError(f"{file} is of other models than this run's ({str(error).splitlines()[0]}) Remove it.") from error
    for optimizer, kept in zip(opts, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    print(f"resumed at step {state['step']}", flush=True)
    return state["step"], state["seconds"], state["tokens"], state["loss"]


Trained = tuple[nn.Module, dict[str, Any]]
"""A model and the facts of its stage before."""


def write_results(out: Path, facts: dict[str, Any], reader: Trained, fuser: Trained, projector: Trained) -> None:
    """What the export reads."""
    (out / "facts.json").write_text(json.dumps(facts))
    model, before = reader
    seen = {"tokens": before["tokens"] + facts["joint tokens"], "steps": before["step"]}
    config = asdict(model.config)  # type: ignore[call-overload]
    state = {"config": config, "model": model.state_dict(), "facts": seen | {"joint stage": facts}}
    write_whole(out / "reader.pt", state)
    for name, (other, its_facts) in (("fuser", fuser), ("projector", projector)):
        checkpoints.save(out / f"{name}.pt", other, its_facts | {"then": "joint stage"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--nodes", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--max-steps", type=int, default=10**9)
    parser.add_argument("--start", type=float, default=0.45, help="learning-rate factor the reader's stage ended with")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=4e-3)
    parser.add_argument("--samples", type=int, default=2_400, help="holes whose nodes are encoded, for compressed samples")
    parser.add_argument("--held-out", type=int, default=96, help="holes kept for validation")
    parser.add_argument("--node-count", type=int, default=4)
    parser.add_argument("--batch-tokens", type=int, default=10_240)
    parser.add_argument("--middle-weight", type=float, default=4.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--regime", choices=["end-to-end", "separate"], default="end-to-end", help="separate: the fuser is frozen"
    )
    parser.add_argument(
        "--shares", type=float, nargs=4, default=[0.2, 0.35, 0.35, 0.1],
        help="of the tokens: none, full, compressed, and entity names without pseudo-tokens",
    )  # fmt: skip
    parser.add_argument("--file-share", type=float, default=0.3, help="of compressed samples that hold a file's node")
    parser.add_argument("--per-node", type=int, help="pseudo-tokens of a node, where fewer than the projector has")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--micro-rows", type=int, default=3, help="samples of a micro-batch; with retrieved text two thirds of it"
    )
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()

    ranks = Ranks.open()
    torch.manual_seed(args.seed)
    reader, reader_facts = checkpoints.load_reader(args.run, "reader")
    fuser, fuser_facts = checkpoints.load_fuser(args.run)
    projector, projector_facts = checkpoints.load_projector(args.run)
    projector = projector.first_rows(args.per_node or projector.config.per_node)
    fuser.requires_grad_(args.regime == "end-to-end")
    stage = Stage(reader, fuser, projector).to(ranks.device if ranks.count > 1 else chosen_device(args.device))
    weights = mixed(args.middle_weight)
    none, full, named = (SampleSet(args.nodes / mode, weights) for mode in ("none", "full", "named"))
    sets = {"none": none, "full": full, "compressed": named, "names": named}
    count = min(args.samples, len(none.lengths) - args.held_out)
    with_nodes, valid, others = np.split(np.arange(len(none.lengths)), [count, count + args.held_out])
    encoded = np.concatenate((with_nodes, valid))
    branching, device = fuser.config.branching, device_of(stage)
    source = NodeSource(args.run, args.nodes, encoded, args.node_count, branching, args.file_share, device)
    valid = valid[source.candidates[valid, -1] >= 0]
    anywhere = np.concatenate((with_nodes, others))
    rows = {"none": anywhere, "full": anywhere, "compressed": with_nodes, "names": anywhere}
    length = {"none": 576, "full": 992, "compressed": 576, "names": 576}
    shares = {mode: share for mode, share in zip(rows, args.shares, strict=True) if share > 0}

    loss_of = mixture_loss if args.no_compile else torch.compile(mixture_loss, dynamic=False)
    torch._dynamo.config.cache_size_limit = 64
    replicas = Replicas(stage, loss_of, args.workers)
    opts = optimizers(stage, args.muon_lr, args.adam_lr)
    base = [o.param_groups[0]["lr"] for o in opts]
    before = middle_losses(stage, sets, source, valid, args.node_count)
    ranks.say(f"before: {before}")
    shapes: set[tuple[Any, ...]] = set()
    (args.run / "joint").mkdir(exist_ok=True)
    unfinished = args.run / "joint" / "unfinished.pt"
    rng = np.random.default_rng(args.seed)
    step, seconds, tokens, running = resumed(unfinished, stage, opts, rng)
    ranks.wait()
    began, saved = time.time() - seconds, time.time()
    budget = (args.batch_tokens, args.micro_rows, args.node_count)
    for named, batch in mixture(sets, source, rows, shares, length, *budget, rng):
        progress = max(ranks.told_by_first(time.time() - began) / (args.minutes * 60), step / args.max_steps)
        if progress >= 1.0:
            break
        for o, rate in zip(opts, base, strict=True):
            o.param_groups[0]["lr"] = rate * max(args.start * min((1.0 - progress), (step + 1) / 10), 0.003)
        for micro in batch:
            shape = (*micro[0].shape, micro[2] is None)
            if shape not in shapes:
                replicas.warm_up(micro)
                shapes.add(shape)
        # Every process draws the whole batch and reads its share.
        loss = replicas.backward([tuple(m) for m in batch][ranks.number :: ranks.count])
        ranks.sum_gradients(p for p in stage.parameters() if p.requires_grad)
        loss = ranks.sum({"loss": loss})["loss"]
        check_finite(loss, step, named, unfinished)
        nn.utils.clip_grad_norm_(stage.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        tokens += sum(int((m[1] > 0).sum()) for m in batch)
        running = loss if step == 1 else 0.95 * running + 0.05 * loss
        if step % 10 == 0:
            minutes = (time.time() - began) / 60
            left = max(0.0, min(args.minutes - minutes, (args.max_steps - step) * minutes / step))
            speed = f"{tokens / 1e6:.2f}M tokens, {tokens / (time.time() - began):.0f} a second"
            ranks.say(f"step {step} loss {running:.3f}, {speed}, {minutes:.1f} min, {left:.1f} left")
        if ranks.is_first and time.time() - saved > 60 * args.save_minutes:
            saved = time.time()
            state = {"stage": stage.state_dict(), "optimizers": [o.state_dict() for o in opts], "step": step}
            state |= {"rng": rng.bit_generator.state}
            write_whole(unfinished, state | {"seconds": saved - began, "tokens": tokens, "loss": running})

    after = middle_losses(stage, sets, source, valid, args.node_count)
    ranks.say(f"after: {after}")
    facts = {
        "regime": args.regime,
        "shares": shares,
        "steps": step,
        "joint tokens": tokens,
        "middle loss before": before,
        "middle loss after": after,
    }
    if ranks.is_first:
        write_results(args.run / "joint", facts, (reader, reader_facts), (fuser, fuser_facts), (projector, projector_facts))
        unfinished.unlink(missing_ok=True)
    ranks.close()


if __name__ == "__main__":
    run_stage(main)
