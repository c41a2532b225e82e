"""How often the shipped reader's best next token is its float32 weights' best, over held-out samples.

    python agreement.py --run DIR --pack DIR --samples DIR... [--positions 6000] [--parts]

`--samples` are folders of samples.py. A position counts where the reader writes: from the prompt's last token to the middle's
end. `--parts` rounds one kind of matrix at a time and says what each costs alone.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

import graphs
from checkpoints import load_reader
from failures import CheckpointError, CorpusError, run_stage
from models.reader import Reader
from parity import empty_past, reader_inputs, session
from samples import END, MIDDLE

PARTS = ("embed", "qkv", "o", "gate", "up", "down", "lm_head")
"""Kinds of matrices, by a part of their name in the graph."""
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Text:
    """Token ids of a sample, and the rows whose logits choose what the reader writes."""

    ids: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass
class Agreement:
    """Of two readers over the same positions."""

    positions: int = 0
    same: int = 0
    close: int = 0
    """Positions whose best token of one reader is among the other's best two."""
    leads: float = 0.0
    """Sum of the float32 reader's leads (best logit less the second) where they differ."""
    error: float = 0.0
    """Sum of the largest difference of a logit at each position."""

    def add(self, exact: Logits, other: Logits) -> None:
        best = np.argpartition(-exact, 1, axis=-1)[:, :2]
        values = np.take_along_axis(exact, best, -1)
        lead = np.abs(values[:, 0] - values[:, 1])
        first, own = exact.argmax(-1), other.argmax(-1)
        same = first == own
        self.positions += len(exact)
        self.same += int(same.sum())
        self.close += int((best == own[:, None]).any(-1).sum())
        self.leads += float(lead[~same].sum())
        self.error += float(np.abs(exact - other).max(-1).sum())

    def described(self) -> str:
        differ = max(self.positions - self.same, 1)
        return (
            f"{100 * self.same / self.positions:.2f} % the same best token, {100 * self.close / self.positions:.2f} % "
            f"among the best two; where they differ float32 leads by {self.leads / differ:.3f} on average; a position's "
            f"logits differ by {self.error / self.positions:.3f} at most"
        )


def texts(folders: list[Path], positions: int, longest: int) -> Iterator[Text]:
    """Samples of every folder in turn, until they hold as many positions. Raises CorpusError where they hold fewer."""
    parts = [
        [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "classes", "offsets")] for folder in folders
    ]
    found = 0
    for n in range(max(len(offsets) for _, _, offsets in parts) - 1):
        for tokens, classes, offsets in parts:
            if n + 1 >= len(offsets):
                continue
            place = slice(int(offsets[n]), int(offsets[n + 1]))
            written = np.flatnonzero(np.isin(classes[place], (MIDDLE, END)))
            if len(written) == 0 or written[0] == 0 or place.stop - place.start > longest:
                continue
            # A token is chosen by the row before it.
            yield Text(np.asarray(tokens[place], np.int64), written - 1)
            found += len(written)
            if found >= positions:
                return
    raise CorpusError(f"the samples hold {found} positions; write more with samples.py, or ask for fewer with --positions.")


def reading(reader: Reader, embed: onnx.ModelProto, decoder: onnx.ModelProto) -> Callable[[Text], Logits]:
    """Runs both graphs; answers the logits `[rows, V]`."""
    rows, run = session(embed), session(decoder)

    def read(text: Text) -> Logits:
        embeds = rows.run(None, {"input_ids": text.ids[None]})[0]
        feeds = reader_inputs(reader, embeds, empty_past(reader), 0) | {"logit_rows": text.rows}
        return run.run(["logits"], feeds)[0][0]

    return read


def bias_of(decoder: onnx.ModelProto, vocab_size: int) -> torch.Tensor:
    """What an exported reader adds to its logits."""
    for constant in decoder.graph.initializer:
        if constant.name == "lm_head.b":
            return torch.from_numpy(numpy_helper.to_array(constant).copy())
    return torch.zeros(vocab_size)


def of_part(part: str) -> Callable[[str], bool]:
    return lambda name: part in name.split(".")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the run the pack was exported from")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="folders of samples.py")
    parser.add_argument("--positions", type=int, default=6000)
    parser.add_argument("--parts", action="store_true", help="what each kind of matrix costs alone")
    args = parser.parse_args()

    reader, _ = load_reader(args.run)
    config = json.loads((args.pack / "pack.json").read_text())["reader"]
    if (config["readerDim"], config["layers"]) != (reader.config.dim, reader.config.layers):
        raise CheckpointError(f"{args.pack} was not exported from {args.run}: its reader has another shape.")
    shipped = onnx.load(args.pack / "embed.onnx"), onnx.load(args.pack / "reader.onnx")
    bias = bias_of(shipped[1], reader.config.vocab_size)
    exact = reading(reader, graphs.embed_graph(reader, None), graphs.reader_graph(reader, bias, None))
    others = {"as shipped": reading(reader, *shipped)}
    if args.parts:
        for part in PARTS:
            keep = of_part(part)
            others[f"{part} alone"] = reading(
                reader,
                graphs.embed_graph(reader, 4 if part == "embed" else None),
                graphs.reader_graph(reader, bias, 4, keep),
            )
    found = {name: Agreement() for name in others}
    for text in texts(args.samples, args.positions, config["maxTokens"]):
        logits = exact(text)
        for name, read in others.items():
            found[name].add(logits, read(text))
    print(f"{found['as shipped'].positions} positions")
    for name, agreement in found.items():
        print(f"  {name}: {agreement.described()}")


if __name__ == "__main__":
    run_stage(main)
