"""The folder of a run: one checkpoint a stage, later stages replacing what they trained further."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from failures import CheckpointError, write_whole
from models.encoder import Encoder, EncoderConfig
from models.fuser import Fuser, FuserConfig
from models.projector import Projector, ProjectorConfig
from models.reader import Reader, ReaderConfig
from parity import Family
from tokenizer import read_tokenizer

ENCODER_TOKENS = 256
"""Longest text the encoder reads, in tokens."""


def new_encoder(reader: Reader, layers: int = 3) -> Encoder:
    """An encoder that starts as the reader's first layers."""
    c = reader.config
    trunk = ReaderConfig(c.vocab_size, c.dim, min(layers, c.layers), c.heads, c.kv_heads, c.ffn, ENCODER_TOKENS)
    encoder = Encoder(EncoderConfig(trunk, vector_dim=c.dim))
    encoder.start_from(reader)
    return encoder


def new_fuser(vector_dim: int, heads: int, layers: int = 2, branching: int = 8, width: int | None = None) -> Fuser:
    """A fuser as wide as the vectors are long, unless a width is given."""
    dim = width or vector_dim
    trunk = ReaderConfig(32, dim, layers, heads, max(1, heads // 2), 2 * dim, branching)
    return Fuser(FuserConfig(trunk, vector_dim, branching))


def new_projector(vector_dim: int, reader_dim: int, per_node: int = 1) -> Projector:
    return Projector(ProjectorConfig(vector_dim, 2 * reader_dim, reader_dim, per_node))


def save(path: Path, model: nn.Module, facts: dict[str, Any]) -> None:
    """A model with its configuration, and what the model card should say of the stage."""
    write_whole(path, {"config": asdict(model.config), "model": model.state_dict(), "facts": facts})  # type: ignore[call-overload]


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=False, map_location="cpu")


Made = TypeVar("Made", bound=nn.Module)


def read_model(file: Path, what: str, build: Callable[[dict[str, Any]], Made]) -> tuple[Made, dict[str, Any]]:
    """(model with its weights, all of the file); raises CheckpointError where the file is missing or holds something else."""
    try:
        state = load(file)
        model = build(dict(state["config"]))
        model.load_state_dict(state["model"])
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}. The stage that trains the {what} has not run.") from error
    except Exception as error:  # torch raises what it likes for a damaged file or another architecture
        raise CheckpointError(f"{file} holds no {what}: {(str(error) or repr(error)).splitlines()[0]}") from error
    return model, state


def with_trunk(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"trunk": ReaderConfig(**config["trunk"])}


def load_reader(run: Path, stage: str | None = None) -> tuple[Reader, dict[str, Any]]:
    """The reader of the last stage that trained it, or of `stage`."""
    path = run / "joint" / "reader.pt" if stage != "reader" else run / "reader" / "reader.pt"
    path = path if path.exists() else run / "reader" / "reader.pt"
    reader, state = read_model(path, "reader", lambda config: Reader(ReaderConfig(**config)))
    facts = state.get("facts") or {"step": state["step"], "tokens": state["tokens"], "seconds": round(state["seconds"])}
    return reader, facts


def latest(run: Path, name: str) -> Path:
    joint = run / "joint" / f"{name}.pt"
    return joint if joint.exists() else run / f"{name}.pt"


def load_encoder(run: Path) -> tuple[Encoder, dict[str, Any]]:
    encoder, state = read_model(latest(run, "encoder"), "encoder", lambda c: Encoder(EncoderConfig(**with_trunk(c))))
    return encoder, state["facts"]


def read_fuser(file: Path, vector_dim: int) -> Fuser:
    """A fuser file for vectors of that length."""
    fuser, _ = read_model(file, "fuser", lambda c: Fuser(FuserConfig(**with_trunk(c))))
    if fuser.config.vector_dim != vector_dim:
        raise CheckpointError(f"{file} fuses vectors of {fuser.config.vector_dim} numbers; this encoder's have {vector_dim}.")
    return fuser.eval()


def load_fuser(run: Path) -> tuple[Fuser, dict[str, Any]]:
    fuser, state = read_model(latest(run, "fuser"), "fuser", lambda c: Fuser(FuserConfig(**with_trunk(c))))
    return fuser, state["facts"]


def read_projector(file: Path) -> tuple[Projector, dict[str, Any]]:
    """A projector file of any stage."""
    projector, state = read_model(file, "projector", lambda config: Projector(ProjectorConfig(**config)))
    return projector, state["facts"]


def same_shapes(config: ProjectorConfig, vector_dim: int, reader_dim: int, file: Path) -> None:
    """Raises where a projector does not stand between this encoder and this reader."""
    if (config.vector_dim, config.reader_dim) != (vector_dim, reader_dim):
        there, here = f"{config.vector_dim} to {config.reader_dim}", f"{vector_dim} to {reader_dim}"
        raise CheckpointError(f"{file} leads from {there} numbers; this encoder and reader need {here}.")


def load_projector(run: Path) -> tuple[Projector, dict[str, Any]]:
    return read_projector(latest(run, "projector"))


def load_family(run: Path, provisional: bool = False) -> tuple[Family, dict[str, Any]]:
    """The four models and the facts of every stage. `provisional` fills stages not run yet with untrained models."""
    reader, facts = load_reader(run)
    all_facts: dict[str, Any] = {"reader": facts | {"parameters": sum(p.numel() for p in reader.parameters())}}
    untrained: list[str] = []

    def stage(name: str, loaded: Any, fresh: Any) -> Any:
        if not latest(run, name).exists() and provisional:
            untrained.append(name)
            return fresh()
        model, stage_facts = loaded(run)
        all_facts[name] = stage_facts | {"parameters": sum(p.numel() for p in model.parameters())}
        return model

    c = reader.config
    encoder = stage("encoder", load_encoder, lambda: new_encoder(reader))
    fuser = stage("fuser", load_fuser, lambda: new_fuser(c.dim, c.heads))
    projector = stage("projector", load_projector, lambda: new_projector(c.dim, c.dim))
    if untrained:
        all_facts["untrained"] = untrained
    tokenizer = read_tokenizer(run / "tokenizer" / "tokenizer.json")
    return Family(reader.eval(), encoder.eval(), fuser.eval(), projector.eval(), tokenizer), all_facts
