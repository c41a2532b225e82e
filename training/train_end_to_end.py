"""HEF's regimes for any reader: the reader learns to read the projector's rows (HEF, section 3.6).

    python train_end_to_end.py --reader DIR --encoder DIR --fuser FILE --samples FILE --out DIR --steps 50000

`--regime separate` trains projector and reader, the fuser staying as train_fuser.py left it; `end-to-end` trains the fuser too.
The encoder is frozen in both. The loss is the cross-entropy of the middle behind pseudo-tokens of its contexts and of the files
that several of them come from. --reader and --encoder take unmodified Hugging Face folders or a run of ours. Writes
`reader/` (a folder of the same kind), `fuser.pt` and `projector.pt`. Started again, it goes on from its last checkpoint.
Several processes: torchrun --nproc-per-node 2 train_end_to_end.py ...
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import checkpoints
from compress import Compressor, Objective
from context_vectors import ContextVectors
from failures import CorpusError, run_stage
from fim_samples import read_samples
from losses import LossWeights
from models.fuser import Fuser, FuserConfig
from models.projector import Projector, ProjectorConfig
from pretrained import PretrainedReader, load_reader
from pretrained_encoder import load_encoder
from ranks import Ranks
from sequences import add_lengths, lengths_of
from steps import Plan, run_steps
from train_projector import projector_for
from trained_reader import write_reader
from weights_digest import digest_of

CROSS_ENTROPY = LossWeights(cross_entropy=1.0, reinforce=0.0, alignment=0.0)


@dataclass(frozen=True)
class Shapes:
    """What a checkpoint must agree with."""

    reader: dict[str, int]
    fuser: FuserConfig
    projector: ProjectorConfig


class Stage(nn.Module):
    """What is trained together."""

    def __init__(self, reader: PretrainedReader, fuser: Fuser, projector: Projector, regime: str) -> None:
        super().__init__()
        self.reader = reader.model.requires_grad_(True)
        self.fuser = fuser.requires_grad_(regime == "end-to-end")
        self.projector = projector
        c = reader.model.config
        shape = {"layers": c.num_hidden_layers, "width": c.hidden_size, "tokens": c.vocab_size}
        self.config = Shapes(shape, fuser.config, projector.config)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reader", type=Path, required=True)
    add("--encoder", type=Path, help="left out where --vectors holds every context")
    add("--fuser", type=Path, required=True, help="fuser.pt of train_fuser.py for that encoder")
    add("--samples", type=Path, required=True, help="JSON lines of draw_samples.py or useful_contexts.py")
    add("--regime", choices=["separate", "end-to-end"], required=True)
    add("--vectors", type=Path, help="vectors in place of an encoder's, such as mem_vectors.py writes")
    add("--cache", type=Path, help="where encoded contexts are kept; default: vectors/ of --out")
    add("--out", type=Path, required=True)
    add("--start", type=Path, help="a projector.pt to start from")
    add("--steps", type=int, required=True)
    add("--batch", type=int, default=32, help="samples a step, over all processes")
    add("--micro", type=int, default=8, help="samples at once")
    add("--lr", type=float, default=2e-5)
    add("--warm-up", type=float, default=0.01, help="share of the steps; a cosine follows")
    add("--contexts", type=int, default=24, help="nodes of chunks a sample")
    add("--files", type=int, default=8, help="nodes of files a sample, at most; fused from all its contexts")
    add("--per-node", type=int, default=1, help="pseudo-tokens a node")
    add("--layers", type=int, choices=[2, 3], default=2)
    add("--hidden", type=int, default=2048, help="of the projector")
    add("--norm", dest="no_norm", action="store_false", help="LayerNorm in the projector, as in LlavaCode")
    add("--modality", choices=["text", "ast"], default="text", help="what the encoder reads of a chunk")
    add("--order", choices=["bare", "spm", "psm"], help="prompt template; default: the reader's own")
    add_lengths(parser)
    add("--precision", choices=["float32", "bfloat16"], help="of the matrices; default bfloat16 on a GPU; weights stay float32")
    add("--compile", action="store_true", help="torch.compile the reader's trunk")
    add("--recompute", action="store_true", help="the reader's activations again in the backward pass: slower, less memory")
    add("--save-every", type=int, default=500, help="steps")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def write_results(args: argparse.Namespace, stage: Stage, reader: PretrainedReader, facts: dict[str, Any]) -> None:
    """What evaluate_projector.py and export_addon.py read; the projector names the reader as it is now."""
    write_reader(reader, args.reader, args.out / "reader", facts)
    checkpoints.save(args.out / "fuser.pt", stage.fuser, facts)
    digests = {"reader weights": digest_of(args.out / "reader")}
    digests |= {"encoder weights": digest_of(args.encoder) if args.encoder is not None else None}
    checkpoints.save(args.out / "projector.pt", stage.projector, facts | digests)


def main() -> None:
    args = arguments()
    ranks = Ranks.open()
    torch.manual_seed(args.seed)
    samples = [s for s in read_samples(args.samples) if s.contexts]
    if not samples:
        raise CorpusError(f"no sample of {args.samples} has a context: there is nothing to compress.")
    reader = load_reader(args.reader)
    reader.model.to(ranks.device)
    reader.order = args.order or reader.order
    if args.recompute:
        # Transformers recomputes in training mode alone; these readers have no dropout.
        reader.model.train().activation_checkpointing_enable({"use_reentrant": False})
    if args.compile:
        reader.model.model.compile()
    encoder = load_encoder(args.encoder) if args.encoder is not None else None
    if encoder is not None:
        encoder.model.to(ranks.device)
    contexts = [c for s in samples for c in (s.contexts if args.files else s.contexts[: args.contexts])]
    vectors = ContextVectors.of(contexts, args.modality, encoder, args.vectors, args.cache or args.out / "vectors", ranks)
    fuser = checkpoints.read_fuser(args.fuser, vectors.dim)
    stage = Stage(reader, fuser, projector_for(args, vectors.dim, reader), args.regime).to(ranks.device)
    precision = args.precision or ("bfloat16" if ranks.device.type == "cuda" else "float32")
    lengths = lengths_of(args, reader)
    models = (reader, stage.projector, vectors, lengths, args.contexts, Objective(CROSS_ENTROPY))
    compressor = Compressor(*models, fuser=fuser, files=args.files, mixed=precision == "bfloat16")
    among = f"{ranks.count} process{'es' if ranks.count > 1 else ''} on {ranks.device}"
    shared = sum(bool(s.files(args.files)) for s in samples)
    ranks.say(f"{len(samples)} samples, {shared} of them with nodes of files, {len(vectors.rows)} contexts")
    ranks.say(f"reader {reader.name} ({reader.order} prompts), {args.regime}, {precision}, {among}")
    facts = {
        "regime": f"HEF, {args.regime}", "reader": reader.name, "encoder": encoder.name if encoder else str(args.vectors),
        "modality": args.modality, "batch": args.batch, "order": reader.order, "lengths": asdict(lengths),
        "contexts": args.contexts, "files": args.files, "precision": precision, "seed": args.seed,
    }  # fmt: skip
    plan = Plan(args.steps, args.batch, args.micro, args.lr, args.warm_up, args.save_every, args.seed)
    report = run_steps(plan, samples, stage, compressor.backward, args.out, facts, ranks)
    if ranks.is_first:
        write_results(args, stage, reader, facts | report)
        print(json.dumps(report))
    ranks.close()


if __name__ == "__main__":
    run_stage(main)
