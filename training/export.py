"""Checkpoints -> a model pack: ONNX graphs, tokenizer, parity samples, model card and the manifest that describes them.

    python export.py --run DIR --corpus DIR/sources.json --out packs/NAME

Refuses when torch and ONNX differ by more than parity.py allows.
"""

import argparse
import copy
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import torch

import parity
from checkpoints import load_family
from failures import run_stage
from model_card import curve_table, model_card
from samples import NAMES, PSM, RETRIEVED, SPM, Budget
from seal import seal
from tokenizer import STOP_TOKENS

LICENCE = Path(__file__).parent / "WEIGHTS-LICENSE"


def manifest(
    family: parity.Family, args: argparse.Namespace, facts: dict[str, object], copying: dict[str, Any] | None
) -> dict[str, object]:
    """pack.json without its file list."""
    c, budget = family.reader.config, Budget()
    dim = family.encoder.config.vector_dim
    return {
        "schemaVersion": 1,
        "id": args.out.name,
        "version": args.version,
        "title": "Precis Python, small",
        "licence": "MIT",
        "modelCard": "MODEL_CARD.md",
        "languages": ["python"],
        "modes": ["none", "full", "compressed"],
        "bestMode": args.best_mode,
        "files": {},
        "tokenizer": {"file": "tokenizer.json", "vocabSize": c.vocab_size},
        "chunking": {"version": 1, "maxTokens": args.chunk_tokens},
        "embed": {"file": "embed.onnx"},
        "encoder": {
            "file": "encoder.onnx", "modality": "text", "pooling": "mean",
            "maxTokens": family.encoder.config.trunk.max_tokens, "vectorDim": dim,
        },
        "fuser": {"file": "fuser.onnx", "branching": family.fuser.config.branching, "vectorDim": dim},
        "projector": {
            "file": "projector.onnx", "perNode": family.projector.config.per_node, "vectorDim": dim, "readerDim": c.dim,
        },
        "reader": {
            "file": "reader.onnx", "architecture": "qwen2", "layers": c.layers, "kvHeads": c.kv_heads,
            "headDim": c.head_dim, "readerDim": c.dim, "vocabSize": c.vocab_size, "maxTokens": c.max_tokens,
        },
        "prompt": {
            "order": args.order, "retrieved": RETRIEVED, "psm": PSM, "spm": SPM,
            "entityNames": {"template": NAMES, "budget": budget.names, "left": budget.left_beside_names},
            "stopTokens": STOP_TOKENS,
            "budget": {
                "left": budget.left, "right": budget.right, "context": budget.context,
                "pseudoTokens": args.pseudo_tokens, "newTokens": 48,
            },
        },
        "quantisation": "int8 weights in blocks of 32 (MatMulNBits, accuracy level 4); int8 token tables, one scale a row",
        "parity": "parity.json",
        **({} if copying is None else {"copying": {"weights": copying["weights"]}}),
        "training": facts,
    }  # fmt: skip


def export(
    family: parity.Family, args: argparse.Namespace, facts: dict[str, object], card: str, copying: dict[str, Any] | None
) -> dict[str, float]:
    """Write the pack; returns the differences found."""
    plain = copy.deepcopy(family)
    for model in (plain.reader, plain.encoder, plain.fuser, plain.projector):
        parity.rounded(model.eval())
    models = parity.build(plain, accuracy_level=4)
    exact = parity.check(plain, parity.build(plain, accuracy_level=0), exact=True)
    differences = {f"{name}, float32 activations": value for name, value in exact.items()}
    differences |= parity.check(plain, models, exact=False)

    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.iterdir():
        old.unlink()
    for name, model in models.items():
        onnx.save(model, args.out / f"{name}.onnx")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(args.run / "tokenizer" / file, args.out / file)
    shutil.copy(LICENCE, args.out / "LICENSE")
    prompt = SPM.format(
        path="app/shapes.py", suffix="\n\ndef main():\n", prefix="class Circle:\n    def __init__(self, radius):\n"
    )
    stop = {family.tokenizer.token_to_id(t) for t in STOP_TOKENS}
    recorded = parity.recorded(plain, models, family.tokenizer.encode(prompt).ids, stop)
    (args.out / "parity.json").write_text(json.dumps(recorded) + "\n")
    (args.out / "MODEL_CARD.md").write_text(card)
    seal(args.out, manifest(family, args, facts, copying))
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the stages' checkpoints and the tokenizer")
    parser.add_argument("--sources", type=Path, required=True, help="sources.json of the corpus")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--provisional", action="store_true", help="let stages not run yet be untrained: never ship such a pack"
    )
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--best-mode", choices=("none", "full", "compressed"), default="full", help="as `precis eval` found")
    parser.add_argument("--order", choices=("spm", "psm"), default="spm")
    parser.add_argument("--copying", type=Path, help="weights of fit_copying.py; without them nothing is copied")
    parser.add_argument("--end-bias", type=float, default=0.0, help="added to the logit of the end of text")
    parser.add_argument("--chunk-tokens", type=int, default=160)
    parser.add_argument("--pseudo-tokens", type=int, default=8)
    args = parser.parse_args()

    torch.manual_seed(0)
    copying = json.loads(args.copying.read_text()) if args.copying else None
    family, facts = load_family(args.run, args.provisional)
    if copying is not None:
        facts["copying"] = copying["facts"]
    family = dataclasses.replace(family, end_bias=args.end_bias)
    differences = export(
        family, args, facts, model_card(args.sources, facts, curve_table(args.run / "reader" / "curve.jsonl")), copying
    )
    total = sum(f.stat().st_size for f in args.out.iterdir())
    print(f"{args.out.name}: {total / 1e6:.2f} MB")
    for name, value in differences.items():
        print(f"  {name}: largest difference {value:.2e}")


if __name__ == "__main__":
    run_stage(main)
