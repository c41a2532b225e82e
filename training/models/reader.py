"""The reader: a Qwen2-architecture decoder that takes input embeddings (arXiv 2407.10671, section 2.2).

Its block is the building stone of the encoder and the fuser too.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ReaderConfig:
    """Shapes of a Qwen2-architecture transformer."""

    vocab_size: int = 8192
    dim: int = 256
    """Width of the residual stream (`readerDim` of a pack)."""
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 768
    max_tokens: int = 1152
    """Longest input plus output, in tokens."""
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    def __post_init__(self) -> None:
        assert self.dim % self.heads == 0, f"dim ({self.dim}) must be a multiple of heads ({self.heads})."
        assert self.heads % self.kv_heads == 0, f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})."
        assert self.dim % 32 == 0 and self.ffn % 32 == 0, "dim and ffn must be multiples of the quantisation block, 32."


def rope_tables(config: ReaderConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables, [max_tokens, head_dim / 2] each: the layout GroupQueryAttention reads."""
    half = config.head_dim // 2
    frequency = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.outer(torch.arange(config.max_tokens, dtype=torch.float64), frequency)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, halves not interleaved. x: [B, heads, T, head_dim]; cos, sin: [T, head_dim / 2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Causal grouped-query attention with a bias on Q, K and V only, as in Qwen2."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        kv = config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.dim, config.dim)
        self.k_proj = nn.Linear(config.dim, kv)
        self.v_proj = nn.Linear(config.dim, kv)
        self.o_proj = nn.Linear(config.dim, config.dim, bias=False)

    def packed(self) -> tuple[Tensor, Tensor]:
        """One matrix and one bias for Q, K and V: [dim + 2 kv, dim] and [dim + 2 kv]."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        return torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        c, (B, T, _) = self.config, x.shape
        qkv = F.linear(x, *self.packed()).view(B, T, -1, c.head_dim).transpose(1, 2)  # (B, heads + 2 kv, T, head_dim)
        q, k, v = qkv.split([c.heads, c.kv_heads, c.kv_heads], dim=1)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        group = c.heads // c.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.dim, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = F.linear(x, torch.cat((self.gate_proj.weight, self.up_proj.weight))).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    """Blocks and a last norm: vectors in, vectors out, causal."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=config.dim**-0.5)
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    nn.init.zeros_(parameter)  # every block starts as the identity
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] -> [B, T, dim]."""
        cos, sin = self.cos[: x.shape[1]].to(x.dtype), self.sin[: x.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Reader(nn.Module):
    """Token table, trunk, and an output layer tied to the table."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.dim)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.trunk = Trunk(config)

    def hidden(self, inputs_embeds: Tensor) -> Tensor:
        """[B, T, dim] -> [B, T, dim], what the output layer reads."""
        return self.trunk(inputs_embeds)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., vocab_size]."""
        return F.linear(hidden, self.embed_tokens.weight)

    def forward(self, inputs_embeds: Tensor) -> Tensor:
        return self.logits(self.hidden(inputs_embeds))
