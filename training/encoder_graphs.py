"""Frozen encoders of Hugging Face's classes -> the engine's encoder graph: ids and lengths -> unit vectors.

Qwen3 and Qwen2 trunks (Qwen3-Embedding) with onnxruntime's fused attention; RoBERTa (UniXcoder) with plain operators, as its
attention looks both ways.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from transformers import Qwen2Model, Qwen3Model, RobertaModel

from failures import CheckpointError
from graphs import MICROSOFT, Graph, array, behind, encoder_graph
from models.encoder import Encoder
from pretrained_encoder import PretrainedEncoder


def pretrained_encoder_graph(encoder: PretrainedEncoder, accuracy_level: int | None) -> onnx.ModelProto:
    """`accuracy_level` None keeps float32 weights; 4 makes int8 blocks of them."""
    if isinstance(encoder.model, Encoder):
        return encoder_graph(encoder.model, accuracy_level)
    g = Graph("encoder", accuracy_level)
    ids = g.input("input_ids", TensorProto.INT64, ["n", "t"])
    lengths = g.input("lengths", TensorProto.INT32, ["n"])
    vectors = g.output("vectors", TensorProto.FLOAT, ["n", encoder.dim])
    if isinstance(encoder.model, Qwen3Model | Qwen2Model):
        hidden = qwen_states(g, ids, lengths, encoder.model, encoder.max_tokens)
    elif isinstance(encoder.model, RobertaModel):
        hidden = roberta_states(g, ids, lengths, encoder.model)
    else:
        raise CheckpointError(f"{encoder.name} is no encoder whose graph is known.")
    pooled = last_state(g, hidden, lengths) if encoder.pooling == "last" else mean_state(g, hidden, ids, lengths)
    g.unit(pooled, vectors)
    return g.model()


def rope(g: Graph, theta: float, head_dim: int, positions: int) -> None:
    frequency = theta ** (-np.arange(head_dim // 2, dtype=np.float64) / (head_dim // 2))
    angle = np.outer(np.arange(positions, dtype=np.float64), frequency)
    g.constant("rope.cos", np.cos(angle).astype(np.float32))
    g.constant("rope.sin", np.sin(angle).astype(np.float32))


def qwen_states(g: Graph, ids: str, lengths: str, model: Any, positions: int) -> str:
    """[n, t, dim] behind the last norm."""
    c = model.config
    heads, kv_heads, eps = c.num_attention_heads, c.num_key_value_heads, c.rms_norm_eps
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // heads
    rope(g, float(c.rope_parameters["rope_theta"]), head_dim, positions)
    seqlens = g.op("Sub", [lengths, g.constant("one", np.asarray([1], np.int32))])
    width = g.op("Squeeze", [g.op("Shape", [ids], start=1, end=2), g.integers(0)])
    total = g.op("Cast", [width], to=TensorProto.INT32)
    shape = g.op("Concat", [g.op("Shape", [ids], start=0, end=1), g.integers(kv_heads, 0, head_dim)], axis=0)
    past = g.op("Expand", [g.constant("empty", np.zeros((1, kv_heads, 0, head_dim), np.float32)), shape])

    def normed_heads(x: str, name: str, norm: Any, count: int) -> str:
        """Qwen3 norms each head's query and key; Qwen2 does not."""
        if norm is None:
            return x
        apart = g.op("Reshape", [x, g.integers(0, 0, count, head_dim)])
        return g.op("Reshape", [g.norm(apart, name, norm.weight, eps), g.integers(0, 0, count * head_dim)])

    x = g.table(ids, "embed", model.embed_tokens.weight)
    normed = g.norm(x, "layers.0.ln1", model.layers[0].input_layernorm.weight, eps)
    for i, layer in enumerate(model.layers):
        name, attention = f"layers.{i}", layer.self_attn
        q, k, v = (
            g.linear(normed, f"{name}.{part}", projection.weight, projection.bias)
            for part, projection in (("q", attention.q_proj), ("k", attention.k_proj), ("v", attention.v_proj))
        )
        q = normed_heads(q, name + ".q_norm", getattr(attention, "q_norm", None), heads)
        k = normed_heads(k, name + ".k_norm", getattr(attention, "k_norm", None), kv_heads)
        heard = g.fresh("attention")
        g.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [q, k, v, past, past, seqlens, total, "rope.cos", "rope.sin"],
                [heard, g.fresh("unused_key"), g.fresh("unused_value")],
                name=g.fresh("n"),
                domain=MICROSOFT,
                num_heads=heads,
                kv_num_heads=kv_heads,
                do_rotary=1,
            )  # fmt: skip
        )
        attended = g.linear(heard, name + ".o", attention.o_proj.weight)
        normed, x = g.add_norm(attended, x, name + ".ln2", layer.post_attention_layernorm.weight, eps)
        gate, up = (g.linear(normed, f"{name}.{part}", getattr(layer.mlp, part + "_proj").weight) for part in ("gate", "up"))
        product = g.op("Mul", [g.op("Mul", [gate, g.op("Sigmoid", [gate])]), up])
        last = i + 1 == len(model.layers)
        weight = model.norm.weight if last else model.layers[i + 1].input_layernorm.weight
        out = g.linear(product, name + ".down", layer.mlp.down_proj.weight)
        normed, x = g.add_norm(out, x, "norm" if last else f"layers.{i + 1}.ln1", weight, eps)
    return normed


def roberta_states(g: Graph, ids: str, lengths: str, model: Any) -> str:
    """[n, t, dim]."""
    c = model.config
    heads, head_dim = c.num_attention_heads, c.hidden_size // c.num_attention_heads
    valid = valid_places(g, ids, lengths)
    # Positions count from the padding id + 1, which padding itself keeps.
    pad = g.constant("pad", np.asarray(c.pad_token_id, np.int64))
    one = g.constant("one64", np.asarray(1, np.int64))
    counted = g.op("Add", [g.op("Add", [places_of(g, ids), one]), pad])
    e = model.embeddings
    words = g.table(ids, "words", e.word_embeddings.weight)
    places = g.op("Gather", [g.constant("places", array(e.position_embeddings.weight)), g.op("Where", [valid, counted, pad])])
    kind = g.constant("kind", array(e.token_type_embeddings.weight)[0])
    x = layer_norm(g, "embeddings", g.op("Add", [g.op("Add", [words, places]), kind]), e.LayerNorm)
    nothing, far = (g.constant(name, np.asarray(value, np.float32)) for name, value in (("nothing", 0), ("far", -1e9)))
    hidden = g.op("Unsqueeze", [g.op("Where", [valid, nothing, far]), g.integers(1, 2)])
    root = g.constant("head_root", np.asarray(head_dim**-0.5, np.float32))

    def heads_of(x: str, name: str, linear: Any, order: list[int]) -> str:
        flat = g.linear(x, name, linear.weight, linear.bias)
        return g.op("Transpose", [g.op("Reshape", [flat, g.integers(0, 0, heads, head_dim)])], perm=order)

    for i, layer in enumerate(model.encoder.layer):
        name, own = f"layers.{i}", layer.attention.self
        q = g.op("Mul", [heads_of(x, name + ".q", own.query, [0, 2, 1, 3]), root])
        k = heads_of(x, name + ".k", own.key, [0, 2, 3, 1])
        v = heads_of(x, name + ".v", own.value, [0, 2, 1, 3])
        share = g.op("Softmax", [g.op("Add", [g.op("MatMul", [q, k]), hidden])], axis=-1)
        heard = g.op("Transpose", [g.op("MatMul", [share, v])], perm=[0, 2, 1, 3])
        heard = g.op("Reshape", [heard, g.integers(0, 0, c.hidden_size)])
        output = layer.attention.output
        attended = g.linear(heard, name + ".o", output.dense.weight, output.dense.bias)
        x = layer_norm(g, name + ".ln1", g.op("Add", [attended, x]), output.LayerNorm)
        wide = g.linear(x, name + ".up", layer.intermediate.dense.weight, layer.intermediate.dense.bias)
        gelu, down = behind(g, name + ".gelu", wide, None), layer.output.dense
        narrow = g.linear(gelu, name + ".down", down.weight, down.bias)
        x = layer_norm(g, name + ".ln2", g.op("Add", [narrow, x]), layer.output.LayerNorm)
    return x


def layer_norm(g: Graph, name: str, x: str, norm: Any) -> str:
    gamma, beta = g.constant(name + ".weight", array(norm.weight)), g.constant(name + ".bias", array(norm.bias))
    return g.op("LayerNormalization", [x, gamma, beta], axis=-1, epsilon=norm.eps)


def places_of(g: Graph, ids: str) -> str:
    """0 … t - 1, [1, t]."""
    width = g.op("Squeeze", [g.op("Shape", [ids], start=1, end=2), g.integers(0)])
    zero, step = g.constant("zero64", np.asarray(0, np.int64)), g.constant("step64", np.asarray(1, np.int64))
    return g.op("Unsqueeze", [g.op("Range", [zero, width, step]), g.integers(0)])


def valid_places(g: Graph, ids: str, lengths: str) -> str:
    """bool [n, t], false at padding."""
    wide = g.op("Unsqueeze", [g.op("Cast", [lengths], to=TensorProto.INT64), g.integers(1)])
    return g.op("Less", [places_of(g, ids), wide])


def last_state(g: Graph, hidden: str, lengths: str) -> str:
    one = g.constant("one", np.asarray([1], np.int32))
    index = g.op("Cast", [g.op("Sub", [lengths, one])], to=TensorProto.INT64)
    return g.op("GatherND", [hidden, g.op("Unsqueeze", [index, g.integers(1)])], batch_dims=1)


def mean_state(g: Graph, hidden: str, ids: str, lengths: str) -> str:
    """The sum over a text's tokens: its length does not matter."""
    valid = g.op("Unsqueeze", [valid_places(g, ids, lengths), g.integers(2)])
    # Where, not a product: what attention leaves in padded rows is not defined.
    kept = g.op("Where", [valid, hidden, g.constant("nothing", np.asarray(0, np.float32))])
    return g.op("ReduceSum", [kept, g.integers(1)], keepdims=0)
