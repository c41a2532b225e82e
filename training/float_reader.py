"""A pack with its reader in float32, to measure what int8 costs: `precis eval` runs both. Not for shipping.

    python float_reader.py --run DIR --pack DIR --out DIR

Encoder, fuser and projector stay as they are, so that both packs retrieve the same.
"""

import argparse
import json
import shutil
from pathlib import Path

import onnx
import torch

import graphs
from checkpoints import load_reader
from failures import run_stage
from seal import seal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the run the pack was exported from")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    reader, _ = load_reader(args.run)
    manifest = json.loads((args.pack / "pack.json").read_text())
    shutil.copytree(args.pack, args.out)
    bias = torch.zeros(reader.config.vocab_size)
    onnx.save(graphs.embed_graph(reader, None), args.out / "embed.onnx")
    onnx.save(graphs.reader_graph(reader, bias, None), args.out / "reader.onnx")
    manifest |= {"id": args.out.name, "title": manifest["title"] + ", float32", "quantisation": "none in the reader"}
    seal(args.out, manifest)
    print(f"{args.out}: {sum(f.stat().st_size for f in args.out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run_stage(main)
