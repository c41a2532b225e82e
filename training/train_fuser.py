"""Stage 3: the fuser, contrastively, on frozen chunk vectors (HEF, section 3.2).

    python train_fuser.py --run DIR --nodes DIR --minutes 2

Two disjoint groups of a file's chunks (or of a folder's files, themselves fused) must find each other, and a group must find a
child it did not see, among those of other repositories. The second keeps parents and children in one space.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from checkpoints import load_encoder, new_fuser, save
from failures import check_finite, run_stage
from losses import info_nce
from models.fuser import Fuser
from nodes import Ragged
from train_reader import optimizers
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

    def files_step(self, fuser: Fuser, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
        """(fused group, fused sibling group, a held-out child, repositories)."""
        b = fuser.config.branching
        picked = rng.choice(self.files, n, replace=False)
        pairs = [split(self.by_file[i], rng, b) for i in picked]
        a = fuser(*padded([self.vectors[x] for x, _ in pairs], b))
        z = fuser(*padded([self.vectors[y] for _, y in pairs], b))
        child = torch.from_numpy(self.vectors[[int(rng.choice(y)) for _, y in pairs]])
        return a, z, child, self.file_repo[picked]

    def folders_step(self, fuser: Fuser, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
        """The same one level up: children are fused files."""
        b = fuser.config.branching
        picked = rng.choice(len(self.by_folder), min(n, len(self.by_folder)), replace=False)
        pairs = [split(self.by_folder[i], rng, b) for i in picked]
        flat = [f for pair in pairs for side in pair for f in side]
        fused = fuser(*padded([self.vectors[self.by_file[f][:b]] for f in flat], b))
        sides, at = [], 0
        for pair in pairs:
            for side in pair:
                sides.append(fused[at : at + len(side)])
                at += len(side)
        lengths = torch.tensor([len(s) for s in sides], dtype=torch.int32)
        children = torch.stack([nn.functional.pad(s, (0, 0, 0, b - len(s))) for s in sides])
        parents = fuser(children, lengths)
        child = torch.stack([s[int(rng.integers(len(s)))] for s in sides[1::2]])
        return parents[::2], parents[1::2], child, self.file_repo[[self.by_folder[i][0] for i in picked]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--nodes", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--max-steps", type=int, default=10**9)
    parser.add_argument("--batch", type=int, default=96, help="groups")
    parser.add_argument("--chunks", type=int, default=24_000, help="chunks of the corpus used")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--branching", type=int, default=8)
    args = parser.parse_args()

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder, _ = load_encoder(args.run)
    data = np.load(args.nodes / "chunks.npz")
    repos = data["repos"]
    # Whole repositories at random until there are enough chunks.
    rows = np.concatenate([np.flatnonzero(repos == r)[:600] for r in rng.permutation(np.unique(repos))])[: args.chunks]
    rows.sort()
    vectors = encode_rows(encoder, Ragged(data["tokens"], data["offsets"]), rows)
    held = repos[rows] % 20 == 0
    train = Groups(vectors[~held], data["files"][rows][~held], data["folders"][rows][~held], repos[rows][~held])
    test = Groups(vectors[held], data["files"][rows][held], data["folders"][rows][held], repos[rows][held])
    dim = vectors.shape[1]
    fuser = new_fuser(dim, max(1, dim // 64), args.layers, args.branching)
    opts = optimizers(fuser, 0.01, 1e-3)
    base = [o.param_groups[0]["lr"] for o in opts]

    def loss_of(groups: Groups, step: int, n: int) -> tuple[Tensor, float]:
        n = min(n, len(groups.files))
        by_file = step % 2 == 1 or len(groups.by_folder) < 8
        a, z, child, repo = (groups.files_step if by_file else groups.folders_step)(fuser, rng, n)
        same = torch.from_numpy(repo[:, None] == repo[None, :])
        loss = info_nce(a, z, TEMPERATURE, same) + info_nce(a, child, TEMPERATURE, same)
        hits = (a @ z.T).masked_fill(same & ~torch.eye(len(a), dtype=torch.bool), -2).argmax(-1) == torch.arange(len(a))
        return loss, float(hits.float().mean())

    began, step, running = time.time(), 0, 0.0
    while time.time() - began < args.minutes * 60 and step < args.max_steps:
        progress = max((time.time() - began) / (args.minutes * 60), step / args.max_steps)
        for o, rate in zip(opts, base, strict=True):
            o.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 50, (1.0 - progress) / 0.6 + 0.01)
        loss, _ = loss_of(train, step, args.batch)
        check_finite(float(loss.detach()), step, "drawn with seed 0", args.run / "fuser.pt")
        loss.backward()
        nn.utils.clip_grad_norm_(fuser.parameters(), 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        running = float(loss.detach()) if step == 1 else 0.98 * running + 0.02 * float(loss.detach())
        if step % 50 == 0:
            print(f"step {step} loss {running:.3f} {(time.time() - began) / 60:.1f} min", flush=True)
    with torch.no_grad():
        recall = np.mean([loss_of(test, 1, 48)[1] for _ in range(10)]) if test.files else 0.0
    facts = {"steps": step, "loss": round(running, 3), "held-out sibling recall at 1": round(float(recall), 3)}
    print(json.dumps(facts))
    save(args.run / "fuser.pt", fuser, facts)


if __name__ == "__main__":
    run_stage(main)
