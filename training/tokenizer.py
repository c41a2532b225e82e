"""Corpus -> byte-level BPE tokenizer with Qwen2's pre-tokenizer and Qwen2.5-Coder's special tokens.

python tokenizer.py --corpus DIR/corpus.jsonl --out DIR --vocab-size 8192
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import corpus_files
from failures import CheckpointError, CorpusError, run_stage

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX = "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"
FILE_SEP = "<|file_sep|>"
SPECIAL = [
    END_OF_TEXT, "<|im_start|>", "<|im_end|>", FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, "<|fim_pad|>", "<|repo_name|>", FILE_SEP,
]  # fmt: skip
STOP_TOKENS = [
    END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, "<|fim_pad|>", FILE_SEP, "<|repo_name|>", "<|im_end|>", "<|im_start|>",
]  # fmt: skip
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def new_tokenizer() -> Tokenizer:
    """An untrained tokenizer. Qwen2 normalises to NFC; ours does not, so that offsets stay the file's own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def read_tokenizer(file: Path) -> Tokenizer:
    """Raises CheckpointError for a file that is missing or damaged."""
    if not file.is_file():
        raise CheckpointError(f"{file}: no such tokenizer. Make it with tokenizer.py, or name a checkpoint's tokenizer.json.")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for a damaged file
        raise CheckpointError(f"{file} is no tokenizer ({error}). Copy it again.") from error


def texts(corpus: Path, share: float) -> Iterator[str]:
    """A random share of the training files."""
    draw = random.Random(0)
    for record in corpus_files(corpus):
        if draw.random() < share and record["split"] == "train":
            yield record["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocab-size", type=int, default=8192, help="special tokens included")
    parser.add_argument("--share", type=float, default=0.2, help="share of the files read")
    args = parser.parse_args()

    tokenizer = new_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=args.vocab_size,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(args.corpus, args.share), trainer)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "model_max_length": 1152,
        "clean_up_tokenization_spaces": False,
    }
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    sample = "".join(text for text, _ in zip(texts(args.corpus, 0.01), range(50), strict=False))
    if not sample:
        raise CorpusError(f"{args.corpus} has too few training files to learn a tokenizer from.")
    ids = tokenizer.encode(sample).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == sample, "The tokenizer must round-trip."
    print(f"{tokenizer.get_vocab_size()} tokens, {len(sample.encode()) / len(ids):.2f} bytes a token")


if __name__ == "__main__":
    run_stage(main)
