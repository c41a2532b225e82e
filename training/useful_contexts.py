"""HEF's filter: contexts that make the middle likelier under a frozen reference reader (HEF, section 3.7).

    python useful_contexts.py --reader DIR --samples FILE --out FILE

UWL = σ(log p(y|x,c) − log p(y|x)); a context stays at 0.55 or more, a sample while it has one. `--keep-all` writes the
scores and keeps everything; `--harmful` keeps the samples whose contexts all lower the likelihood (HEF, table 5). Killed and
started again, it goes on behind the last sample it wrote.
"""

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch

from failures import CorpusError, run_stage
from fim_samples import FimSample, read_samples
from losses import token_log_probs
from pretrained import PretrainedReader, load_reader
from sequences import (
    Lengths,
    add_lengths,
    lengths_of,
    middle_ids,
    padded,
    prompt_ids,
    right_padded,
    target_logits,
    text_ids,
)
from steps import shown

THRESHOLD = 0.55


@torch.no_grad()
def log_likelihoods(reader: PretrainedReader, prompts: list[list[int]], middles: list[list[int]], batch: int) -> list[float]:
    """log p(middle | prompt) of each pair, summed over its tokens, nats; prompts of like length go together."""
    found = [0.0] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(middles[i]))
    device = reader.table.weight.device
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        ids, mask = right_padded([middles[i] for i in part], device)
        logits = target_logits(reader, padded([(0, prompts[i]) for i in part], reader.end, device), None, ids, mask)
        sums = (token_log_probs(logits, ids) * mask).sum(1)
        for i, value in zip(part, sums.tolist(), strict=True):
            found[i] = value
    return found


def score(reader: PretrainedReader, samples: list[FimSample], lengths: Lengths, count: int, batch: int) -> None:
    """Fills `uwl` of the first `count` contexts of each sample, batched over samples and contexts."""
    prompts: list[list[int]] = []
    middles: list[list[int]] = []
    for sample in samples:
        prompt, middle = prompt_ids(reader.tokenizer, sample, reader.order, lengths), middle_ids(reader, sample, lengths)
        with_each = [text_ids(reader.tokenizer, [c], lengths.context) for c in sample.contexts[:count]]
        prompts += [prompt, *(text + prompt for text in with_each)]
        middles += [middle] * (1 + len(with_each))
    found = iter(log_likelihoods(reader, prompts, middles, batch))
    for sample in samples:
        alone = next(found)
        for context in sample.contexts[:count]:
            gain = next(found) - alone
            context.uwl = 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, gain))))


def kept(sample: FimSample, threshold: float, keep_all: bool, harmful: bool) -> FimSample | None:
    """The sample with the contexts that stay, or None where none does."""
    scored = [c for c in sample.contexts if c.uwl is not None]
    if harmful:
        sample.contexts = scored
        return sample if scored and all(c.uwl is not None and c.uwl < 0.5 for c in scored) else None
    if not keep_all:
        scored = [c for c in scored if c.uwl is not None and c.uwl >= threshold]
    sample.contexts = scored
    return sample if scored else None


def done_before(marks: Path, out: Path) -> int:
    """Samples already scored; `out` is cut to what belongs to them, for a kill may come between the two files."""
    if not (marks.is_file() and out.is_file()):
        return 0
    mark = json.loads(marks.read_text())
    with out.open("r+b") as file:
        file.truncate(mark["bytes"])
    return int(mark["samples"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reader", type=Path, required=True, help="the frozen reference reader")
    add("--samples", type=Path, required=True)
    add("--out", type=Path, required=True)
    add("--threshold", type=float, default=THRESHOLD)
    add("--contexts", type=int, default=10, help="contexts of a sample that are scored; others are dropped")
    add("--batch", type=int, default=16, help="sequences at once")
    add("--keep-all", action="store_true")
    add("--harmful", action="store_true")
    add("--precision", choices=["float32", "bfloat16"], help="of the reader; default bfloat16 on a GPU")
    add_lengths(parser)
    args = parser.parse_args()

    samples = read_samples(args.samples)
    precision = args.precision or ("bfloat16" if torch.cuda.is_available() else "float32")
    reader = load_reader(args.reader, {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision])
    reader.model.to("cuda" if torch.cuda.is_available() else "cpu")
    lengths = lengths_of(args, reader)
    marks = args.out.with_suffix(".done.json")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    first = done_before(marks, args.out)
    began = said = time.monotonic()
    with args.out.open("a" if first else "w") as out:
        for start in range(first, len(samples), 8):
            part = samples[start : start + 8]
            score(reader, part, lengths, args.contexts, args.batch)
            for sample in part:
                left = kept(sample, args.threshold, args.keep_all, args.harmful)
                if left is not None:
                    out.write(json.dumps(asdict(left)) + "\n")
            out.flush()
            done = start + len(part)
            marks.write_text(json.dumps({"samples": done, "bytes": out.tell()}))
            if time.monotonic() - said > 5 or done == len(samples):
                said = time.monotonic()
                speed = (done - first) / (said - began)
                print(
                    f"{done}/{len(samples)} samples, {speed:.2f} samples/s, {shown((len(samples) - done) / speed)} left",
                    flush=True,
                )
    rows = args.out.read_text().count("\n")
    if rows == 0:
        raise CorpusError(f"no sample of {args.samples} has a context that stays: lower --threshold, or draw more samples.")
    contexts = sum(len(s.contexts) for s in read_samples(args.out))
    before = sum(min(len(s.contexts), args.contexts) for s in read_samples(args.samples))
    print(f"{rows} of {len(samples)} samples and {contexts} of {before} contexts stay")


if __name__ == "__main__":
    run_stage(main)
