"""What a checkpoint is, whatever its files are called: one sha256 over all its tensors. The engine computes the same."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

from failures import CheckpointError

HELD = 4 << 20
"""Bytes held at a time."""


def shards_of(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint; none where it has weights of another kind."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return sorted({folder / name for name in json.loads(index.read_text())["weight_map"].values()})
    single = folder / "model.safetensors"
    return [single] if single.is_file() else []


def header_of(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """(tensors by name, first byte behind the header)."""
    length = struct.unpack("<Q", file.read(8))[0]
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def digest_of(folder: Path) -> str | None:
    """sha256 over the tensors by name: `name dtype dims` on a line, then the bytes. None without safetensors."""
    places: dict[str, tuple[Path, dict[str, Any], int]] = {}
    for shard in shards_of(folder):
        try:
            with shard.open("rb") as file:
                header, start = header_of(file)
        except (OSError, ValueError, struct.error) as error:
            raise CheckpointError(f"{shard} is no safetensors file ({error}). Copy the checkpoint again.") from error
        places |= {name: (shard, tensor, start) for name, tensor in header.items()}
    if not places:
        return None
    found = hashlib.sha256()
    for name, (shard, tensor, start) in sorted(places.items()):
        found.update(f"{name} {tensor['dtype']} {','.join(map(str, tensor['shape']))}\n".encode())
        first, last = tensor["data_offsets"]
        with shard.open("rb") as file:
            file.seek(start + first)
            left = last - first
            while left:
                piece = file.read(min(HELD, left))
                if not piece:
                    raise CheckpointError(f"{shard} ends inside {name}: it was cut short. Copy the checkpoint again.")
                found.update(piece)
                left -= len(piece)
    return found.hexdigest()
