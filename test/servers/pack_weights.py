"""A pack's reader as plain float32 arrays under the names that transformers gives them: what its int8 blocks stand for."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

ZERO = 128


@dataclass(frozen=True)
class Weights:
    manifest: dict
    heads: int
    ffn: int
    epsilon: float
    theta: float
    tensors: dict[str, np.ndarray]


def load(pack: Path) -> Weights:
    manifest = json.loads((pack / "pack.json").read_text())
    shape = manifest["reader"]
    model = onnx.load(str(pack / shape["file"]))
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = {node.op_type: node for node in model.graph.node}
    attributes = {
        each.name: each
        for op in ("GroupQueryAttention", "SimplifiedLayerNormalization")
        for each in nodes[op].attribute
    }
    heads = attributes["num_heads"].i

    def matrix(name: str) -> np.ndarray:
        """[outputs, inputs] of blocks along the inputs, one scale each."""
        blocks = values[f"{name}.q"].astype(np.float32) - ZERO
        scales = values[f"{name}.s"].reshape(blocks.shape[0], blocks.shape[1], 1)
        return (blocks * scales).reshape(blocks.shape[0], -1)

    tensors = {
        "model.embed_tokens.weight": embedding(pack / manifest["embed"]["file"]),
        "model.norm.weight": values["norm"],
        "lm_head.weight": matrix("lm_head"),
        "lm_head.bias": values["lm_head.b"],
    }
    split = [heads * shape["headDim"], (heads + shape["kvHeads"]) * shape["headDim"]]
    for layer in range(shape["layers"]):
        ours, theirs = f"layers.{layer}", f"model.layers.{layer}"
        rows = np.split(matrix(f"{ours}.qkv"), split)
        biases = np.split(values[f"{ours}.qkv.b"], split)
        for part, weight, bias in zip("qkv", rows, biases, strict=True):
            tensors[f"{theirs}.self_attn.{part}_proj.weight"] = weight
            tensors[f"{theirs}.self_attn.{part}_proj.bias"] = bias
        tensors[f"{theirs}.self_attn.o_proj.weight"] = matrix(f"{ours}.o")
        tensors[f"{theirs}.input_layernorm.weight"] = values[f"{ours}.ln1"]
        tensors[f"{theirs}.post_attention_layernorm.weight"] = values[f"{ours}.ln2"]
        for part in ("gate", "up", "down"):
            tensors[f"{theirs}.mlp.{part}_proj.weight"] = matrix(f"{ours}.{part}")
    # cos(theta ** (-2 i / d)) at position 1; the second pair has the angle that tells theta.
    theta = float(np.arccos(values["rope.cos"][1, 1])) ** (-shape["headDim"] / 2)
    return Weights(
        manifest=manifest,
        heads=heads,
        ffn=values["layers.0.gate.q"].shape[0],
        epsilon=attributes["epsilon"].f,
        theta=round(theta),
        tensors={name: np.ascontiguousarray(each, dtype=np.float32) for name, each in tensors.items()},
    )


def embedding(file: Path) -> np.ndarray:
    """Every row of the table, as the graph gives it."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    vocab = next(each.dims[0] for each in onnx.load(str(file)).graph.initializer if len(each.dims) == 2)
    return session.run(None, {"input_ids": np.arange(vocab, dtype=np.int64)[None]})[0][0]
