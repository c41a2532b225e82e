"""Readers from local folders: an unmodified Hugging Face Qwen2 checkpoint, or a run of ours, behind one face.

Ours has Qwen2's architecture, so it becomes a Qwen2ForCausalLM too; there is one way to run a reader. Nothing is downloaded.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM, logging

import checkpoints
from failures import CheckpointError
from models.reader import Reader
from tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, read_tokenizer

NEEDED = (END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FILE_SEP)
"""Tokens a fill-in-the-middle reader must know."""


@dataclass
class PretrainedReader:
    """A decoder that takes input embeddings, its tokenizer, and the ids a rollout needs."""

    model: Qwen2ForCausalLM
    tokenizer: Tokenizer
    name: str
    order: str
    """`spm` for ours, which was trained with it; `bare` (LlavaCode's prompt) for any other."""

    @property
    def dim(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def table(self) -> nn.Embedding:
        embedding = self.model.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        return embedding

    @property
    def end(self) -> int:
        return self.id_of(END_OF_TEXT)

    @property
    def stops(self) -> list[int]:
        """A rollout ends here."""
        return [self.id_of(END_OF_TEXT), self.id_of(FILE_SEP)]

    @property
    def forbidden(self) -> list[int]:
        """Never written in a rollout."""
        return [self.id_of(t) for t in (FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)]

    def id_of(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        assert found is not None, f"{self.name} has no {token}."
        return int(found)

    def hidden(self, embeds: Tensor, mask: Tensor, **more: Any) -> Any:
        """What the trunk gives for embeddings [B, T, dim]; mask [B, T] is 0 at padding, which may stand on both sides."""
        kind = embeds.device.type
        if torch.is_autocast_enabled(kind):
            # Else the residual stream stays float32, which is two to three times as slow.
            embeds = embeds.to(torch.get_autocast_dtype(kind))
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        if "past_key_values" in more:
            positions = positions[:, -embeds.shape[1] :]
        return self.model.model(inputs_embeds=embeds, attention_mask=mask, position_ids=positions, **more)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.lm_head(hidden)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a checkpoint folder."""
    file = folder / name
    if not file.is_file():
        raise CheckpointError(
            f"{folder} has no {name}: it is no Hugging Face checkpoint folder. Point to the folder that holds it."
        )
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON ({error}). Copy the checkpoint again.") from error
    return dict(content)


def load_tokenizer(folder: Path) -> Tokenizer:
    """`tokenizer.json`, or the slow form it was made from."""
    file = folder / "tokenizer.json"
    slow = (folder / "vocab.json", folder / "merges.txt")
    if not file.is_file() and not all(f.is_file() for f in slow):
        raise CheckpointError(
            f"{folder} has no tokenizer: neither tokenizer.json nor vocab.json with merges.txt. Copy the checkpoint's files."
        )
    try:
        if file.is_file():
            return Tokenizer.from_file(str(file))
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True).backend_tokenizer
    except Exception as error:  # the libraries raise bare Exception for a damaged file
        raise CheckpointError(f"the tokenizer of {folder} cannot be read ({error}). Copy its files again.") from error


def check_weights(folder: Path) -> None:
    """Every file of the weights is there."""
    index = folder / "model.safetensors.index.json"
    single = [n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).is_file()]
    if index.is_file():
        shards = sorted(set(read_json(folder, index.name).get("weight_map", {}).values()))
        missing = [s for s in shards if not (folder / s).is_file()]
        if missing:
            raise CheckpointError(f"{folder} lacks {', '.join(missing)}, which its index names. Copy the checkpoint again.")
    elif not single:
        raise CheckpointError(f"{folder} has no weights: neither model.safetensors nor its index. Copy the checkpoint again.")


def load_weights(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """`kind.from_pretrained` of a local folder; raises CheckpointError where a weight is missing or has another shape."""
    check_weights(folder)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(str(folder), local_files_only=True, dtype=dtype, output_loading_info=True)
    except Exception as error:  # safetensors, json and torch each raise their own
        raise CheckpointError(f"{folder} does not load as {kind.__name__}: {first_line(error)}") from error
    wrong = sorted(map(str, report["missing_keys"])) + sorted(map(str, report.get("mismatched_keys") or []))
    # A pooling head that the checkpoint leaves out is not used.
    wrong = [key for key in wrong if "pooler" not in key]
    if wrong:
        raise CheckpointError(
            f"{folder} is another architecture than its config.json says: {len(wrong)} weights such as {wrong[0]}"
        )
    return model


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def load_hugging_face_reader(folder: Path, dtype: torch.dtype) -> PretrainedReader:
    """A Qwen2 checkpoint folder: config.json, tokenizer files, one or many safetensors."""
    config = read_json(folder, "config.json")
    kind = config.get("model_type")
    if kind != "qwen2":
        raise CheckpointError(f"{folder} holds a {kind} checkpoint; a reader must be qwen2 (Qwen2.5-Coder).")
    tokenizer = load_tokenizer(folder)
    lacking = [t for t in NEEDED if tokenizer.token_to_id(t) is None]
    if lacking:
        raise CheckpointError(f"the tokenizer of {folder} lacks {', '.join(lacking)}: it cannot fill in the middle.")
    if tokenizer.get_vocab_size() > int(config["vocab_size"]):
        raise CheckpointError(
            f"the tokenizer of {folder} has {tokenizer.get_vocab_size()} tokens, its config only {config['vocab_size']} rows."
        )
    return PretrainedReader(frozen(load_weights(Qwen2ForCausalLM, folder, dtype)), tokenizer, folder.name, "bare")


def as_qwen2(reader: Reader, end: int | None = None, end_bias: float = 0.0) -> Qwen2ForCausalLM:
    """Our reader as the same function in Transformers' classes. `end_bias` is added to the logit of the end of text."""
    c = reader.config
    config = Qwen2Config(
        vocab_size=c.vocab_size, hidden_size=c.dim, intermediate_size=c.ffn, num_hidden_layers=c.layers,
        num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, max_position_embeddings=c.max_tokens,
        rms_norm_eps=c.norm_eps, rope_parameters={"rope_theta": c.rope_theta, "rope_type": "default"},
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    weights = {"model." + name.removeprefix("trunk."): value for name, value in reader.state_dict().items()}
    weights["lm_head.weight"] = reader.embed_tokens.weight
    model.load_state_dict(weights)
    if end is not None and end_bias:
        head = nn.Linear(c.dim, c.vocab_size)
        head.weight = model.lm_head.weight
        nn.init.zeros_(head.bias)
        with torch.no_grad():
            head.bias[end] = end_bias
        model.lm_head = head
    return model


def load_own_reader(run: Path, dtype: torch.dtype) -> PretrainedReader:
    """The reader of the last stage of a run folder."""
    tokenizer = read_tokenizer(run / "tokenizer" / "tokenizer.json")
    reader, _ = checkpoints.load_reader(run)
    model = as_qwen2(reader)
    # The angles stay whole, as in a checkpoint read in bfloat16.
    frequencies = model.model.rotary_emb.inv_freq.clone()
    model.to(dtype)
    model.model.rotary_emb.inv_freq = frequencies
    return PretrainedReader(frozen(model), tokenizer, run.name, "spm")


def frozen(model: Any) -> Any:
    return model.eval().requires_grad_(False)


def load_reader(folder: Path, dtype: torch.dtype = torch.float32) -> PretrainedReader:
    """A run of ours, or a Hugging Face folder."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder.")
    is_own = (folder / "reader" / "reader.pt").is_file() or (folder / "joint" / "reader.pt").is_file()
    return load_own_reader(folder, dtype) if is_own else load_hugging_face_reader(folder, dtype)
