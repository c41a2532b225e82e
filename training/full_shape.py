"""One training step of train_projector.py at the shape of Qwen2.5-Coder-1.5B and Qwen3-Embedding-0.6B, with random weights.

    python full_shape.py --work DIR

Writes both checkpoint folders (4.3 GB, in the Hub's layout: config, tokenizer files, sharded safetensors), trains one step on
two samples with every term of the loss, and prints seconds and peak memory. It says that the real checkpoints fit and run,
nothing of quality.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3Model,
)

import train_projector
from failures import run_stage
from fim_samples import Context, FimSample, write_samples
from tokenizer import END_OF_TEXT

READER = Qwen2Config(
    vocab_size=151_936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
    num_key_value_heads=2, max_position_embeddings=32_768, rms_norm_eps=1e-6, tie_word_embeddings=True,
    rope_parameters={"rope_theta": 1_000_000.0, "rope_type": "default"},
)  # fmt: skip
"""Qwen2.5-Coder-1.5B's config.json."""
ENCODER = Qwen3Config(
    vocab_size=151_669, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
    num_key_value_heads=8, head_dim=128, max_position_embeddings=32_768, rms_norm_eps=1e-6, tie_word_embeddings=True,
    rope_parameters={"rope_theta": 1_000_000.0, "rope_type": "default"},
)  # fmt: skip
"""Qwen3-Embedding-0.6B's."""


def write_folder(folder: Path, kind: type[PreTrainedModel], config: Qwen2Config | Qwen3Config, tokenizer: Path) -> None:
    """A checkpoint of random weights in bfloat16; no weight is held twice."""
    if (folder / "config.json").is_file():
        return
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = kind(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(str(folder), max_shard_size="1GB")
    fast: PreTrainedTokenizerBase = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(tokenizer)), eos_token=END_OF_TEXT, pad_token=END_OF_TEXT
    )
    fast.save_pretrained(str(folder))


def samples() -> list[FimSample]:
    def text(i: int) -> str:
        return f"class Shape{i}:\n    def area(self, radius):\n        return 3.14 * radius ** {i}\n"

    contexts = [Context(f"shapes/{i}.py", text(i)) for i in range(10)]
    prefix = "from shapes import Circle\n\n" + "def total(shapes):\n    return sum(shape.area() for shape in shapes)\n" * 6
    return [
        FimSample(f"full/{i}", "full", "app.py", prefix, "area = total(shapes)", "\nprint(area)\n", contexts) for i in range(2)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="any tokenizer.json with the fill-in-the-middle tokens")
    parser.add_argument("--rollout-tokens", type=int, default=50)
    args = parser.parse_args()
    began = time.monotonic()
    write_folder(args.work / "Qwen2.5-Coder-1.5B", Qwen2ForCausalLM, READER, args.tokenizer)
    write_folder(args.work / "Qwen3-Embedding-0.6B", Qwen3Model, ENCODER, args.tokenizer)
    write_samples(args.work / "samples.jsonl", samples())
    written = time.monotonic() - began
    out = args.work / "out"
    shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    models = ["--reader", str(args.work / "Qwen2.5-Coder-1.5B"), "--encoder", str(args.work / "Qwen3-Embedding-0.6B")]
    sys.argv = [
        "train_projector.py", *models,
        "--samples", str(args.work / "samples.jsonl"), "--out", str(out), "--steps", "1", "--batch", "2", "--micro", "2",
        "--precision", "bfloat16", "--rollout-tokens", str(args.rollout_tokens),
    ]  # fmt: skip
    train_projector.main()
    whole = time.monotonic() - began
    step = json.loads((out / "curve.jsonl").read_text())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    found = {
        "writing s": round(written),
        "load, encode and step s": round(whole),
        "peak resident GiB": round(peak, 1),
        "step": step,
    }
    if torch.cuda.is_available():
        found["peak GPU GiB"] = round(torch.cuda.max_memory_allocated() / 1024**3, 1)
    print(json.dumps(found))


if __name__ == "__main__":
    run_stage(main)
