"""Transformer blocks: attention and a feed-forward network, each with a norm and a residual connection.

*Post-norm* is Attention Is All You Need (2017) and PyTorch's default: norm(x + f(x)).
*Pre-norm* is ViT, MAE and GPT-2: x + f(norm(x)), which trains without a warm-up crutch but leaves the last
residual stream unnormalised, so models add a final norm.

The numbers are those of ``torch.nn.TransformerEncoderLayer`` and ``TransformerDecoderLayer``
(``tests/nn/test_blocks.py``); drop-path (Huang et al. 2016) is the one addition.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.nn.attention import MultiHeadAttention

Activation = Literal["gelu", "gelu_tanh", "relu", "swiglu", "geglu"]
Norm = Literal["layer", "rms"]

GATED = ("swiglu", "geglu")


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


class FeedForward(nn.Module):
    """Two linear maps with an activation between (Attention Is All You Need, equation 2).

    Args:
        hidden: width between the two maps; a gated activation computes twice as many and multiplies them.
    """

    def __init__(
        self, dim: int, hidden: int, activation: Activation = "gelu", *, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.dropout = dropout
        self.up = nn.Linear(dim, 2 * hidden if activation in GATED else hidden, bias=bias)
        self.down = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Each position on its own."""
        hidden = activate(self.up(x), self.activation)
        y: Tensor = self.down(F.dropout(hidden, self.dropout, self.training) if self.dropout else hidden)
        return y


class Residual(nn.Module):
    """The path around a sublayer: dropout on what it adds, and drop-path, which skips it for whole examples."""

    def __init__(self, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.dropout, self.drop_path = dropout, drop_path

    def forward(self, x: Float[Tensor, "b n d"], added: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """``x`` plus what a sublayer adds to it."""
        if self.training and self.dropout:
            added = F.dropout(added, self.dropout)
        if self.training and self.drop_path:
            kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.drop_path
            added = added * (kept / (1 - self.drop_path)).to(added.dtype)
        return x + added


class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward network.

    Args:
        hidden: width of the feed-forward network between its two maps.
        norm_first: pre-norm (True) or post-norm (False).
        dropout: on the attention weights, inside the feed-forward network and on both residual branches.
        drop_path: probability with which an example skips a branch, while training.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        *,
        norm_first: bool = True,
        norm: Norm = "layer",
        activation: Activation = "gelu",
        eps: float = 1e-5,
        bias: bool = True,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm1 = make_norm(norm, dim, eps)
        self.attention = MultiHeadAttention(dim, heads, bias=bias, dropout=dropout)
        self.norm2 = make_norm(norm, dim, eps)
        self.feed_forward = FeedForward(dim, hidden, activation, bias=bias, dropout=dropout)
        self.residual = Residual(dropout, drop_path)

    def forward(
        self, x: Float[Tensor, "b n d"], *, mask: Tensor | None = None, causal: bool = False, last: int | None = None
    ) -> Float[Tensor, "b m d"]:
        """All positions, or after the attention only the ``last`` so many of them, where nobody needs the others.

        ``mask`` and ``causal`` as in ``vitrail.nn.attention``.
        """
        if self.norm_first:
            x = self.residual(x, self.attention(self.norm1(x), mask=mask, causal=causal))
        else:
            x = self.norm1(self.residual(x, self.attention(x, mask=mask, causal=causal)))
        if last is not None:
            x = x[:, -last:]
        if self.norm_first:
            x = self.residual(x, self.feed_forward(self.norm2(x)))
        else:
            x = self.norm2(self.residual(x, self.feed_forward(x)))
        return x


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to a memory, then a feed-forward network.

    Args:
        memory_dim: width of the memory; ``dim`` unless given.
        self_attention: False leaves the self-attention out, as in CrossMAE's decoder (Fu et al. 2024), where
            each query reads from the memory on its own.
        The rest as in ``EncoderBlock``.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        *,
        memory_dim: int | None = None,
        self_attention: bool = True,
        norm_first: bool = True,
        norm: Norm = "layer",
        activation: Activation = "gelu",
        eps: float = 1e-5,
        bias: bool = True,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        if self_attention:
            self.norm1 = make_norm(norm, dim, eps)
            self.self_attention: MultiHeadAttention | None = MultiHeadAttention(dim, heads, bias=bias, dropout=dropout)
        else:
            self.self_attention = None
        self.norm2 = make_norm(norm, dim, eps)
        self.cross_attention = MultiHeadAttention(dim, heads, memory_dim=memory_dim or dim, bias=bias, dropout=dropout)
        self.norm3 = make_norm(norm, dim, eps)
        self.feed_forward = FeedForward(dim, hidden, activation, bias=bias, dropout=dropout)
        self.residual = Residual(dropout, drop_path)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        memory: Float[Tensor, "b s e"],
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory_mask: Tensor | None = None,
    ) -> Float[Tensor, "b n d"]:
        """``mask``/``causal`` govern the self-attention, ``memory_mask`` the cross-attention."""
        if self.norm_first:
            if self.self_attention is not None:
                x = self.residual(x, self.self_attention(self.norm1(x), mask=mask, causal=causal))
            x = self.residual(x, self.cross_attention(self.norm2(x), memory, mask=memory_mask))
            x = self.residual(x, self.feed_forward(self.norm3(x)))
        else:
            if self.self_attention is not None:
                x = self.norm1(self.residual(x, self.self_attention(x, mask=mask, causal=causal)))
            x = self.norm2(self.residual(x, self.cross_attention(x, memory, mask=memory_mask)))
            x = self.norm3(self.residual(x, self.feed_forward(x)))
        return x
