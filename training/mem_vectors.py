r"""Per-chunk p-tuning: a learnt [mem] vector from which a frozen reader says the chunk again (HEF, section 3.8).

    python mem_vectors.py --reader DIR --samples FILE --out FILE --steps 250
    python mem_vectors.py --reader DIR --store DIR/index.db --pack DIR --steps 250

Every chunk has its own rows before it, trained by next-token loss on the chunk alone for 250 to 500 AdamW steps (Kuratov et
al. 2025). With --samples they are written as vectors that train_projector.py takes with --vectors, as in the paper. With
--store they take the place of the chunks' pseudo-tokens in a store of the engine, which no projector is asked for again; the
store must not be open elsewhere. A store knows the length of a node's rows, not the reader they are for, which --pack checks
too. What does not fit is refused before anything is written. Killed and started again, it goes on behind the last batch.
"""

import argparse
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from context_vectors import key_of, read_vectors, write_vectors
from failures import CheckpointError, CorpusError, NonFiniteLossError, TrainingError, run_stage
from fim_samples import read_samples
from losses import token_log_probs
from pretrained import PretrainedReader, load_reader, read_json
from samples import encode
from sequences import padded, right_padded, target_logits
from steps import shown
from weights_digest import digest_of

FLOAT32 = 0
"""The store's number for rows kept whole."""
STORE_FORMAT = 5
"""`FORMAT_VERSION` of engine/store/schema.ts."""
LONGEST = 512
"""Tokens of a chunk that are said again."""


@dataclass(frozen=True)
class Tuned:
    """Rows of one batch of chunks."""

    rows: Tensor
    """[n, count, dim]."""
    losses: Tensor
    """[n], nats a token, of the last step."""
    right: Tensor
    """[n], share of the tokens that come out right when the ones before are given."""


def first_rows(reader: PretrainedReader, texts: list[str], count: int) -> Tensor:
    """Small random rows, as long as the reader's embeddings, the same for the same text in any batch."""
    spread = float(reader.table.weight.float().std())
    drawn = [
        torch.randn(count, reader.dim, generator=torch.Generator().manual_seed(int(key_of(text)[:15], 16))) for text in texts
    ]
    return torch.stack(drawn).to(reader.table.weight.device) * spread


def tune(reader: PretrainedReader, texts: list[str], count: int, steps: int, lr: float) -> Tuned:
    """`count` rows for each text. Chunks do not touch each other: AdamW scales every number by itself, losses are summed."""
    device = reader.table.weight.device
    rows = first_rows(reader, texts, count).requires_grad_()
    optimizer = torch.optim.AdamW([rows], lr=lr, betas=(0.9, 0.9), weight_decay=0.01)
    ids, mask = right_padded([encode(reader.tokenizer, text)[:LONGEST] for text in texts], device)
    prompts = padded([(count, []) for _ in texts], reader.end, device)
    losses = right = torch.zeros(len(texts), device=device)
    for step in range(steps + 1):
        logits = target_logits(reader, prompts, rows.flatten(0, 1), ids, mask)
        losses = -(token_log_probs(logits, ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        if not bool(torch.isfinite(losses).all()):
            bad = [texts[i].split("\n")[0][:60] for i in torch.nonzero(~torch.isfinite(losses))[:, 0].tolist()]
            raise NonFiniteLossError(f"no finite loss at step {step} for the chunks that begin {bad}. Lower --lr.")
        right = ((logits.argmax(-1) == ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        if step == steps or bool((right == 1).all()):
            break
        losses.sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return Tuned(rows.detach(), losses.detach(), right)


@dataclass(frozen=True)
class Store:
    """A store of the engine, to be written."""

    file: Path
    database: sqlite3.Connection
    made_by: str
    """Id, version and hashes of the pack whose rows it holds."""
    numbers: int
    """Of a node's rows."""


def open_store(file: Path) -> Store:
    """Raises CheckpointError for what is no store of this format."""
    if not file.is_file():
        raise CheckpointError(f"{file}: no such store. `precis index --store` makes one.")
    database = sqlite3.connect(file, timeout=1)
    try:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not {"meta", "nodes", "pseudo_tokens"} <= names:
            raise CheckpointError(f"{file} is no store of the engine: it has no table of pseudo-tokens.")
        row = database.execute("SELECT value FROM meta WHERE key = 'fingerprint'").fetchone()
        version, _, made_by, _, numbers = json.loads(row[0])
    except sqlite3.DatabaseError as error:
        raise CheckpointError(f"{file} is no store ({error}).") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{file} does not say what made it. Index the workspace again.") from error
    if version != STORE_FORMAT:
        raise CheckpointError(
            f"{file} is of store format {version}; this kit writes format {STORE_FORMAT}. Index with the engine beside it."
        )
    return Store(file, database, made_by, numbers)


def check_pack(store: Store, pack: Path, reader: PretrainedReader, folder: Path) -> None:
    """Raises CheckpointError unless the store is that pack's and the pack's reader this one."""
    manifest = read_json(pack, "pack.json")
    name, its = f"{manifest.get('id')}@{manifest.get('version')}", manifest.get("reader", {})
    if not store.made_by.startswith(f"{name}:"):
        raise CheckpointError(f"{store.file} was made by {store.made_by.split(':')[0]}, not by {name} of {pack}.")
    if its.get("readerDim") != reader.dim:
        raise CheckpointError(f"the reader of {pack} is {its.get('readerDim')} wide, that of {folder} {reader.dim}.")
    if its.get("weights") not in (None, digest_of(folder)):
        raise CheckpointError(f"the reader of {pack} has other weights than {folder}. Name the checkpoint it was made of.")


def chunks_of(store: Store, dim: int) -> tuple[list[tuple[int, str]], int]:
    """((id, text) of each chunk, rows a node); raises where the store belongs to a reader of another width."""
    file = store.file
    if store.numbers == 0 or store.numbers % dim:
        raise CheckpointError(f"{file} holds pseudo-tokens of {store.numbers} numbers, no multiple of this reader's {dim}.")
    found = store.database.execute(
        "SELECT n.id, n.text, p.precision, length(p.rows) FROM nodes n JOIN pseudo_tokens p ON p.id = n.id "
        "WHERE n.level = 0 ORDER BY n.id"
    ).fetchall()
    if not found:
        raise CorpusError(f"{file} holds no chunks. Index the workspace first.")
    if any(precision != FLOAT32 for _, _, precision, _ in found):
        raise CheckpointError(f"{file} keeps its pseudo-tokens in bytes. Raise `index.maxDiskMiB` and index again.")
    if any(length != 4 * store.numbers for *_, length in found):
        raise CheckpointError(f"{file} holds rows of another length than it says. Index the workspace again.")
    return [(int(number), str(text)) for number, text, _, _ in found], store.numbers // dim


def write_store(store: Store, ids: list[int], rows: Tensor) -> None:
    """In one transaction."""
    blobs = [row.float().cpu().contiguous().numpy().astype("<f4").tobytes() for row in rows]
    try:
        with store.database:
            store.database.executemany("UPDATE pseudo_tokens SET rows = ? WHERE id = ?", zip(blobs, ids, strict=True))
    except sqlite3.OperationalError as error:
        raise TrainingError(f"the store cannot be written ({error}). Close the editor that has the workspace open.") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reader", type=Path, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--samples", type=Path)
    source.add_argument("--store", type=Path)
    add("--pack", type=Path, help="the pack whose engine made the store; its reader must be --reader")
    add("--out", type=Path, help="vectors by chunk; with --store, what is done already (default: beside the store)")
    add("--contexts", type=int, default=10, help="contexts a sample, with --samples")
    add("--steps", type=int, default=250)
    add("--lr", type=float, default=1e-2)
    add("--batch", type=int, default=16, help="chunks at once")
    add("--limit", type=int, help="chunks at most")
    args = parser.parse_args()

    reader = load_reader(args.reader, torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    reader.model.to("cuda" if torch.cuda.is_available() else "cpu")
    store, count = None, 1
    if args.store is not None:
        store = open_store(args.store)
        if args.pack is not None:
            check_pack(store, args.pack, reader, args.reader)
        listed, count = chunks_of(store, reader.dim)
        texts = {key_of(text): text for _, text in listed}
    else:
        samples = read_samples(args.samples)
        texts = {key_of(c.text): c.text for s in samples for c in s.contexts[: args.contexts]}
    if args.out is None and args.store is None:
        raise TrainingError("--samples needs --out, the file of the vectors.")
    out = args.out or args.store.with_suffix(".mem.pt")
    keys, vectors = read_vectors(out) if out.is_file() else ([], torch.zeros((0, count * reader.dim)))
    if vectors.shape[1] != count * reader.dim:
        raise CheckpointError(
            f"{out} holds vectors of {vectors.shape[1]} numbers, not {count * reader.dim}. Use another --out."
        )
    done_before = set(keys)
    waiting = [key for key in texts if key not in done_before][: args.limit]
    # Chunks of like length together.
    waiting.sort(key=lambda key: len(texts[key]))
    began, right, losses = time.monotonic(), list[float](), list[float]()
    for start in range(0, len(waiting), args.batch):
        part = waiting[start : start + args.batch]
        tuned = tune(reader, [texts[key] for key in part], count, args.steps, args.lr)
        keys, vectors = keys + part, torch.cat((vectors, tuned.rows.flatten(1).float().cpu()))
        write_vectors(out, keys, vectors)
        right += tuned.right.tolist()
        losses += tuned.losses.tolist()
        speed = len(right) / (time.monotonic() - began)
        mean = f"loss {sum(losses) / len(losses):.3f}, {100 * sum(right) / len(right):.1f} % of the tokens right"
        print(f"{len(right)}/{len(waiting)} chunks: {mean}, {shown((len(waiting) - len(right)) / speed)} left", flush=True)
    if store is not None:
        place = {key: i for i, key in enumerate(keys)}
        done = [(number, place[key_of(text)]) for number, text in listed if key_of(text) in place]
        write_store(store, [number for number, _ in done], vectors[[i for _, i in done]])
        print(f"{len(done)} of {len(listed)} chunks of {args.store} have learnt pseudo-tokens")


if __name__ == "__main__":
    run_stage(main)
