"""Tiny families with random weights, none of them zero."""

import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))

from checkpoints import new_encoder, new_fuser, new_projector
from models.reader import Reader, ReaderConfig
from parity import Family
from tokenizer import SPECIAL, new_tokenizer

# More threads than that are slower on models this small, and much slower beside other work.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    from tokenizers import pre_tokenizers, trainers

    tokenizer = new_tokenizer()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["def f(self):\n    return self.value\n"] * 50, trainer)
    return tokenizer


@pytest.fixture()
def family(tokenizer: Tokenizer) -> Family:
    torch.manual_seed(0)
    reader = Reader(ReaderConfig(320, 64, 2, 4, 2, 96, 128))
    encoder, fuser, projector = new_encoder(reader, 2), new_fuser(64, 4), new_projector(64, 64, per_node=2)
    for model in (reader, encoder, fuser, projector):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.12 if parameter.ndim == 2 else 0.5)
    return Family(reader, encoder, fuser, projector, tokenizer)
