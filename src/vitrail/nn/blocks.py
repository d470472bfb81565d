"""Transformer blocks: attention and a feed-forward network, each with a norm and a residual connection.

*Post-norm* is Attention Is All You Need (2017) and PyTorch's default: norm(x + f(x)).
*Pre-norm* is ViT, MAE and GPT-2: x + f(norm(x)), which trains without a warm-up crutch but leaves the last
residual stream unnormalised, so models add a final norm.

The numbers are those of ``torch.nn.TransformerEncoderLayer`` and ``TransformerDecoderLayer``
(``tests/nn/test_blocks.py``); drop-path (Huang et al. 2016) is the one addition.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.nn.attention import MultiHeadAttention
from vitrail.nn.cache import GrowingKeyValues, KeyValues
from vitrail.nn.dropout import drop

Activation = Literal["gelu", "gelu_tanh", "relu", "swiglu", "geglu", "geglu_tanh"]
Norm = Literal["layer", "rms"]

GATED = ("swiglu", "geglu", "geglu_tanh")


@dataclass(frozen=True)
class BlockConfig:
    """The shape of a block."""

    dim: int
    """Width of the residual stream."""
    heads: int
    """Attention heads."""
    hidden: int
    """Width of the feed-forward network between its two maps."""
    norm_first: bool = True
    """Pre-norm (True) or post-norm (False)."""
    norm: Norm = "layer"
    """LayerNorm or RMSNorm."""
    activation: Activation = "gelu"
    """Of the feed-forward network."""
    eps: float = 1e-5
    """What the norms add to the variance."""
    bias: bool = True
    """Whether the linear maps have biases."""
    head_dim: int | None = None
    """Width of a head (default: dim / heads)."""
    scale: float | None = None
    """Factor of the attention's logits (default: 1/sqrt(head_dim))."""
    dropout: float = 0.0
    """On what either branch adds to the residual stream, while training."""
    attention_dropout: float = 0.0
    """On the attention weights."""
    hidden_dropout: float = 0.0
    """Inside the feed-forward network."""
    drop_path: float = 0.0
    """Probability with which an example skips a branch."""


def make_norm(kind: Norm, dim: int, eps: float) -> nn.Module:
    """LayerNorm or RMSNorm over the last axis."""
    return nn.LayerNorm(dim, eps=eps) if kind == "layer" else nn.RMSNorm(dim, eps=eps)


def activate(x: Tensor, kind: Activation) -> Tensor:
    """Apply an activation; the gated ones halve the last axis (gate · value, Shazeer 2020)."""
    match kind:
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "relu":
            return F.relu(x)
        case "swiglu":
            gate, value = x.chunk(2, dim=-1)
            return F.silu(gate) * value
        case "geglu":
            gate, value = x.chunk(2, dim=-1)
            return F.gelu(gate) * value
        case "geglu_tanh":
            gate, value = x.chunk(2, dim=-1)
            return F.gelu(gate, approximate="tanh") * value


class FeedForward(nn.Module):
    """Two linear maps with an activation between (Attention Is All You Need, equation 2).

    A gated activation computes twice the hidden width and multiplies the halves.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.activation: Activation = config.activation
        self.dropout = config.hidden_dropout
        wide = 2 * config.hidden if config.activation in GATED else config.hidden
        self.up = nn.Linear(config.dim, wide, bias=config.bias)
        self.down = nn.Linear(config.hidden, config.dim, bias=config.bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Each position on its own."""
        hidden = activate(self.up(x), self.activation)
        y: Tensor = self.down(drop(hidden, self.dropout if self.training else 0.0))
        return y


class Residual(nn.Module):
    """The path around a sublayer: dropout on what it adds, and drop-path, which skips it for whole examples."""

    def __init__(self, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.dropout, self.drop_path = dropout, drop_path

    def forward(self, x: Float[Tensor, "b n d"], added: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """``x`` plus what a sublayer adds to it."""
        added = drop(added, self.dropout if self.training else 0.0)
        if self.training and self.drop_path:
            kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.drop_path
            added = added * (kept / (1 - self.drop_path)).to(added.dtype)
        return x + added


class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward network.

    Args:
        config: its shape.
        feed_forward: False leaves the feed-forward network out, and the norm that belongs to it.
    """

    def __init__(self, config: BlockConfig, *, feed_forward: bool = True) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.norm1 = _norm(config)
        self.attention = _attention(config)
        self.feed_forward: FeedForward | None = None
        if feed_forward:
            self.norm2 = _norm(config)
            self.feed_forward = FeedForward(config)
        self.residual = Residual(config.dropout, config.drop_path)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        last: int | None = None,
        cache: GrowingKeyValues | None = None,
    ) -> Float[Tensor, "b m d"]:
        """All positions, or after the attention only the ``last`` so many of them, where nobody needs the others.

        ``mask``, ``causal`` and ``cache`` as in ``vitrail.nn.attention``.
        """
        if self.norm_first:
            x = self.residual(x, self.attention(self.norm1(x), mask=mask, causal=causal, cache=cache))
        else:
            x = self.norm1(self.residual(x, self.attention(x, mask=mask, causal=causal, cache=cache)))
        if last is not None:
            x = x[:, -last:]
        if self.feed_forward is None:
            return x
        if self.norm_first:
            x = self.residual(x, self.feed_forward(self.norm2(x)))
        else:
            x = self.norm2(self.residual(x, self.feed_forward(x)))
        return x


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to a memory, then a feed-forward network.

    Args:
        config: its shape.
        memory_dim: width of the memory; the block's own unless given.
        self_attention: False leaves the self-attention out, as in CrossMAE's decoder (Fu et al. 2024), where
            each query reads from the memory on its own.
    """

    def __init__(self, config: BlockConfig, *, memory_dim: int | None = None, self_attention: bool = True) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.self_attention: MultiHeadAttention | None = None
        if self_attention:
            self.norm1 = _norm(config)
            self.self_attention = _attention(config)
        self.norm2 = _norm(config)
        self.cross_attention = _attention(config, memory_dim or config.dim)
        self.norm3 = _norm(config)
        self.feed_forward = FeedForward(config)
        self.residual = Residual(config.dropout, config.drop_path)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        memory: Float[Tensor, "b s e"] | KeyValues,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory_mask: Tensor | None = None,
        cache: GrowingKeyValues | None = None,
    ) -> Float[Tensor, "b n d"]:
        """``mask``/``causal``/``cache`` are for the self-attention, ``memory_mask`` for the cross-attention.

        A memory that was projected before (``cross_attention.project``) is not projected again.
        """
        if self.norm_first:
            if self.self_attention is not None:
                x = self.residual(x, self.self_attention(self.norm1(x), mask=mask, causal=causal, cache=cache))
            x = self.residual(x, self.cross_attention(self.norm2(x), memory, mask=memory_mask))
            x = self.residual(x, self.feed_forward(self.norm3(x)))
        else:
            if self.self_attention is not None:
                x = self.norm1(self.residual(x, self.self_attention(x, mask=mask, causal=causal, cache=cache)))
            x = self.norm2(self.residual(x, self.cross_attention(x, memory, mask=memory_mask)))
            x = self.norm3(self.residual(x, self.feed_forward(x)))
        return x


def _norm(config: BlockConfig) -> nn.Module:
    return make_norm(config.norm, config.dim, config.eps)


def _attention(config: BlockConfig, memory_dim: int | None = None) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.dim,
        config.heads,
        head_dim=config.head_dim,
        memory_dim=memory_dim,
        bias=config.bias,
        scale=config.scale,
        dropout=config.attention_dropout,
    )
