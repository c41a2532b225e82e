"""A trained projector -> an add-on folder, which gives a pack with the same reader the mode compressed.

    python export_addon.py --run work/projector --reader Qwen2.5-Coder-1.5B --encoder Qwen3-Embedding-0.6B --out DIR

--run is the --out of train_projector.py, or of train_end_to_end.py, whose reader/ is then --reader. The reader is named by the
sha256 of its tensors, so every pack prepared from that checkpoint fits; a pack made of a stock ONNX export has other tensors,
and is named with --pack. The encoder lies in the add-on (--encoder-format q8 or fp32) or is only named (reference): `precis
packs add` then makes it of the checkpoint. Refuses where torch and ONNX differ by more than LEAST_COSINE and EXACT.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import checkpoints
from encoder_graphs import pretrained_encoder_graph
from failures import CheckpointError, TrainingError, run_stage
from graphs import fuser_graph, mean_fuser_graph, projector_graph
from models.fuser import Fuser, MeanFuser
from models.projector import Projector
from parity import Arrays, described
from pretrained import PretrainedReader, load_reader, read_json
from pretrained_encoder import PretrainedEncoder, load_encoder
from seal import seal
from weights_digest import digest_of

LEAST_COSINE = {"fp32": 0.9999, "q8": 0.98}
"""Of the exported encoder's vectors with torch's, by the format of its matrices."""
EXACT = 2e-4
"""Largest difference of fuser and projector, as a share of the largest number: both stay float32."""
TABLE_ROWS = 64
LEAST_TABLE_COSINE = 0.98
"""Of a token's embedding in a pack, rounded to whatever it is, with the reader's own."""
LARGEST = 1_000_000_000
"""Bytes of constants inside a graph's own file; protobuf ends at 2 GB."""

DOCUMENTS = [
    "# Circle.area\ndef area(self) -> float:\n    return 3.14 * self.radius ** 2\n",
    "x",
    "",
    "void f() { a->b += *c++; } // naïve, 名前 😀\n" * 12,
]
QUERIES = ["class Circle:\n    def __init__(self, radius):\n        self.radius = ", "    \tif (a, b) ="]


class AddOnError(TrainingError):
    """An add-on that the engine could not use."""


def instruction_of(folder: Path, task: str | None) -> str:
    """What stands before a query: of the task given, else as the checkpoint's own prompts have it."""
    if task is not None:
        return f"Instruct: {task}\nQuery:"
    if not (folder / "config_sentence_transformers.json").is_file():
        return ""
    return str(read_json(folder, "config_sentence_transformers.json").get("prompts", {}).get("query", ""))


def same_checkpoint(facts: dict[str, Any], which: str, folder: Path, found: str | None) -> None:
    """Raises where the folder is not what the projector was trained with."""
    trained = facts.get(f"{which} weights")
    if trained is not None and trained != found:
        raise CheckpointError(
            f"{folder} is not the {which} this projector was trained with ({facts[which]}): its tensors differ."
        )


def checked_facts(facts: dict[str, Any], file: Path) -> dict[str, Any]:
    """Raises for prompts that the engine does not write for a Qwen reader."""
    if facts.get("order", "bare") != "bare":
        raise AddOnError(f"{file} was trained with {facts['order']} prompts; the engine reads a file as bare has it.")
    if facts.get("lengths", {}).get("entities") or facts.get("lengths", {}).get("names"):
        raise AddOnError(f"{file} was trained with entity names, which the engine does not write for an add-on.")
    return facts


def save_graph(model: onnx.ModelProto, file: Path) -> None:
    """Large constants go into a second file."""
    apart = sum(len(t.raw_data) for t in model.graph.initializer) > LARGEST
    if apart:
        onnx.save(model, file, save_as_external_data=True, location=f"{file.name}.data", size_threshold=1 << 16)
    else:
        onnx.save(model, file)


def run_graph(file: Path, inputs: Arrays) -> NDArray[np.float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def sample_of(name: str, file: Path, inputs: Arrays, expected: NDArray[np.float32]) -> dict[str, Any]:
    """A sample of a parity file, with torch's answer; raises where ONNX gives another."""
    tolerance = EXACT * float(np.abs(expected).max())
    found = float(np.abs(run_graph(file, inputs) - expected).max())
    if not found <= tolerance:
        raise AddOnError(f"{name}: torch and ONNX differ by {found:.2e}, more than {tolerance:.2e}. Nothing was exported.")
    output = {"fuser": "vectors", "projector": "pseudo_tokens"}[name]
    return {"inputs": described(inputs), "outputs": described({output: expected}), "tolerance": tolerance}


def text_samples(encoder: PretrainedEncoder, instruction: str) -> list[dict[str, Any]]:
    """Texts with torch's vectors, one by one, so that none hangs on padding."""
    kinds = [("document", t, t) for t in DOCUMENTS] + [("query", t, instruction + t) for t in QUERIES]
    return [
        {"kind": kind, "text": text, "vector": np.round(encoder.encode([whole])[0], 6).tolist()} for kind, text, whole in kinds
    ]


def least_cosine(file: Path, encoder: PretrainedEncoder, instruction: str, samples: list[dict[str, Any]]) -> float:
    """Of the exported encoder's vectors with those of the samples."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    found = []
    for sample in samples:
        ids = encoder.ids((instruction if sample["kind"] == "query" else "") + sample["text"]) or [encoder.pad]
        feeds = {"input_ids": np.asarray([ids], np.int64), "lengths": np.asarray([len(ids)], np.int32)}
        found.append(float(session.run(None, feeds)[0][0] @ np.asarray(sample["vector"], np.float32)))
    return min(found)


def small_vectors(count: int, dim: int) -> torch.Tensor:
    return F.normalize(torch.from_numpy(np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)), dim=-1)


@torch.no_grad()
def graph_samples(out: Path, fuser: Fuser | MeanFuser, projector: Projector) -> dict[str, Any]:
    """Samples of fuser and projector."""
    dim, b = projector.config.vector_dim, fuser.branching if isinstance(fuser, MeanFuser) else fuser.config.branching
    children = small_vectors(3 * b, dim).view(3, b, dim)
    lengths = torch.tensor([b, 3, 1], dtype=torch.int32)
    fused = {"children": children.numpy(), "lengths": lengths.numpy()}
    vectors = small_vectors(3, dim)
    return {
        "fuser": [sample_of("fuser", out / "fuser.onnx", fused, fuser(children, lengths).numpy())],
        "projector": [sample_of("projector", out / "projector.onnx", {"vectors": vectors.numpy()}, projector(vectors).numpy())],
    }


def weights_of_pack(folder: Path, reader: PretrainedReader) -> str:
    """What a pack says of its reader's weights; raises where its token table is not that of `reader`, up to rounding."""
    manifest = read_json(folder, "pack.json")
    weights = manifest.get("reader", {}).get("weights")
    if weights is None:
        raise AddOnError(f"{folder} does not say what its reader was made of. Prepare the pack again.")
    rows = reader.table.weight.detach().float().numpy()
    ids = np.random.default_rng(0).permutation(min(len(rows), int(manifest["tokenizer"]["vocabSize"])))[:TABLE_ROWS]
    found = run_graph(folder / manifest["embed"]["file"], {"input_ids": ids[None].astype(np.int64)})[0]
    same = found.shape[-1] == rows.shape[-1]
    cosine = min(unit(found[i]) @ unit(rows[k]) for i, k in enumerate(ids)) if same else 0.0
    if not cosine >= LEAST_TABLE_COSINE:
        raise AddOnError(f"{folder} has another reader than {reader.name}: a token's embeddings have cosine {cosine:.3f}.")
    return str(weights)


def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x / max(float(np.linalg.norm(x)), 1e-9)


def names_of(encoder: PretrainedEncoder, ids: list[int]) -> list[str]:
    return [str(encoder.tokenizer.id_to_token(i)) for i in ids]


def encoder_facts(encoder: PretrainedEncoder, modality: str, instruction: str, digest: str | None) -> dict[str, Any]:
    """What the manifest says of the encoder, its files left out."""
    around = {"before": names_of(encoder, encoder.before), "after": names_of(encoder, encoder.after)}
    return {
        "name": encoder.name,
        **({} if digest is None else {"weights": digest}),
        "modality": modality,
        "pooling": encoder.pooling,
        "maxTokens": encoder.max_tokens,
        "vectorDim": encoder.dim,
        **{key: value for key, value in around.items() if value},
        **({"instruction": instruction} if instruction else {}),
    }


def model_card(title: str, facts: dict[str, Any], manifest: dict[str, Any], cosine: float | None) -> str:
    """Markdown."""
    encoder, projector = manifest["encoder"], manifest["projector"]
    held = "held in this folder" if "file" in encoder else "not held here: `precis packs add` makes it of the checkpoint"
    parity = "" if cosine is None else f" The exported encoder's vectors have cosine {cosine:.5f} or more with torch's."
    trained = "A projector between a frozen encoder and a frozen reader, trained by `train_projector.py` as in LlavaCode"
    if str(facts.get("regime", "")).startswith("HEF"):
        trained = (
            f"A projector and the reader trained together by `train_end_to_end.py` ({facts['regime']}), the encoder frozen"
        )
    lines = "\n".join(f"- {key}: {json.dumps(value)}" for key, value in facts.items())
    return f"""# {title}

{trained}. With it, Precis gives
the reader retrieved code as {manifest["pseudoTokens"]} pseudo-tokens at most, in place of text.

- Reader: {manifest["reader"]["name"]}, whatever format a pack has it in
- Encoder: {encoder["name"]}, {held}
- Projector: {projector["perNode"]} pseudo-tokens a node, from vectors of {", ".join(projector["levels"])}
- Licence: {manifest["licence"]}

Fuser and projector are float32; torch and ONNX differ by {EXACT} of the largest number at most.{parity}

## Training

{lines}

## Limits

Made for this reader and this encoder alone; both are checked by the sha256 of their tensors.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run", type=Path, required=True, help="--out of train_projector.py or train_end_to_end.py")
    add("--reader", type=Path, required=True, help="the checkpoint folder it was trained for; reader/ of train_end_to_end.py")
    add("--encoder", type=Path, required=True, help="the checkpoint folder it was trained with")
    add("--pack", type=Path, nargs="+", default=[], help="packs of the same reader that were made of stock ONNX exports")
    add("--fuser", type=Path, help="a fuser.pt for this encoder; default: that of --run, else the mean of the children")
    add("--out", type=Path, required=True, help="the add-on's folder; its name is the add-on's id")
    add("--encoder-format", choices=["reference", "q8", "fp32"], default="q8", help="its matrices; reference: only named")
    add("--encoder-tokens", type=int, default=512, help="longest text it reads")
    add("--instruction", help="task that queries name, in place of that of the encoder's own prompts")
    levels = ["chunk", "file", "directory", "repository"]
    add(
        "--levels",
        nargs="+",
        choices=levels,
        help="default: as trained; of train_projector.py chunk, or all with --fuser",
    )
    add("--chunk-tokens", type=int, default=160, help="longest chunk, as the samples were cut")
    add("--pseudo-tokens", type=int, help="K; default: those of as many contexts as in training")
    add("--version", default="0.1.0")
    add("--licence", default="unknown", help="SPDX identifier of the projector's weights")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    file = args.run / "projector.pt"
    projector, facts = checkpoints.read_projector(file)
    facts = checked_facts(facts, file)
    weights, encoder_weights = digest_of(args.reader), digest_of(args.encoder)
    if weights is None:
        raise CheckpointError(f"{args.reader} has no safetensors, by which a pack's reader is known.")
    same_checkpoint(facts, "reader", args.reader, weights)
    same_checkpoint(facts, "encoder", args.encoder, encoder_weights)
    encoder = load_encoder(args.encoder, max_tokens=args.encoder_tokens)
    reader_dim = int(read_json(args.reader, "config.json")["hidden_size"])
    checkpoints.same_shapes(projector.config, encoder.dim, reader_dim, file)
    trained_fuser = args.run / "fuser.pt"
    chosen = args.fuser or (trained_fuser if trained_fuser.is_file() else None)
    fuser = MeanFuser(encoder.dim) if chosen is None else checkpoints.read_fuser(chosen, encoder.dim)
    packs = [weights_of_pack(folder, load_reader(args.reader)) for folder in args.pack]
    if args.encoder_format == "reference" and encoder_weights is None:
        raise AddOnError(f"{args.encoder} has no safetensors, so it cannot be named by them: use --encoder-format q8.")

    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.iterdir():
        old.unlink()
    mean = isinstance(fuser, MeanFuser)
    save_graph(mean_fuser_graph(fuser) if isinstance(fuser, MeanFuser) else fuser_graph(fuser, None), args.out / "fuser.onnx")
    save_graph(projector_graph(projector.eval(), None), args.out / "projector.onnx")
    instruction = instruction_of(args.encoder, args.instruction)
    described_encoder = encoder_facts(encoder, facts.get("modality", "text"), instruction, encoder_weights)
    texts = text_samples(encoder, instruction)
    cosine: float | None = None
    if args.encoder_format != "reference":
        level = None if args.encoder_format == "fp32" else 4
        save_graph(pretrained_encoder_graph(encoder, level), args.out / "encoder.onnx")
        encoder.tokenizer.save(str(args.out / "encoder.tokenizer.json"))
        described_encoder |= {"file": "encoder.onnx", "tokenizer": "encoder.tokenizer.json"}
        cosine = least_cosine(args.out / "encoder.onnx", encoder, instruction, texts)
        least = LEAST_COSINE[args.encoder_format]
        if not cosine >= least:
            raise AddOnError(f"encoder: torch and ONNX have cosine {cosine:.5f}, less than {least}. Nothing was exported.")
    parity = {"leastCosine": LEAST_COSINE.get(args.encoder_format, 0.9999), "texts": texts}
    parity |= graph_samples(args.out, fuser, projector)
    (args.out / "parity.json").write_text(json.dumps(parity) + "\n")
    c = projector.config
    trained_on = ["chunk", *(["file"] if facts["files"] else [])] if "files" in facts else None
    levels = args.levels or trained_on or (["chunk"] if mean else ["chunk", "file", "directory", "repository"])
    title = f"Projector from {encoder.name} to {args.reader.name}"
    manifest: dict[str, Any] = {
        "schemaVersion": 1, "id": args.out.name, "version": args.version, "title": title, "licence": args.licence,
        "modelCard": "MODEL_CARD.md", "files": {},
        "reader": {"name": args.reader.name, "readerDim": c.reader_dim, "weights": list(dict.fromkeys([weights, *packs]))},
        "encoder": described_encoder,
        "chunking": {"version": 1, "maxTokens": args.chunk_tokens},
        "fuser": {
            "file": "fuser.onnx", "vectorDim": c.vector_dim,
            "branching": fuser.branching if isinstance(fuser, MeanFuser) else fuser.config.branching,
        },
        "projector": {
            "file": "projector.onnx", "perNode": c.per_node, "vectorDim": c.vector_dim, "readerDim": c.reader_dim,
            "levels": levels,
        },
        "pseudoTokens": args.pseudo_tokens or c.per_node * (int(facts.get("contexts", 10)) + int(facts.get("files", 0))),
        "quantisation": f"fuser and projector float32, encoder {args.encoder_format}",
        "parity": "parity.json", "training": facts,
    }  # fmt: skip
    (args.out / "MODEL_CARD.md").write_text(model_card(title, facts, manifest, cosine))
    seal(args.out, manifest, "addon.json")
    total = sum(f.stat().st_size for f in args.out.iterdir())
    print(f"{args.out.name}: {total / 1e6:.2f} MB, for {args.reader.name}")
    if cosine is not None:
        print(f"  encoder: cosine of torch's and ONNX's vectors at least {cosine:.6f}")


if __name__ == "__main__":
    run_stage(main)
