"""Torch against ONNX: the check an export must pass, and the samples the engine repeats on the user's machine."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

import graphs
import quantise
from failures import TrainingError
from models.encoder import Encoder
from models.fuser import Fuser
from models.projector import Projector
from models.reader import Reader
from tokenizer import END_OF_TEXT

Arrays = dict[str, NDArray[np.generic]]
EXACT = 2e-4
"""Largest difference allowed with float32 activations: only the order of sums may differ."""
TOLERANCE = {"embed": 1e-5, "encoder": 0.05, "fuser": 0.05, "projector": 0.2, "reader": 0.6}
"""Largest difference allowed as shipped, where activations are rounded to int8 in blocks. Absolute."""
DTYPES = {"float32": "float32", "int64": "int64", "int32": "int32"}


@dataclass(frozen=True)
class Family:
    """The four models of a pack, with weights as exported (rounded), and its tokenizer."""

    reader: Reader
    encoder: Encoder
    fuser: Fuser
    projector: Projector
    tokenizer: Tokenizer
    end_bias: float = 0.0
    """Added to the logit of the end of text in the exported reader."""

    def logit_bias(self) -> torch.Tensor:
        bias = torch.zeros(self.reader.config.vocab_size)
        bias[self.tokenizer.token_to_id(END_OF_TEXT)] = self.end_bias
        return bias


@torch.no_grad()
def rounded(model: nn.Module) -> nn.Module:
    """Every matrix replaced by what its int8 form stands for.

    The reader's table stays: it is rounded by rows where tokens are looked up and by blocks in the output layer.
    """
    for name, parameter in model.named_parameters():
        if name == "embed_tokens.weight":
            if isinstance(model, Encoder):
                parameter.copy_(torch.from_numpy(quantise.through_rows(graphs.array(parameter))))
        elif parameter.ndim == 2:
            parameter.copy_(torch.from_numpy(quantise.through_blocks(graphs.array(parameter))))
    return model


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def reader_inputs(reader: Reader, embeds: NDArray[np.float32], past: list[NDArray[np.float32]], read: int) -> Arrays:
    """Feeds for the next rows of a sequence of which `read` rows are in `past`; logits for every row."""
    T = embeds.shape[1]
    feeds: Arrays = {
        "inputs_embeds": embeds,
        "seqlens_k": np.asarray([read + T - 1], np.int32),
        "total_sequence_length": np.asarray(read + T, np.int32),
        "logit_rows": np.arange(T, dtype=np.int64),
    }
    for i in range(reader.config.layers):
        feeds[f"past_key_values.{i}.key"], feeds[f"past_key_values.{i}.value"] = past[2 * i], past[2 * i + 1]
    return feeds


def empty_past(reader: Reader, rows: int = 0) -> list[NDArray[np.float32]]:
    c = reader.config
    return [np.zeros((1, c.kv_heads, rows, c.head_dim), np.float32) for _ in range(2 * c.layers)]


def read_in_pieces(
    run: ort.InferenceSession, reader: Reader, embeds: NDArray[np.float32], pieces: list[int], capacity: int
) -> NDArray[np.float32]:
    """Logits [T, V] of a sequence read piece by piece into a cache of `capacity` rows (0: exactly as long as needed)."""
    past, read, out = empty_past(reader, capacity), 0, []
    for size in pieces:
        result = run.run(None, reader_inputs(reader, embeds[:, read : read + size], past, read))
        out.append(result[0][0])
        for k, new in enumerate(result[1:]):
            if capacity:
                past[k][:, :, read : read + size] = new
            else:
                past[k] = np.concatenate((past[k], new), axis=2)
        read += size
    return np.concatenate(out)


def samples(family: Family) -> dict[str, list[Arrays]]:
    """Small inputs for every graph."""
    rng = np.random.default_rng(0)
    text = "# app/shapes.py\nclass Circle:\n    def area(self):\n        return 3.14 * self.radius ** 2\n"
    ids = np.asarray([family.tokenizer.encode(text).ids], np.int64)
    n, b, d = ids.shape[1], family.fuser.config.branching, family.fuser.config.vector_dim
    pair = np.zeros((2, n), np.int64)
    pair[0], pair[1, : n // 2] = ids[0], ids[0, : n // 2]
    vectors = rng.standard_normal((3, b, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    with torch.no_grad():
        embeds = family.reader.embed_tokens(torch.from_numpy(ids)).numpy()
    rows = reader_inputs(family.reader, embeds, empty_past(family.reader), 0)
    rows["logit_rows"] = np.asarray([n - 1], np.int64)
    return {
        "embed": [{"input_ids": ids}],
        "encoder": [{"input_ids": pair, "lengths": np.asarray([n, n // 2], np.int32)}],
        "fuser": [{"children": vectors, "lengths": np.asarray([b, 3, 1], np.int32)}],
        "projector": [{"vectors": vectors[:, 0]}],
        "reader": [rows],
    }


@torch.no_grad()
def expected(family: Family, graph: str, inputs: Arrays) -> NDArray[np.float32]:
    """The first output of a graph as torch computes it."""
    feeds = {k: torch.from_numpy(v) for k, v in inputs.items()}
    if graph == "embed":
        return quantise.through_rows(graphs.array(family.reader.embed_tokens.weight))[inputs["input_ids"]]
    if graph == "encoder":
        return family.encoder(feeds["input_ids"], feeds["lengths"]).numpy()
    if graph == "fuser":
        return family.fuser(feeds["children"], feeds["lengths"]).numpy()
    if graph == "projector":
        return family.projector(feeds["vectors"]).numpy()
    hidden = family.reader.hidden(feeds["inputs_embeds"])[:, feeds["logit_rows"]]
    head = torch.from_numpy(quantise.through_blocks(graphs.array(family.reader.embed_tokens.weight)))
    return (hidden @ head.T + family.logit_bias()).numpy()


def build(family: Family, accuracy_level: int) -> dict[str, onnx.ModelProto]:
    """The five graphs of a pack."""
    return {
        "embed": graphs.embed_graph(family.reader),
        "encoder": graphs.encoder_graph(family.encoder, accuracy_level),
        "fuser": graphs.fuser_graph(family.fuser, accuracy_level),
        "projector": graphs.projector_graph(family.projector, accuracy_level),
        "reader": graphs.reader_graph(family.reader, family.logit_bias(), accuracy_level),
    }


class ParityError(TrainingError):
    """Torch and ONNX do not say the same."""


def check(family: Family, models: dict[str, onnx.ModelProto], exact: bool) -> dict[str, float]:
    """Largest absolute difference of every graph; raises when one is out of tolerance or depends on how it was read."""
    found: dict[str, float] = {}
    for name, cases in samples(family).items():
        run = session(models[name])
        for inputs in cases:
            got = run.run(None, inputs)[0]
            # Unlike Python's `max`, it keeps NaN.
            found[name] = float(np.maximum(found.get(name, 0.0), np.abs(got - expected(family, name, inputs)).max()))
        limit = EXACT if exact else TOLERANCE[name]
        if not found[name] <= limit:
            raise ParityError(f"{name}: torch and ONNX differ by {found[name]:.4f}, more than {limit}. Nothing was exported.")
        if name == "reader":
            embeds = np.asarray(cases[0]["inputs_embeds"], np.float32)
            n = embeds.shape[1]
            whole = read_in_pieces(run, family.reader, embeds, [n], 0)
            for pieces, capacity in (([7, 1, n - 8], 0), ([n - 3, 3], n + 9), ([1] * n, n + 5)):
                apart = float(np.abs(read_in_pieces(run, family.reader, embeds, pieces, capacity) - whole).max())
                found["reader pieces"] = max(found.get("reader pieces", 0.0), apart)
                if not apart <= limit:
                    raise ParityError(f"reader: pieces {pieces[:3]} with capacity {capacity} differ by {apart:.4f}.")
    return found


def described(values: Arrays, digits: int | None = None) -> dict[str, dict[str, object]]:
    """Arrays as JSON."""
    return {
        name: {
            "shape": list(v.shape),
            "dtype": DTYPES[str(v.dtype)],
            "data": (np.round(v, digits) if digits and v.dtype == np.float32 else v).flatten().tolist(),
        }
        for name, v in values.items()
    }


def greedy(family: Family, models: dict[str, onnx.ModelProto], prompt: list[int], count: int, stop: set[int]) -> list[int]:
    """Greedy continuation by the exported graphs, the stop token left out."""
    embed, run = session(models["embed"]), session(models["reader"])
    past, read, step, out = empty_past(family.reader), 0, prompt, []
    while len(out) < count:
        rows = embed.run(None, {"input_ids": np.asarray([step], np.int64)})[0]
        feeds = reader_inputs(family.reader, rows, past, read)
        feeds["logit_rows"] = np.asarray([len(step) - 1], np.int64)
        result = run.run(None, feeds)
        read += len(step)
        past = [np.concatenate((p, new), axis=2) for p, new in zip(past, result[1:], strict=True)]
        best = int(result[0][0, -1].argmax())
        if best in stop:
            break
        out.append(best)
        step = [best]
    return out


def recorded(family: Family, models: dict[str, onnx.ModelProto], prompt: list[int], stop: set[int]) -> dict[str, object]:
    """The content of parity.json: what the shipped graphs gave here."""
    texts = ["def f(x):\n    return x\n", "a  =\t1 # é🙂\r\n", "class A(B):\n\n    pass", "<|file_sep|>a/b.py\n"]
    content: dict[str, object] = {
        "tokenizer": [{"text": t, "ids": family.tokenizer.encode(t).ids} for t in texts],
        "greedy": {"prompt": prompt, "continuation": greedy(family, models, prompt, 24, stop)},
    }
    for name, cases in samples(family).items():
        run = session(models[name])
        content[name] = [
            {
                "inputs": described(inputs),
                "outputs": described({run.get_outputs()[0].name: run.run(None, inputs)[0]}, 5),
                "tolerance": TOLERANCE[name],
            }
            for inputs in cases
        ]
    return content
