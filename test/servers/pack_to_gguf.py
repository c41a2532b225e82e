"""A pack's reader and tokenizer -> one GGUF file, so that llama.cpp's server serves the very reader that runs here.

    python pack_to_gguf.py PACK OUT.gguf

Weights are written as float32: what the pack's int8 blocks stand for, exactly.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import onnx
from onnx import numpy_helper

BLOCK = 32
ZERO = 128


def main(pack: Path, out: Path) -> None:
    manifest = json.loads((pack / "pack.json").read_text())
    shape = manifest["reader"]
    model = onnx.load(str(pack / shape["file"]))
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = {node.op_type: node for node in model.graph.node}
    attributes = {each.name: each for op in ("GroupQueryAttention", "SimplifiedLayerNormalization")
                  for each in nodes[op].attribute}
    heads = attributes["num_heads"].i
    # cos(theta ** (-2 i / d)) at position 1; the second pair has the angle that tells theta.
    angle = float(np.arccos(values["rope.cos"][1, 1]))
    theta = angle ** (-shape["headDim"] / 2)

    writer = gguf.GGUFWriter(str(out), "qwen2")
    writer.add_name(manifest["id"])
    writer.add_block_count(shape["layers"])
    writer.add_context_length(shape["maxTokens"])
    writer.add_embedding_length(shape["readerDim"])
    writer.add_feed_forward_length(values["layers.0.gate.q"].shape[0])
    writer.add_head_count(heads)
    writer.add_head_count_kv(shape["kvHeads"])
    writer.add_layer_norm_rms_eps(attributes["epsilon"].f)
    writer.add_rope_freq_base(round(theta))
    write_tokenizer(writer, pack / manifest["tokenizer"]["file"], manifest["prompt"]["stopTokens"][0])

    def matrix(name: str) -> np.ndarray:
        """[outputs, inputs] of blocks along the inputs, one scale each."""
        blocks = values[f"{name}.q"].astype(np.float32) - ZERO
        scales = values[f"{name}.s"].reshape(blocks.shape[0], blocks.shape[1], 1)
        return (blocks * scales).reshape(blocks.shape[0], -1).astype(np.float32)

    def add(name: str, rows: np.ndarray) -> None:
        writer.add_tensor(name, np.ascontiguousarray(rows, dtype=np.float32))

    add("token_embd.weight", embedding(pack / manifest["embed"]["file"]))
    add("output_norm.weight", values["norm"])
    add("output.weight", matrix("lm_head"))
    add("output.bias", values["lm_head.b"])
    split = [heads * shape["headDim"], (heads + shape["kvHeads"]) * shape["headDim"]]
    for layer in range(shape["layers"]):
        ours, theirs = f"layers.{layer}", f"blk.{layer}"
        for part, rows, bias in zip("qkv", np.split(matrix(f"{ours}.qkv"), split),
                                    np.split(values[f"{ours}.qkv.b"], split), strict=True):
            add(f"{theirs}.attn_{part}.weight", rows)
            add(f"{theirs}.attn_{part}.bias", bias)
        add(f"{theirs}.attn_norm.weight", values[f"{ours}.ln1"])
        add(f"{theirs}.attn_output.weight", matrix(f"{ours}.o"))
        add(f"{theirs}.ffn_norm.weight", values[f"{ours}.ln2"])
        for part in ("gate", "up", "down"):
            add(f"{theirs}.ffn_{part}.weight", matrix(f"{ours}.{part}"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def embedding(file: Path) -> np.ndarray:
    """Every row of the table, as the graph gives it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    vocab = next(each.dims[0] for each in onnx.load(str(file)).graph.initializer if len(each.dims) == 2)
    ids = np.arange(vocab, dtype=np.int64)[None]
    return session.run(None, {"input_ids": ids})[0][0]


def write_tokenizer(writer: gguf.GGUFWriter, file: Path, end: str) -> None:
    tokenizer = json.loads(file.read_text())
    special = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    vocab = {**tokenizer["model"]["vocab"], **special}
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda pair: pair[1])]
    merges = [each if isinstance(each, str) else " ".join(each) for each in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(special[end])
    writer.add_add_bos_token(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
