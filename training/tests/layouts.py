"""Checkpoint folders of exactly Hugging Face's layouts, tiny and random."""

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

from tokenizer import END_OF_TEXT, SPECIAL, new_tokenizer

LINES = [
    "def f(self):\n    return self.value\n",
    "class Circle:\n    def area(self):\n        return 3.14 * self.radius ** 2\n",
]


def trained(special: list[str], size: int = 360) -> Tokenizer:
    """A byte-level BPE with these special tokens."""
    tokenizer = new_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 30, trainer)
    return tokenizer


def write_tokenizer(folder: Path, tokenizer: Tokenizer, fast: bool = True) -> None:
    """tokenizer.json, tokenizer_config.json, vocab.json and merges.txt, as the Hub's folders have them."""
    folder.mkdir(parents=True, exist_ok=True)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=SPECIAL[0], pad_token=SPECIAL[0]).save_pretrained(str(folder))
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    if not fast:
        (folder / "tokenizer.json").unlink()
        roberta = {
            "tokenizer_class": "RobertaTokenizer",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(roberta))


def qwen2_coder(folder: Path, width: int = 32, layers: int = 2, shards: bool = True) -> Path:
    """Qwen2.5-Coder: tied table with spare rows, grouped queries, bfloat16 safetensors in several files."""
    torch.manual_seed(1)
    tokenizer = trained(SPECIAL)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size() + 24, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True,
        rope_parameters={"rope_theta": 1_000_000.0, "rope_type": "default"}, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.15)
    model.to(torch.bfloat16).save_pretrained(str(folder), max_shard_size="24KB" if shards else "1GB")
    write_tokenizer(folder, tokenizer)
    return folder


def qwen3_embedding(folder: Path, width: int = 48) -> Path:
    """Qwen3-Embedding: a Qwen3 trunk under sentence-transformers' files; the tokenizer adds the end of text."""
    torch.manual_seed(2)
    tokenizer = trained(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A " + END_OF_TEXT, special_tokens=[(END_OF_TEXT, 0)])
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(str(folder))
    write_tokenizer(folder, tokenizer)
    pooling = {"word_embedding_dimension": width, "pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "modules.json").write_text("[]")
    return folder


def unixcoder(folder: Path, width: int = 32) -> Path:
    """UniXcoder: a RoBERTa trunk with pytorch_model.bin and only the slow tokenizer's files."""
    torch.manual_seed(3)
    tokenizer = trained(["<s>", "<pad>", "</s>", "<unk>", "<encoder-only>", "<decoder-only>", "<mask0>"])
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=130, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1,
    )  # fmt: skip
    model = RobertaModel(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(str(folder))
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    write_tokenizer(folder, tokenizer, fast=False)
    return folder
