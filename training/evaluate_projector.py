"""A reader and a projector on held-out samples, in the three modes: rows for metrics.py, and how far apart the rows stand.

    python evaluate_projector.py --reader DIR --encoder DIR --projector FILE [--fuser FILE] --samples FILE --out rows.jsonl

Each middle is completed greedily up to its number of lines; `nll` is that of the true middle, in nats. Modes: the prompt alone,
with the text of the contexts, with their pseudo-tokens.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import checkpoints
from compress import Compressor, Objective
from context_vectors import ContextVectors
from failures import CheckpointError, CorpusError, run_stage
from fim_samples import FimSample, read_samples
from losses import LossWeights, token_log_probs
from pretrained import load_reader
from pretrained_encoder import load_encoder
from ranks import Ranks
from rollouts import write
from scores import edit_similarity, exact_match
from sequences import OWN_LENGTHS, Lengths, Mode, sequences_of, target_logits
from steps import shown

NEW_TOKENS = 50


@torch.no_grad()
def rows_of(compressor: Compressor, samples: list[FimSample], mode: Mode) -> list[dict[str, Any]]:
    """One row a sample, as `precis eval --out` writes them, with `nll` and `tokens`."""
    rows = None
    if mode == "compressed":
        prompts = compressor.prompts(samples)
        rows = compressor.rows_of(samples)
    else:
        prompts = sequences_of(compressor.reader, samples, mode, compressor.lengths, compressor.count)
    ids, mask = compressor.targets(samples)
    losses = -token_log_probs(target_logits(compressor.reader, prompts, rows, ids, mask), ids) * mask
    lines = max(s.middle.strip().count("\n") + 1 for s in samples)
    began = time.monotonic()
    texts = write(compressor.reader, prompts, rows, NEW_TOKENS, lines=lines).texts
    took = (time.monotonic() - began) * 1000 / len(samples)
    return [
        {
            "task_id": s.id, "mode": mode, "target": s.middle, "prediction": text,
            "em": exact_match(text, s.middle), "es": round(edit_similarity(text, s.middle), 4),
            "nll": float(losses[i].sum()), "tokens": int(mask[i].sum()), "totalMs": round(took, 1),
        }
        for i, (s, text) in enumerate(zip(samples, texts, strict=True))
    ]  # fmt: skip


@torch.no_grad()
def collapse_of(compressor: Compressor, samples: list[FimSample], count: int) -> dict[str, Any]:
    """Pairwise cosine distances of `count` contexts before and after the projector (LlavaCode, figure 2)."""
    contexts = list({c.text: c for s in samples for c in compressor.contexts_of(s)}.values())[:count]
    rows, vectors = compressor.project(contexts)
    found: dict[str, Any] = {"n": len(contexts)}
    for name, x in (("encoder", vectors), ("projector", rows.view(len(contexts), -1))):
        unit = torch.nn.functional.normalize(x.float(), dim=-1)
        distance = 1 - unit @ unit.T
        apart = distance[~torch.eye(len(unit), dtype=torch.bool, device=unit.device)]
        found[name] = {"mean": round(float(apart.mean()), 4), "matrix": [[round(v, 3) for v in r] for r in distance.tolist()]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reader", type=Path, required=True)
    add("--encoder", type=Path)
    add("--vectors", type=Path)
    add("--cache", type=Path, help="where encoded contexts are kept; default: vectors/ beside --out")
    add("--projector", type=Path, required=True, help="projector.pt of train_projector.py or train_end_to_end.py")
    add("--fuser", type=Path, help="fuser.pt of train_end_to_end.py, for nodes of files")
    add("--samples", type=Path, required=True)
    add("--out", type=Path, required=True)
    add("--modes", nargs="+", choices=["none", "full", "compressed"], default=["none", "full", "compressed"])
    add("--contexts", type=int, help="contexts a sample; default: as in training")
    add("--files", type=int, help="nodes of files a sample; default: as in training")
    add("--limit", type=int)
    add("--batch", type=int, default=16)
    add("--collapse", type=Path, help="distances of 100 contexts as JSON")
    args = parser.parse_args()

    ranks = Ranks.open()
    samples = [s for s in read_samples(args.samples, args.limit) if s.contexts]
    if not samples:
        raise CorpusError(f"no sample of {args.samples} has a context: there is nothing to compress.")
    projector, facts = checkpoints.read_projector(args.projector)
    reader = load_reader(args.reader, torch.bfloat16 if ranks.device.type == "cuda" else torch.float32)
    reader.order = facts.get("order", reader.order)
    reader.model.to(ranks.device)
    count, modality = args.contexts or int(facts.get("contexts", 10)), facts.get("modality", "text")
    encoder = load_encoder(args.encoder) if args.encoder is not None else None
    if encoder is not None:
        encoder.model.to(ranks.device)
    files = int(facts.get("files", 0)) if args.files is None else args.files
    if files and args.fuser is None:
        raise CheckpointError(f"{args.projector} was trained with nodes of files: name their fuser with --fuser, or --files 0.")
    contexts = [c for s in samples for c in (s.contexts if files else s.contexts[:count])]
    vectors = ContextVectors.of(contexts, modality, encoder, args.vectors, args.cache or args.out.parent / "vectors", ranks)
    checkpoints.same_shapes(projector.config, vectors.dim, reader.dim, args.projector)
    lengths = Lengths(**facts["lengths"]) if "lengths" in facts else OWN_LENGTHS
    fuser = checkpoints.read_fuser(args.fuser, vectors.dim).to(ranks.device) if args.fuser is not None else None
    projector.to(ranks.device)
    compressor = Compressor(reader, projector, vectors, lengths, count, Objective(LossWeights()), fuser, files)
    began, done, total = time.monotonic(), 0, len(samples) * len(args.modes)
    with args.out.open("w") as out:
        for mode in args.modes:
            for start in range(0, len(samples), args.batch):
                part = samples[start : start + args.batch]
                for found in rows_of(compressor, part, mode):
                    out.write(json.dumps(found) + "\n")
                done += len(part)
                left = shown((total - done) * (time.monotonic() - began) / done)
                print(f"{mode}: {min(start + args.batch, len(samples))}/{len(samples)}, {left} left", flush=True)
    if args.collapse is not None:
        args.collapse.write_text(json.dumps(collapse_of(compressor, samples, 100)))


if __name__ == "__main__":
    run_stage(main)
