"""Samples -> the reader's input: pseudo-tokens or text of the contexts, then the prompt, padded on the left.

Contexts stand worst first, so that the best is next to the prompt, whatever the mode. `bare` is LlavaCode's prompt
(`<|fim_prefix|>L<|fim_suffix|>R<|fim_middle|>`, left : right = 2 : 1); `spm` is what our own reader was trained with.
"""

import argparse
import re
from dataclasses import asdict, dataclass, fields
from typing import Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from entity_names import entity_names
from fim_samples import Context, FimSample
from pretrained import PretrainedReader
from samples import NAMES, PSM, RETRIEVED, SPM, encode, left_ids
from tokenizer import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

BARE = FIM_PREFIX + "{prefix}" + FIM_SUFFIX + "{suffix}" + FIM_MIDDLE
TEMPLATES = {"bare": BARE, "spm": SPM, "psm": PSM}
Mode = Literal["none", "full", "compressed"]


@dataclass(frozen=True)
class Lengths:
    """Tokens of each part of a sequence."""

    left: int = 1325
    right: int = 663
    """With 50 tokens of output and 10 pseudo-tokens: 2,048 (LlavaCode, section 4.2)."""
    context: int = 512
    """Of all retrieved text, in `full` mode."""
    middle: int = 256
    entities: int = 0
    """Of names the contexts define, put before the prompt: 64 in HEF, section 3.8; 0 for none."""
    names: int = 0
    """Of names likely to be written next (entity_names.py), in the form our own reader was trained with; 0 for none."""


OWN_LENGTHS = Lengths(384, 128, 448, 96)
"""What our small reader was trained with."""


def add_lengths(parser: argparse.ArgumentParser) -> None:
    """An option for each length."""
    for field in fields(Lengths):
        ours = getattr(OWN_LENGTHS, field.name)
        default = f"default {ours} for ours, {field.default} for others"
        parser.add_argument(f"--{field.name}-tokens", type=int, help=default)


def lengths_of(args: argparse.Namespace, reader: PretrainedReader) -> Lengths:
    """The reader's lengths with what was asked for instead."""
    chosen = asdict(OWN_LENGTHS if reader.order == "spm" else Lengths())
    asked = {name: getattr(args, f"{name}_tokens") for name in chosen}
    return Lengths(**chosen | {name: value for name, value in asked.items() if value is not None})


@dataclass
class Sequences:
    """A batch. Rows of `ids` are [padding, row slots, text]; the embeddings of the slots are the pseudo-tokens."""

    ids: Tensor
    """int64 [B, T]."""
    mask: Tensor
    """int64 [B, T], 0 at padding."""
    is_row: Tensor
    """bool [B, T], true at slots of pseudo-tokens."""


def prompt_parts(tokenizer: Tokenizer, sample: FimSample, lengths: Lengths) -> tuple[list[int], list[int]]:
    """Ids before and behind the hole, cut to their lengths."""
    right = encode(tokenizer, sample.suffix[: 8 * lengths.right])[: lengths.right]
    return left_ids(tokenizer, sample.prefix, lengths.left), right


def prompt_ids(tokenizer: Tokenizer, sample: FimSample, order: str, lengths: Lengths) -> list[int]:
    """The prompt up to the place where the completion begins."""
    left, right = prompt_parts(tokenizer, sample, lengths)
    ids: list[int] = []
    for part in re.split(r"(\{prefix\}|\{suffix\})", TEMPLATES[order].replace("{path}", sample.path)):
        ids += left if part == "{prefix}" else right if part == "{suffix}" else encode(tokenizer, part)
    return ids


def text_ids(tokenizer: Tokenizer, contexts: list[Context], budget: int) -> list[int]:
    """Retrieved text, worst first; the best that fit are kept."""
    kept: list[list[int]] = []
    for context in contexts:
        ids = encode(tokenizer, RETRIEVED.format(path=context.path, text=context.text))
        if len(ids) <= budget:
            kept.append(ids)
            budget -= len(ids)
    return [i for ids in reversed(kept) for i in ids]


def entity_ids(tokenizer: Tokenizer, contexts: list[Context], budget: int) -> list[int]:
    """Names the contexts define, best context first, each once, as one comment line of at most `budget` tokens."""
    names = list(dict.fromkeys(name for context in contexts for name in context.names))
    ids: list[int] = []
    for count in range(1, len(names) + 1):
        longer = encode(tokenizer, "# " + ", ".join(names[:count]) + "\n")
        if len(longer) > budget:
            break
        ids = longer
    return ids


def likely_ids(reader: PretrainedReader, sample: FimSample, contexts: list[Context], lengths: Lengths) -> list[int]:
    """Names of the contexts that are likely to come next and that the prompt does not hold yet, at most `lengths.names`."""
    left, right = prompt_parts(reader.tokenizer, sample, lengths)
    prefix, suffix = reader.tokenizer.decode(left), reader.tokenizer.decode(right)
    room = lengths.names - len(encode(reader.tokenizer, NAMES.format(names="")))
    names = entity_names([c.text for c in contexts], prefix, suffix, room, lambda text: len(encode(reader.tokenizer, text)))
    return encode(reader.tokenizer, NAMES.format(names=" ".join(names))) if names else []


def middle_ids(reader: PretrainedReader, sample: FimSample, lengths: Lengths) -> list[int]:
    """The middle and the end of text; cut, without the end, where it is too long."""
    ids = encode(reader.tokenizer, sample.middle)
    return [*ids, reader.end] if len(ids) < lengths.middle else ids[: lengths.middle]


def sequences_of(
    reader: PretrainedReader,
    samples: list[FimSample],
    mode: Mode,
    lengths: Lengths,
    count: int,
    per_node: int = 1,
    files: int = 0,
) -> Sequences:
    """Prompts with `count` contexts and `files` nodes of files at most. `per_node`: pseudo-tokens of one node."""
    rows: list[tuple[int, list[int]]] = []
    for sample in samples:
        contexts = sample.contexts[:count]
        ids = prompt_ids(reader.tokenizer, sample, reader.order, lengths)
        if lengths.entities:
            ids = entity_ids(reader.tokenizer, contexts, lengths.entities) + ids
        if lengths.names:
            ids = likely_ids(reader, sample, contexts, lengths) + ids
        if mode == "full":
            ids = text_ids(reader.tokenizer, contexts, lengths.context) + ids
        nodes = len(contexts) + len(sample.files(files))
        rows.append((per_node * nodes if mode == "compressed" else 0, ids))
    return padded(rows, reader.end, reader.table.weight.device)


def padded(rows: list[tuple[int, list[int]]], pad: int, device: torch.device) -> Sequences:
    """(slots, ids) of each row, padded on the left."""
    width = max(slots + len(ids) for slots, ids in rows)
    ids = torch.full((len(rows), width), pad)
    mask, is_row = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for i, (slots, text) in enumerate(rows):
        at = width - slots - len(text)
        mask[i, at:] = 1
        is_row[i, at : at + slots] = True
        ids[i, at + slots :] = torch.tensor(text)
    return Sequences(ids.to(device), mask.to(device), is_row.to(device))


def right_padded(rows: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """(ids [B, U], mask [B, U])."""
    width = max(1, *(len(r) for r in rows))
    ids = torch.zeros((len(rows), width), dtype=torch.int64)
    mask = torch.zeros((len(rows), width), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def embeds_of(reader: PretrainedReader, sequences: Sequences, rows: Tensor | None) -> Tensor:
    """[B, T, dim] with the pseudo-tokens [slots of the batch, dim], in the order of the slots, in their places."""
    x = reader.table(sequences.ids)
    if rows is None:
        return x
    return x.masked_scatter(sequences.is_row[..., None], rows.to(x.dtype))


def target_logits(
    reader: PretrainedReader, sequences: Sequences, rows: Tensor | None, targets: Tensor, target_mask: Tensor
) -> Tensor:
    """Logits [B, U, V] of the targets [B, U] (padded on the right) behind the prompts."""
    x = torch.cat((embeds_of(reader, sequences, rows), reader.table(targets)), dim=1)
    mask = torch.cat((sequences.mask, target_mask), dim=1)
    hidden = reader.hidden(x, mask, use_cache=False).last_hidden_state
    first = sequences.ids.shape[1] - 1
    return reader.logits(hidden[:, first : first + targets.shape[1]])
