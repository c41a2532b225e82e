"""Torch modules -> ONNX graphs built by hand, with onnxruntime's fused operators.

A traced export would not give GroupQueryAttention, block-quantised matrices or the delta outputs (only the new key and value
rows), which are what makes the reader fast from JavaScript.
"""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import quantise
from models.encoder import Encoder
from models.fuser import Fuser, MeanFuser
from models.projector import Projector
from models.reader import Block, Reader, ReaderConfig, Trunk

MICROSOFT = "com.microsoft"
Shape = list[int | str]


def array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().numpy()


class Graph:
    """A growing ONNX graph; every method returns the name of what it computes."""

    def __init__(self, name: str, accuracy_level: int | None = 4, is_rounded: Callable[[str], bool] = lambda _: True) -> None:
        self.name = name
        self.is_rounded = is_rounded
        self.accuracy_level = accuracy_level
        """4: int8 activations, the fast path. 0: float32 ones, for checking the graph itself. None: float32 weights too."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def input(self, name: str, kind: int, shape: Shape) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: Shape) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.asarray(values, np.int64))

    def op(self, kind: str, inputs: list[str], output: str | None = None, domain: str = "", **attributes: object) -> str:
        name = output or self.fresh(kind.lower())
        self.nodes.append(helper.make_node(kind, inputs, [name], name=self.fresh("n"), domain=domain, **attributes))
        return name

    def linear(self, x: str, name: str, weight: Tensor, bias: Tensor | None = None, output: str | None = None) -> str:
        """x @ weight.T + bias with int8 blocks. weight: [out, in]."""
        if self.accuracy_level is None or not self.is_rounded(name):
            product = self.op("MatMul", [x, self.constant(name + ".w", array(weight).T)], None if bias is not None else output)
            return product if bias is None else self.op("Add", [product, self.constant(name + ".b", array(bias))], output)
        levels, scales = quantise.blocks(array(weight))
        inputs = [x, self.constant(name + ".q", levels), self.constant(name + ".s", scales)]
        if bias is not None:
            inputs += ["", "", self.constant(name + ".b", array(bias))]
        return self.op(
            "MatMulNBits", inputs, output, MICROSOFT,
            K=weight.shape[1], N=weight.shape[0], bits=8, block_size=quantise.BLOCK, accuracy_level=self.accuracy_level,
        )  # fmt: skip

    def table(self, ids: str, name: str, weight: Tensor, output: str | None = None) -> str:
        """Rows of an int8 table times their scale."""
        if self.accuracy_level is None:
            return self.op("Gather", [self.constant(name + ".w", array(weight)), ids], output)
        levels, scales = quantise.rows(array(weight))
        row = self.op("Gather", [self.constant(name + ".q", levels), ids])
        scale = self.op("Gather", [self.constant(name + ".s", scales), ids])
        return self.op("Mul", [self.op("Cast", [row], to=TensorProto.FLOAT), scale], output)

    def norm(self, x: str, name: str, weight: Tensor, eps: float) -> str:
        gamma = self.constant(name, array(weight))
        return self.op("SimplifiedLayerNormalization", [x, gamma], axis=-1, epsilon=eps, stash_type=1)

    def add_norm(self, x: str, skip: str, name: str, weight: Tensor, eps: float) -> tuple[str, str]:
        """(normalised sum, sum)."""
        normed, total = self.fresh("normed"), self.fresh("sum")
        gamma = self.constant(name, array(weight))
        self.nodes.append(
            helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [x, skip, gamma],
                [normed, "", "", total],
                name=self.fresh("n"),
                domain=MICROSOFT,
                epsilon=eps,
            )  # fmt: skip
        )
        return normed, total

    def unit(self, x: str, output: str) -> str:
        length = self.op("ReduceL2", [x, self.integers(-1)], keepdims=1)
        return self.op("Div", [x, length], output)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="precis")


def mlp(g: Graph, x: str, name: str, block: Block) -> str:
    """SwiGLU."""
    gate = g.linear(x, name + ".gate", block.mlp.gate_proj.weight)
    up = g.linear(x, name + ".up", block.mlp.up_proj.weight)
    silu = g.op("Mul", [gate, g.op("Sigmoid", [gate])])
    return g.linear(g.op("Mul", [silu, up]), name + ".down", block.mlp.down_proj.weight)


def attention(
    g: Graph, x: str, name: str, block: Block, config: ReaderConfig, past: tuple[str, str], lengths: tuple[str, str],
    present: tuple[str, str],
) -> str:  # fmt: skip
    """Packed QKV and GroupQueryAttention, before the output matrix. lengths: (seqlens_k, total_sequence_length)."""
    qkv = g.linear(x, name + ".qkv", *block.self_attn.packed())
    output = g.fresh("attention")
    g.nodes.append(
        helper.make_node(
            "GroupQueryAttention",
            [qkv, "", "", *past, *lengths, "rope.cos", "rope.sin"],
            [output, *present],
            name=g.fresh("n"),
            domain=MICROSOFT,
            num_heads=config.heads,
            kv_num_heads=config.kv_heads,
            do_rotary=1,
        )  # fmt: skip
    )
    return output


def rope(g: Graph, trunk: Trunk) -> None:
    g.constant("rope.cos", array(trunk.cos))
    g.constant("rope.sin", array(trunk.sin))


def batch_trunk(g: Graph, x: str, trunk: Trunk, lengths: str) -> str:
    """A whole trunk without a cache over right-padded rows. x: [n, t, dim]; lengths: int32 [n]."""
    c = trunk.config
    rope(g, trunk)
    one = g.constant("one", np.asarray([1], np.int32))
    seqlens = g.op("Sub", [lengths, one])
    width = g.op("Squeeze", [g.op("Shape", [x], start=1, end=2), g.integers(0)])
    total = g.op("Cast", [width], to=TensorProto.INT32)
    rows = g.op("Shape", [x], start=0, end=1)
    shape = g.op("Concat", [rows, g.integers(c.kv_heads, 0, c.head_dim)], axis=0)
    empty = g.op("Expand", [g.constant("empty", np.zeros((1, c.kv_heads, 0, c.head_dim), np.float32)), shape])
    normed = g.norm(x, "layers.0.ln1", trunk.layers[0].input_layernorm.weight, c.norm_eps)
    for i, block in enumerate(trunk.layers):
        name = f"layers.{i}"
        present = (g.fresh("unused_key"), g.fresh("unused_value"))
        heard = attention(g, normed, name, block, c, (empty, empty), (seqlens, total), present)
        heard = g.linear(heard, name + ".o", block.self_attn.o_proj.weight)
        normed, x = g.add_norm(heard, x, name + ".ln2", block.post_attention_layernorm.weight, c.norm_eps)
        out = mlp(g, normed, name, block)
        last = i + 1 == len(trunk.layers)
        weight = trunk.norm.weight if last else trunk.layers[i + 1].input_layernorm.weight
        normed, x = g.add_norm(out, x, "norm" if last else f"layers.{i + 1}.ln1", weight, c.norm_eps)
    return normed


def embed_graph(reader: Reader, accuracy_level: int | None = 4) -> onnx.ModelProto:
    """input_ids -> inputs_embeds."""
    g = Graph("embed", accuracy_level)
    ids = g.input("input_ids", TensorProto.INT64, [1, "T"])
    g.table(ids, "embed", reader.embed_tokens.weight, g.output("inputs_embeds", TensorProto.FLOAT, [1, "T", reader.config.dim]))
    return g.model()


def reader_graph(
    reader: Reader,
    logit_bias: Tensor | None = None,
    accuracy_level: int | None = 4,
    is_rounded: Callable[[str], bool] = lambda _: True,
) -> onnx.ModelProto:
    """The decoder with delta key/value outputs; only `logit_rows` pass through the last MLP and the output layer.

    `is_rounded` says by name which matrices become int8.
    """
    g, c, trunk = Graph("reader", accuracy_level, is_rounded), reader.config, reader.trunk
    x = g.input("inputs_embeds", TensorProto.FLOAT, [1, "T", c.dim])
    cache = [
        tuple(
            g.input(f"past_key_values.{i}.{kind}", TensorProto.FLOAT, [1, c.kv_heads, "S", c.head_dim])
            for kind in ("key", "value")
        )
        for i in range(c.layers)
    ]
    seqlens = g.input("seqlens_k", TensorProto.INT32, [1])
    total = g.input("total_sequence_length", TensorProto.INT32, [])
    logit_rows = g.input("logit_rows", TensorProto.INT64, ["R"])
    logits = g.output("logits", TensorProto.FLOAT, [1, "R", c.vocab_size])
    rope(g, trunk)
    end = g.op("Reshape", [g.op("Cast", [total], to=TensorProto.INT64), g.integers(1)])
    start = g.op("Sub", [end, g.op("Shape", [x], start=1, end=2)])
    normed = g.norm(x, "layers.0.ln1", trunk.layers[0].input_layernorm.weight, c.norm_eps)
    for i, block in enumerate(trunk.layers):
        name = f"layers.{i}"
        present = (g.fresh("present_key"), g.fresh("present_value"))
        heard = attention(g, normed, name, block, c, (cache[i][0], cache[i][1]), (seqlens, total), present)
        for kind, whole in zip(("key", "value"), present, strict=True):
            shape: Shape = [1, c.kv_heads, "T", c.head_dim]
            new = g.output(f"present.{i}.{kind}", TensorProto.FLOAT, shape)
            g.op("Slice", [whole, start, end, g.integers(2)], new)
        last = i + 1 == c.layers
        if last:
            heard = g.op("Gather", [heard, logit_rows], axis=1)
            x = g.op("Gather", [x, logit_rows], axis=1)
        heard = g.linear(heard, name + ".o", block.self_attn.o_proj.weight)
        normed, x = g.add_norm(heard, x, name + ".ln2", block.post_attention_layernorm.weight, c.norm_eps)
        out = mlp(g, normed, name, block)
        weight = trunk.norm.weight if last else trunk.layers[i + 1].input_layernorm.weight
        normed, x = g.add_norm(out, x, "norm" if last else f"layers.{i + 1}.ln1", weight, c.norm_eps)
    g.linear(normed, "lm_head", reader.embed_tokens.weight, logit_bias, output=logits)
    return g.model()


def encoder_graph(encoder: Encoder, accuracy_level: int | None = 4) -> onnx.ModelProto:
    """input_ids, lengths -> unit vectors."""
    g = Graph("encoder", accuracy_level)
    ids = g.input("input_ids", TensorProto.INT64, ["n", "t"])
    lengths = g.input("lengths", TensorProto.INT32, ["n"])
    vectors = g.output("vectors", TensorProto.FLOAT, ["n", encoder.config.vector_dim])
    hidden = batch_trunk(g, g.table(ids, "embed", encoder.embed_tokens.weight), encoder.trunk, lengths)
    width = g.op("Squeeze", [g.op("Shape", [ids], start=1, end=2), g.integers(0)])
    zero, one = g.constant("zero64", np.asarray(0, np.int64)), g.constant("one64", np.asarray(1, np.int64))
    place = g.op("Unsqueeze", [g.op("Range", [zero, width, one]), g.integers(0)])
    wide = g.op("Unsqueeze", [g.op("Cast", [lengths], to=TensorProto.INT64), g.integers(1)])
    valid = g.op("Unsqueeze", [g.op("Less", [place, wide]), g.integers(2)])
    # Where, not a product: what attention leaves in padded rows is not defined.
    kept = g.op("Where", [valid, hidden, g.constant("nothing", np.asarray(0, np.float32))])
    total = g.op("ReduceSum", [kept, g.integers(1)], keepdims=0)
    mean = g.op("Div", [total, g.op("Cast", [wide], to=TensorProto.FLOAT)])
    g.unit(g.linear(mean, "out", encoder.out.weight), vectors)
    return g.model()


def fuser_graph(fuser: Fuser, accuracy_level: int | None = 4) -> onnx.ModelProto:
    """children, lengths -> unit vectors."""
    g, c = Graph("fuser", accuracy_level), fuser.config
    children = g.input("children", TensorProto.FLOAT, ["n", c.branching, c.vector_dim])
    lengths = g.input("lengths", TensorProto.INT32, ["n"])
    vectors = g.output("vectors", TensorProto.FLOAT, ["n", c.vector_dim])
    scaled = g.op("Mul", [children, g.constant("root", np.asarray(c.vector_dim**0.5, np.float32))])
    hidden = batch_trunk(g, g.linear(scaled, "w_in", fuser.w_in.weight), fuser.trunk, lengths)
    last = g.op("Cast", [g.op("Sub", [lengths, "one"])], to=TensorProto.INT64)
    index = g.op("Unsqueeze", [last, g.integers(1)])
    row = g.op("GatherND", [hidden, index], batch_dims=1)
    g.unit(g.linear(row, "w_out", fuser.w_out.weight), vectors)
    return g.model()


def mean_fuser_graph(fuser: MeanFuser) -> onnx.ModelProto:
    """children, lengths -> unit vectors."""
    g = Graph("fuser")
    children = g.input("children", TensorProto.FLOAT, ["n", fuser.branching, fuser.vector_dim])
    lengths = g.input("lengths", TensorProto.INT32, ["n"])
    vectors = g.output("vectors", TensorProto.FLOAT, ["n", fuser.vector_dim])
    place = g.constant("place", np.arange(fuser.branching, dtype=np.int32)[None, :])
    valid = g.op("Unsqueeze", [g.op("Less", [place, g.op("Unsqueeze", [lengths, g.integers(1)])]), g.integers(2)])
    kept = g.op("Where", [valid, children, g.constant("nothing", np.asarray(0, np.float32))])
    g.unit(g.op("ReduceSum", [kept, g.integers(1)], keepdims=0), vectors)
    return g.model()


def behind(g: Graph, name: str, x: str, norm: nn.LayerNorm | None) -> str:
    """GELU (exact, by erf) and, where there is one, LayerNorm."""
    half = g.op("Mul", [x, g.constant(name + ".half", np.asarray(0.5, np.float32))])
    erf = g.op("Erf", [g.op("Mul", [x, g.constant(name + ".inverse_root_2", np.asarray(0.5**0.5, np.float32))])])
    gelu = g.op("Mul", [half, g.op("Add", [erf, g.constant(name + ".unity", np.asarray(1, np.float32))])])
    if norm is None:
        return gelu
    gamma, beta = g.constant(name + ".weight", array(norm.weight)), g.constant(name + ".bias", array(norm.bias))
    return g.op("LayerNormalization", [gelu, gamma, beta], axis=-1, epsilon=norm.eps)


def projector_graph(projector: Projector, accuracy_level: int | None = 4) -> onnx.ModelProto:
    """vectors -> pseudo_tokens."""
    g, c = Graph("projector", accuracy_level), projector.config
    vectors = g.input("vectors", TensorProto.FLOAT, ["n", c.vector_dim])
    rows = g.output("pseudo_tokens", TensorProto.FLOAT, ["n", c.per_node, c.reader_dim])
    scaled = g.op("Mul", [vectors, g.constant("root", np.asarray(c.vector_dim**0.5, np.float32))])
    hidden = behind(g, "norm", g.linear(scaled, "up", projector.up.weight, projector.up.bias), projector.norm)
    if c.layers == 3:
        hidden = behind(g, "mid_norm", g.linear(hidden, "mid", projector.mid.weight, projector.mid.bias), projector.mid_norm)
    down = g.linear(hidden, "down", projector.down.weight, projector.down.bias)
    g.op("Reshape", [down, g.integers(-1, c.per_node, c.reader_dim)], rows)
    return g.model()
