"""A reader whose weights a stage changed -> a folder that is read like the one it came from."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

import checkpoints
from models.reader import Reader
from pretrained import PretrainedReader, read_json

LEFT_OUT = ("*.safetensors", "*.bin", "*.index.json", "*.pt", "*.pth", "*.gguf", "*.onnx", "README.md")
"""Files of a checkpoint folder that hold weights, or speak of those of another."""
SHARD = "4GB"


def write_hugging_face(reader: PretrainedReader, source: Path, out: Path, facts: dict[str, Any]) -> None:
    """Every small file of `source` as it is, and the weights under the same names in the precision they had there."""
    stated = read_json(source, "config.json")
    dtype = getattr(torch, str(stated.get("dtype") or stated.get("torch_dtype") or "float32"))
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in reader.model.state_dict().items()}
    if stated.get("tie_word_embeddings"):
        state.pop("lm_head.weight", None)
    reader.model.save_pretrained(str(out), state_dict=state, max_shard_size=SHARD)
    for file in source.iterdir():
        if file.is_file() and not any(file.match(pattern) for pattern in LEFT_OUT):
            shutil.copyfile(file, out / file.name)
    (out / "trained.json").write_text(json.dumps(facts, indent=1) + "\n")


def as_ours(reader: PretrainedReader, like: Reader) -> Reader:
    """The inverse of `pretrained.as_qwen2`, in the shape of `like`."""
    state = {}
    for name, value in reader.model.state_dict().items():
        if name.startswith("model."):
            own = name.removeprefix("model.")
            state[own if own.startswith("embed_tokens.") else f"trunk.{own}"] = value.detach().to("cpu", torch.float32)
    like.load_state_dict(state)
    return like


def write_own(reader: PretrainedReader, source: Path, out: Path, facts: dict[str, Any]) -> None:
    """A run folder of tokenizer and reader."""
    like, before = checkpoints.load_reader(source)
    (out / "reader").mkdir(parents=True)
    shutil.copytree(source / "tokenizer", out / "tokenizer")
    model = as_ours(reader, like)
    checkpoints.save(out / "reader" / "reader.pt", model, {**before, "then": facts})


def write_reader(reader: PretrainedReader, source: Path, out: Path, facts: dict[str, Any]) -> None:
    """`out` is whole or not there; `load_reader(out)` gives the reader back."""
    unfinished = out.with_name(out.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    if (source / "config.json").is_file():
        unfinished.mkdir(parents=True)
        write_hugging_face(reader, source, unfinished, facts)
    else:
        write_own(reader, source, unfinished, facts)
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
