"""Weights -> int8 with a float32 scale for every block of 32 inputs, as MatMulNBits reads them."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 32


def blocks(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """[out, in] -> bytes [out, in / 32, 32] with zero point 128, and scales [out * in / 32]."""
    out, width = weight.shape
    assert width % BLOCK == 0, f"The input width ({width}) must be a multiple of {BLOCK}."
    grouped = weight.reshape(out, width // BLOCK, BLOCK)
    scale = np.maximum(np.abs(grouped).max(axis=-1) / 127.0, 1e-12).astype(np.float32)
    levels = np.clip(np.round(grouped / scale[..., None]), -127, 127) + 128
    return levels.astype(np.uint8), scale.reshape(-1)


def rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A token table [V, d] -> int8 [V, d] and one scale a row [V, 1]."""
    scale = np.maximum(np.abs(table).max(axis=-1, keepdims=True) / 127.0, 1e-12).astype(np.float32)
    return np.clip(np.round(table / scale), -127, 127).astype(np.int8), scale


def through_blocks(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weight as the exported graph sees it."""
    levels, scale = blocks(weight)
    grouped = (levels.astype(np.float32) - 128.0) * scale.reshape(levels.shape[:2])[..., None]
    return grouped.reshape(weight.shape).astype(np.float32)


def through_rows(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The table as the exported graph sees it."""
    levels, scale = rows(table)
    return (levels.astype(np.float32) * scale).astype(np.float32)
