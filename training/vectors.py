"""Chunks -> vectors with a trained encoder, in batches of similar length."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoder import Encoder
from nodes import Ragged
from parallel import device_of


@torch.no_grad()
def encode_rows(encoder: Encoder, tokens: Ragged, rows: NDArray[np.int64], batch: int = 64) -> NDArray[np.float32]:
    """Vectors [n, vector_dim] of the named rows, in their order."""
    encoder.eval()
    device = device_of(encoder)
    out = np.zeros((len(rows), encoder.config.vector_dim), np.float32)
    lengths = tokens.lengths()[rows]
    order = np.argsort(lengths, kind="stable")
    for i in range(0, len(order), batch):
        part = order[i : i + batch]
        ids, valid = tokens.padded(rows[part], int(lengths[part].max()))
        with torch.autocast(device.type, torch.bfloat16):
            embeds = encoder.embed_tokens(torch.from_numpy(ids).to(device)).bfloat16()
            out[part] = encoder.pool(embeds, torch.from_numpy(valid).to(device)).float().cpu().numpy()
    return out
