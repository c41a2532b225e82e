"""Stage 3: the fuser, contrastively, on frozen chunk vectors (HEF, section 3.2).

    python train_fuser.py --run DIR --nodes DIR --minutes 2

Two disjoint groups of a file's chunks (or of a folder's files, themselves fused) must find each other, and a group must find a
child it did not see, among those of other repositories. The second keeps parents and children in one space. For an encoder of
another's, such as Qwen3-Embedding:

    python train_fuser.py --encoder DIR --text work/chunks/chunks.jsonl --out work/fuser --minutes 10

Killed and started again, it goes on to the same loss. Several processes share the groups of a step, and each sees the negatives
of all: torchrun --nproc-per-node 2 -- train_fuser.py ...
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from batches import read_array
from checkpoints import load_encoder, new_fuser, save
from context_vectors import encode_new, key_of, read_parts
from failures import CorpusError, check_finite, run_stage
from losses import info_nce
from models.fuser import Fuser
from nodes import Ragged, chunked
from parallel import chosen_device, device_of
from pretrained_encoder import load_encoder as load_pretrained
from ranks import Ranks
from train_reader import optimizers
from unfinished import Progress, Unfinished
from vectors import encode_rows

TEMPERATURE = 0.07


def padded(groups: list[NDArray[np.float32]], branching: int) -> tuple[Tensor, Tensor]:
    """(children [n, branching, d], lengths [n])."""
    children = np.zeros((len(groups), branching, groups[0].shape[1]), np.float32)
    for i, group in enumerate(groups):
        children[i, : len(group)] = group
    return torch.from_numpy(children), torch.tensor([len(g) for g in groups], dtype=torch.int32)


def split(members: NDArray[np.int64], rng: np.random.Generator, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two disjoint runs of neighbours, at most `most` each."""
    at = int(rng.integers(1, len(members)))
    left, right = members[:at], members[at:]
    return left[-most:], right[: int(rng.integers(1, most + 1))]


def fused(fuser: Fuser, groups: list[NDArray[np.float32]]) -> Tensor:
    """[n, d], where the fuser is."""
    device = device_of(fuser)
    if not groups:
        return torch.zeros((0, fuser.config.vector_dim), device=device)
    children, lengths = padded(groups, fuser.config.branching)
    return fuser(children.to(device), lengths.to(device))


Step = tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]
"""(fused groups, their fused siblings, a held-out child of each, repositories), [n, d] each."""


class Groups:
    """Files and folders as lists of rows of `vectors`."""

    def __init__(
        self, vectors: NDArray[np.float32], files: NDArray[np.int64], folders: NDArray[np.int64], repos: NDArray[np.int64]
    ) -> None:
        self.vectors = vectors
        order = np.arange(len(files))
        self.by_file = [order[files == f] for f in np.unique(files)]
        self.file_repo = np.asarray([repos[rows[0]] for rows in self.by_file])
        self.files = [i for i, rows in enumerate(self.by_file) if len(rows) >= 2]
        folder_of = np.asarray([folders[rows[0]] for rows in self.by_file])
        grouped = [np.flatnonzero(folder_of == f) for f in np.unique(folder_of)]
        self.by_folder = [g for g in grouped if len(g) >= 2]

    def files_step(self, fuser: Fuser, rng: np.random.Generator, n: int, ranks: Ranks) -> Step:
        """Of `n` files. Every process draws all of them and fuses its share."""
        b = fuser.config.branching
        picked = rng.choice(self.files, n, replace=False)
        pairs = [split(self.by_file[i], rng, b) for i in picked]
        children = self.vectors[[int(rng.choice(y)) for _, y in pairs]]
        own = pairs[ranks.number :: ranks.count]
        a, z = (fused(fuser, [self.vectors[pair[side]] for pair in own]) for side in (0, 1))
        child = torch.from_numpy(children).to(a.device)
        return ranks.gathered(a, n), ranks.gathered(z, n), child, self.file_repo[picked]

    def folders_step(self, fuser: Fuser, rng: np.random.Generator, n: int, ranks: Ranks) -> Step:
        """The same one level up: children are fused files."""
        b = fuser.config.branching
        n = min(n, len(self.by_folder))
        picked = rng.choice(len(self.by_folder), n, replace=False)
        pairs = [split(self.by_folder[i], rng, b) for i in picked]
        held = [int(rng.integers(len(sibling))) for _, sibling in pairs][ranks.number :: ranks.count]
        own = pairs[ranks.number :: ranks.count]
        files = fused(fuser, [self.vectors[self.by_file[f][:b]] for pair in own for side in pair for f in side])
        sides = list(files.split([len(side) for pair in own for side in pair]))
        lengths = torch.tensor([len(side) for side in sides], dtype=torch.int32, device=files.device)
        widened = [nn.functional.pad(side, (0, 0, 0, b - len(side))) for side in sides]
        parents = fuser(torch.stack(widened), lengths) if sides else files
        child = torch.stack([side[i] for side, i in zip(sides[1::2], held, strict=True)]) if sides else files
        a, z, child = (ranks.gathered(rows, n) for rows in (parents[::2], parents[1::2], child))
        return a, z, child, self.file_repo[[self.by_folder[i][0] for i in picked]]


Labelled = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""(vectors [n, d], file, folder and repository of each)."""


def whole_repositories(repos: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of whole repositories at random until there are enough."""
    rows = np.concatenate([np.flatnonzero(repos == r)[:600] for r in rng.permutation(np.unique(repos))])[:most]
    return np.sort(rows)


def own_vectors(run: Path, nodes: Path, most: int, rng: np.random.Generator, device: torch.device) -> Labelled:
    encoder = load_encoder(run)[0].to(device)
    data = read_array(nodes / "chunks.npz", "nodes.py")
    rows = whole_repositories(data["repos"], most, rng)
    vectors = encode_rows(encoder, Ragged(data["tokens"], data["offsets"]), rows)
    return vectors, data["files"][rows], data["folders"][rows], data["repos"][rows]


def pretrained_vectors(folder: Path, text: Path, cache: Path, most: int, rng: np.random.Generator, ranks: Ranks) -> Labelled:
    """Of chunks as engine_chunks.py wrote them; encoded once, by the first process, and kept."""
    chunks = [(number, chunk) for number, r in enumerate(chunked(text)) for chunk in r["chunks"]]
    if not chunks:
        raise CorpusError(f"{text} holds no chunks. Write it with engine_chunks.py.")
    repos = np.asarray([number for number, _ in chunks], np.int64)
    rows = whole_repositories(repos, most, rng)
    names = [f"{chunks[i][0]}/{chunks[i][1]['path']}" for i in rows]
    texts = [chunks[i][1]["encoderText"] or chunks[i][1]["text"] for i in rows]
    keys = [key_of(t) for t in texts]
    encoder = load_pretrained(folder)
    if ranks.is_first:
        cache.mkdir(parents=True, exist_ok=True)
        encoder.model.to(ranks.device)
        encode_new(dict(zip(keys, texts, strict=True)), encoder, cache, f"{encoder.name}-chunks")
    ranks.wait()
    known, vectors = read_parts(cache, f"{encoder.name}-chunks")
    place = {key: i for i, key in enumerate(known)}
    files = np.unique(names, return_inverse=True)[1].astype(np.int64)
    folders = np.unique([n.rsplit("/", 1)[0] for n in names], return_inverse=True)[1].astype(np.int64)
    return vectors.numpy()[[place[key] for key in keys]], files, folders, repos[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a run of ours, whose encoder gives the vectors")
    parser.add_argument("--nodes", type=Path, help="its chunks.npz")
    parser.add_argument("--encoder", type=Path, help="a Hugging Face folder in place of both")
    parser.add_argument("--text", type=Path, help="chunks.jsonl of engine_chunks.py, for --encoder")
    parser.add_argument("--out", type=Path, help="gets fuser.pt and the vectors, for --encoder")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--max-steps", type=int, default=10**9)
    parser.add_argument("--batch", type=int, default=96, help="groups")
    parser.add_argument("--chunks", type=int, default=24_000, help="chunks of the corpus used")
    parser.add_argument("--save-every", type=int, default=100, help="steps; started again, it goes on from the last")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, help="of the transformer; default: that of the vectors")
    parser.add_argument("--cache", type=Path, help="where encoded chunks are kept, for --encoder; default: vectors/ of --out")
    parser.add_argument("--branching", type=int, default=8)
    parser.add_argument("--device", help="default: a GPU if there is one")
    args = parser.parse_args()

    ranks = Ranks.open()
    ranks = ranks if ranks.count > 1 else replace(ranks, device=chosen_device(args.device))
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    out = args.run or args.out
    if args.run is not None and args.nodes is not None:
        vectors, files, folders, repos = own_vectors(args.run, args.nodes, args.chunks, rng, ranks.device)
    elif args.encoder is not None and args.text is not None and args.out is not None:
        cache = args.cache or args.out / "vectors"
        vectors, files, folders, repos = pretrained_vectors(args.encoder, args.text, cache, args.chunks, rng, ranks)
    else:
        raise CorpusError("give --run and --nodes, or --encoder, --text and --out.")
    held = repos % 20 == 0
    train = Groups(vectors[~held], files[~held], folders[~held], repos[~held])
    test = Groups(vectors[held], files[held], folders[held], repos[held])
    if not train.files:
        raise CorpusError("no file of a repository that is not held out has two chunks: there is nothing to fuse.")
    dim = vectors.shape[1]
    width = args.width or dim
    fuser = new_fuser(dim, max(1, width // 64), args.layers, args.branching, width).to(ranks.device)
    opts = optimizers(fuser, 0.01, 1e-3)
    base = [o.param_groups[0]["lr"] for o in opts]

    def loss_of(groups: Groups, step: int, n: int, among: Ranks) -> tuple[Tensor, float]:
        n = min(n, len(groups.files))
        by_file = step % 2 == 1 or len(groups.by_folder) < 8
        a, z, child, repo = (groups.files_step if by_file else groups.folders_step)(fuser, rng, n, among)
        same = torch.from_numpy(repo[:, None] == repo[None, :]).to(a.device)
        loss = info_nce(a, z, TEMPERATURE, same) + info_nce(a, child, TEMPERATURE, same)
        own = torch.eye(len(a), dtype=torch.bool, device=a.device)
        hits = (a @ z.T).masked_fill(same & ~own, -2).argmax(-1) == torch.arange(len(a), device=a.device)
        return loss, float(hits.float().mean())

    told = ("minutes", "max_steps", "batch", "chunks", "layers", "width", "branching")
    made_by = {name: getattr(args, name) for name in told} | {"vectors": list(vectors.shape)}
    unfinished = Unfinished(out / "fuser.unfinished.pt", made_by, args.save_every)
    done = unfinished.resume(fuser, opts, rng)
    ranks.wait()
    began, step, running = time.time() - done.seconds, done.step, done.loss
    while True:
        progress = max(ranks.told_by_first(time.time() - began) / (args.minutes * 60), step / args.max_steps)
        if progress >= 1.0:
            break
        for o, rate in zip(opts, base, strict=True):
            o.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 50, (1.0 - progress) / 0.6 + 0.01)
        loss, _ = loss_of(train, step, args.batch, ranks)
        check_finite(float(loss.detach()), step, "drawn with seed 0", unfinished.file)
        if loss.requires_grad:  # a process beyond the last group fuses nothing
            loss.backward()
        ranks.sum_gradients(fuser.parameters())
        nn.utils.clip_grad_norm_(fuser.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        running = float(loss.detach()) if step == 1 else 0.98 * running + 0.02 * float(loss.detach())
        if step % 50 == 0:
            ranks.say(f"step {step} loss {running:.3f} {(time.time() - began) / 60:.1f} min")
        if ranks.is_first:
            unfinished.keep(fuser, opts, rng, Progress(step, time.time() - began, running))
    with torch.no_grad():
        alone = Ranks(0, 1, ranks.device)
        recall = np.mean([loss_of(test, 1, 48, alone)[1] for _ in range(10)]) if test.files else 0.0
    facts = {"steps": step, "loss": round(running, 3), "held-out sibling recall at 1": round(float(recall), 3)}
    facts |= {"parameters": sum(p.numel() for p in fuser.parameters())}
    ranks.say(json.dumps(facts))
    if ranks.is_first:
        save(out / "fuser.pt", fuser, facts)
        unfinished.remove()
    ranks.close()


if __name__ == "__main__":
    run_stage(main)
