"""A pack -> line-completion quality in the three modes, straight from Python: a quick look while training.

    python probe.py --pack DIR --tasks tasks.jsonl --repos DIR --limit 150 --modes none full compressed

The engine's own `precis eval` is what counts: this one retrieves by Jaccard similarity alone.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from chunks import Chunk, JaccardIndex, cut, from_engine, identifiers
from failures import run_stage
from samples import Budget, Sample, context_ids, encode, prompt_ids, window
from tokenizer import read_tokenizer


@dataclass
class Pack:
    """Sessions and facts of a pack folder."""

    manifest: dict[str, dict[str, int]]
    sessions: dict[str, ort.InferenceSession]
    tokenizer: Tokenizer


def load(folder: Path, threads: int) -> Pack:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    names = ("embed", "encoder", "projector", "reader")
    cpu = ["CPUExecutionProvider"]
    sessions = {n: ort.InferenceSession(str(folder / f"{n}.onnx"), options, providers=cpu) for n in names}
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    return Pack(json.loads((folder / "pack.json").read_text()), sessions, tokenizer)


def complete(pack: Pack, ids: list[int], rows: np.ndarray, count: int, stop: set[int]) -> str:
    """Greedy text up to the end of its first line. rows: pseudo-tokens [k, readerDim]."""
    c = pack.manifest["reader"]
    shape = (1, c["kvHeads"], 0, c["headDim"])
    past = [np.zeros(shape, np.float32)] * (2 * c["layers"])
    step, read, out = ids, 0, list[int]()
    while len(out) < count:
        x = pack.sessions["embed"].run(None, {"input_ids": np.asarray([step], np.int64)})[0]
        if read == 0 and len(rows):
            x = np.concatenate((rows[None], x), axis=1)
        T = x.shape[1]
        feeds = {
            "inputs_embeds": x,
            "seqlens_k": np.asarray([read + T - 1], np.int32),
            "total_sequence_length": np.asarray(read + T, np.int32),
            "logit_rows": np.asarray([T - 1], np.int64),
        }
        for i in range(c["layers"]):
            feeds[f"past_key_values.{i}.key"], feeds[f"past_key_values.{i}.value"] = past[2 * i], past[2 * i + 1]
        result = pack.sessions["reader"].run(None, feeds)
        read += T
        past = [np.concatenate((p, new), axis=2) for p, new in zip(past, result[1:], strict=True)]
        best = int(result[0][0, -1].argmax())
        if best in stop:
            break
        out.append(best)
        step = [best]
        text = pack.tokenizer.decode(out)
        if text.strip() and "\n" in text.lstrip():
            break
    lines = [line for line in pack.tokenizer.decode(out).split("\n") if line.strip()]
    return lines[0] if lines else ""


def similarity(a: str, b: str) -> float:
    """1 - Levenshtein distance / longer length."""
    if not a and not b:
        return 1.0
    row = list(range(len(b) + 1))
    for i, ch in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (ch != other))
    return 1.0 - row[-1] / max(len(a), len(b))


def vectors_of(pack: Pack, chunks: list[Chunk]) -> np.ndarray:
    """[n, vectorDim]."""
    limit = pack.manifest["encoder"]["maxTokens"]
    out = []
    for chunk in chunks:
        ids = encode(pack.tokenizer, chunk.encoder_text or chunk.text)[:limit]
        feeds = {"input_ids": np.asarray([ids], np.int64), "lengths": np.asarray([len(ids)], np.int32)}
        out.append(pack.sessions["encoder"].run(None, feeds)[0][0])
    return np.stack(out)


def repository_index(folder: Path, engine_chunks: Path | None) -> JaccardIndex:
    """Every chunk of a repository, from the engine's export where there is one."""
    if engine_chunks is not None:
        exported = engine_chunks / f"{folder.name}.jsonl"
        return JaccardIndex([from_engine(json.loads(line)) for line in exported.read_text().splitlines()])
    files = sorted(folder.rglob("*.py"))
    return JaccardIndex([c for f in files for c in cut(str(f.relative_to(folder)), f.read_text(errors="replace"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--chunks", type=Path, help="folder of the engine's chunk exports, one REPOSITORY.jsonl each")
    parser.add_argument("--modes", nargs="+", default=["none", "full", "compressed"])
    parser.add_argument("--orders", nargs="+", default=["spm"])
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", type=int, default=0, help="completions printed")
    args = parser.parse_args()

    pack = load(args.pack, args.threads)
    tasks = [t for t in map(json.loads, args.tasks.read_text().splitlines()) if t["origin"] == "made"]
    random.Random(0).shuffle(tasks)
    tasks = tasks[: args.limit]
    stop = {pack.tokenizer.token_to_id(t) for t in pack.manifest["prompt"]["stopTokens"]}  # type: ignore[union-attr]
    indexes = {r: repository_index(args.repos / r, args.chunks) for r in sorted({t["repo"] for t in tasks})}
    nodes = pack.manifest["prompt"]["budget"]["pseudoTokens"] // pack.manifest["projector"]["perNode"]  # type: ignore[index]
    nothing = np.zeros((0, pack.manifest["reader"]["readerDim"]), np.float32)
    scores: dict[str, list[tuple[float, float]]] = {}
    for number, task in enumerate(tasks):
        lines = (args.repos / task["repo"] / task["path"]).read_text().split("\n")
        prefix = "".join(line + "\n" for line in lines[: task["line"]])
        suffix = "\n".join(lines[task["line"] + 1 :])
        found = [c for _, c in indexes[task["repo"]].search(identifiers(window(prefix, suffix)), task["path"], 24)]
        sample = Sample(task["repo"], task["path"], prefix, "", suffix, found[::-1])
        for mode in args.modes:
            for order in args.orders:
                head = context_ids(pack.tokenizer, sample.retrieved, Budget().context) if mode == "full" else []
                rows = nothing
                if mode == "compressed" and found:
                    vectors = vectors_of(pack, found[:nodes][::-1])
                    rows = pack.sessions["projector"].run(None, {"vectors": vectors})[0].reshape(-1, nothing.shape[1])
                text = complete(pack, head + prompt_ids(pack.tokenizer, sample, order, Budget()), rows, 48, stop).strip()
                target = task["target"].strip()
                scores.setdefault(f"{mode} {order}", []).append((float(text == target), similarity(text, target)))
                if number < args.show:
                    print(f"{mode:>10} {order} | {target[:70]:70} | {text[:70]}")
    for name, values in scores.items():
        em, es = np.asarray(values).mean(axis=0) * 100
        print(f"{name}: n {len(values)}, EM {em:.1f}, ES {es:.1f}")


if __name__ == "__main__":
    run_stage(main)
