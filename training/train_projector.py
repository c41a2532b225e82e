"""LlavaCode's regime: a projector between a frozen encoder and a frozen reader (LlavaCode, section 3).

    python train_projector.py --reader DIR --encoder DIR --samples FILE --out DIR --steps 6600

--reader and --encoder take unmodified Hugging Face folders (Qwen2.5-Coder; Qwen3-Embedding or UniXcoder) or a run of ours.
L = 0.9 CE + 0.1 REINFORCE + 0.1 cosine alignment. Started again, it goes on from its last checkpoint. Several processes:

    torchrun --nproc-per-node 2 train_projector.py ...
"""

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import nn

import checkpoints
from compress import Compressor, Objective
from context_vectors import ContextVectors
from failures import CorpusError, run_stage
from fim_samples import read_samples
from losses import LossWeights
from models.projector import Projector, ProjectorConfig
from pretrained import PretrainedReader, load_reader
from pretrained_encoder import load_encoder
from ranks import Ranks
from sequences import add_lengths, lengths_of
from steps import Plan, run_steps
from weights_digest import digest_of


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reader", type=Path, required=True)
    add("--encoder", type=Path, help="left out where --vectors holds every context")
    add("--samples", type=Path, required=True, help="JSON lines of draw_samples.py or useful_contexts.py")
    add("--vectors", type=Path, help="vectors in place of an encoder's, such as mem_vectors.py writes")
    add("--cache", type=Path, help="where encoded contexts are kept; default: vectors/ of --out")
    add("--out", type=Path, required=True)
    add("--start", type=Path, help="a projector.pt to start from")
    add("--steps", type=int, required=True)
    add("--batch", type=int, default=66, help="samples a step, over all processes")
    add("--micro", type=int, default=8, help="samples at once")
    add("--lr", type=float, default=1e-3)
    add("--warm-up", type=float, default=0.03, help="share of the steps; a cosine follows")
    add("--contexts", type=int, default=10, help="contexts a sample")
    add("--per-node", type=int, default=1, help="pseudo-tokens a context")
    add("--layers", type=int, choices=[2, 3], default=3)
    add("--no-norm", action="store_true", help="no LayerNorm, as in HEF")
    add("--hidden", type=int, help="default: the reader's width with 2 layers, twice that with 3")
    add("--modality", choices=["text", "ast"], default="text", help="what the encoder reads of a chunk")
    for field in fields(LossWeights):
        add(
            f"--{field.name.replace('_', '-')}",
            type=float,
            default=field.default,
            help="its weight in the loss; 0 leaves it out",
        )
    add("--self-critical", action="store_true", help="sampled rollouts with the greedy one's reward as baseline")
    add("--rollout-tokens", type=int, default=50)
    add("--rollout-every", type=int, default=1, help="steps between two with rollouts")
    add("--pretrain-steps", type=int, default=0, help="first so many steps: the reader repeats a chunk from its pseudo-tokens")
    add("--order", choices=["bare", "spm", "psm"], help="prompt template; default: the reader's own")
    add_lengths(parser)
    add("--precision", choices=["float32", "bfloat16"], help="of the reader; default bfloat16 on a GPU")
    add("--compile", action="store_true", help="torch.compile the reader's trunk")
    add("--save-every", type=int, default=100, help="steps")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def projector_for(args: argparse.Namespace, vector_dim: int, reader: PretrainedReader) -> Projector:
    """A new projector whose rows are about as long as the reader's own embeddings, or that of --start."""
    if args.start is not None:
        projector, _ = checkpoints.read_projector(args.start)
        checkpoints.same_shapes(projector.config, vector_dim, reader.dim, args.start)
        return projector
    hidden = args.hidden or reader.dim * (1 if args.layers == 2 else 2)
    projector = Projector(ProjectorConfig(vector_dim, hidden, reader.dim, args.per_node, args.layers, not args.no_norm))
    # Behind a LayerNorm every hidden component is about 1, so the last layer decides the length of the rows.
    spread = float(reader.table.weight.float().std())
    nn.init.normal_(projector.down.weight, std=spread * hidden**-0.5)
    nn.init.zeros_(projector.down.bias)
    return projector


def main() -> None:
    args = arguments()
    ranks = Ranks.open()
    torch.manual_seed(args.seed)
    precision = args.precision or ("bfloat16" if ranks.device.type == "cuda" else "float32")
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    samples = [s for s in read_samples(args.samples) if s.contexts]
    if not samples:
        raise CorpusError(f"no sample of {args.samples} has a context: there is nothing to compress.")
    reader = load_reader(args.reader, dtype)
    reader.model.to(ranks.device)
    reader.order = args.order or reader.order
    if args.compile:
        reader.model.model = torch.compile(reader.model.model)
    contexts = [c for s in samples for c in s.contexts[: args.contexts]]
    encoder = load_encoder(args.encoder) if args.encoder is not None else None
    if encoder is not None:
        encoder.model.to(ranks.device)
    vectors = ContextVectors.of(contexts, args.modality, encoder, args.vectors, args.cache or args.out / "vectors", ranks)
    projector = projector_for(args, vectors.dim, reader).to(ranks.device)
    weights = LossWeights(**{f.name: getattr(args, f.name) for f in fields(LossWeights)})
    lengths = lengths_of(args, reader)
    objective = Objective(weights, args.self_critical, args.rollout_tokens, args.rollout_every, args.pretrain_steps)
    compressor = Compressor(reader, projector, vectors, lengths, args.contexts, objective)
    millions = sum(p.numel() for p in projector.parameters()) / 1e6
    among = f"{ranks.count} process{'es' if ranks.count > 1 else ''} on {ranks.device}"
    ranks.say(f"{len(samples)} samples, {len(vectors.rows)} contexts, projector of {millions:.2f} M parameters")
    ranks.say(f"reader {reader.name} ({reader.order} prompts), {among}")
    facts = {
        "regime": "LlavaCode", "reader": reader.name, "encoder": encoder.name if encoder else str(args.vectors),
        "modality": args.modality, "weights": asdict(weights), "self-critical": args.self_critical, "batch": args.batch,
        "order": reader.order, "lengths": asdict(lengths), "contexts": args.contexts, "seed": args.seed,
    }  # fmt: skip
    plan = Plan(args.steps, args.batch, args.micro, args.lr, args.warm_up, args.save_every, args.seed)
    report = run_steps(plan, samples, projector, compressor.backward, args.out, facts, ranks)
    if ranks.is_first:
        digests = {"reader weights": digest_of(args.reader), "encoder weights": digest_of(args.encoder) if encoder else None}
        checkpoints.save(args.out / "projector.pt", projector, facts | report | digests)
        print(json.dumps(report))
    ranks.close()


if __name__ == "__main__":
    run_stage(main)
