"""Multi-head attention (Vaswani et al. 2017, section 3.2): one function, two paths.

``attention`` computes softmax(q kᵀ · scale + mask) v either *fused* (PyTorch's kernel, which never holds the
weights) or *explicit* (the formula, line by line). The explicit path runs where someone records the weights, and
where it is the faster one: on a CPU at short lengths. The two agree to 1e-5 in float32
(``tests/nn/test_attention.py``).

We differ from the paper in nothing, and from PyTorch's ``is_causal`` in one point: with fewer queries than keys the
*last* query sees every key, which is what decoding with a cache needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vitrail.nn.cache import GrowingKeyValues, KeyValues
from vitrail.nn.dropout import drop

Path = Literal["auto", "fused", "explicit"]

SHORT, SHORT_FLOAT32 = 512, 96
"""Up to this many keys the explicit path is the faster one on a CPU: in bf16, and in float32 where a gradient follows
(``bench/attention.py``)."""


@dataclass(frozen=True)
class AttentionRecord:
    """What one call of ``attention`` computed, as handed to a tap; all tensors still carry gradients.

    ``scores`` are the logits that the softmax saw (scale and mask applied), float32 ``[b h q k]``;
    ``weights`` is their softmax, rows sum to 1 (a row that may attend nowhere is all 0).
    """

    q: Float[Tensor, "b h q d"]
    k: Float[Tensor, "b h k d"]
    v: Float[Tensor, "b h k dv"]
    mask: Tensor | None
    causal: bool
    scale: float
    scores: Float[Tensor, "b h q k"]
    weights: Float[Tensor, "b h q k"]
    output: Float[Tensor, "b h q dv"]


Tap = Callable[[AttentionRecord], None]


def causal_mask(queries: int, keys: int, device: torch.device | None = None) -> Bool[Tensor, "q k"]:
    """True where a query may look: at its own position and before; the last query is aligned with the last key."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def attention(
    q: Float[Tensor, "b h q d"],
    k: Float[Tensor, "b h k d"],
    v: Float[Tensor, "b h k dv"],
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    path: Path = "auto",
    tap: Tap | None = None,
) -> Float[Tensor, "b h q dv"]:
    """Scaled dot-product attention (Attention Is All You Need, equation 1).

    Args:
        mask: broadcastable to ``[b h q k]``; boolean (True = may attend) or additive (added to the logits).
        causal: a query sees no key after its own position; joins ``mask``.
        scale: factor of the logits; 1/sqrt(d) unless given.
        dropout: probability with which a weight is dropped (and the rest scaled up).
        path: "fused", "explicit", or "auto" for the faster of the two on this device and type.
        tap: called with an ``AttentionRecord``; forces the explicit path.

    A query that may attend nowhere gets zeros, on both paths.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if tap is None and (path == "fused" or (path == "auto" and not _explicit_is_faster(q, k))):
        if causal and (mask is not None or q.shape[-2] != k.shape[-2]):
            mask, causal = _with_causal(mask, q, k), False
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal and q.shape[-2] > 1, scale=scale
        )
    if causal:
        mask = _with_causal(mask, q, k)
    if tap is None:
        return drop(_weights(q, k, mask, scale), dropout).to(v.dtype) @ v
    scores, weights = _recorded_weights(q, k, mask, scale)
    output = drop(weights, dropout).to(v.dtype) @ v
    tap(AttentionRecord(q, k, v, mask, causal, scale, scores, weights, output))
    return output


def _explicit_is_faster(q: Tensor, k: Tensor) -> bool:
    if q.device.type != "cpu":
        return False
    if q.dtype == torch.bfloat16:
        return k.shape[-2] <= SHORT
    if KeyValues(k, k).laid_out:
        return True
    return q.dtype == torch.float32 and q.requires_grad and k.shape[-2] <= SHORT_FLOAT32


def _with_causal(mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor:
    allowed = causal_mask(q.shape[-2], k.shape[-2], q.device)
    if mask is None:
        return allowed
    return mask & allowed if mask.dtype == torch.bool else mask.masked_fill(~allowed, float("-inf"))


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Softmax of the logits, its sums in float32 under half precision, with as few passes over them as can be.

    The mask is added by the call that multiplies. The lowest finite number stands for -inf, which keeps a query without
    any key free of NaN, forward and backward.
    """
    if mask is None:
        return _scaled_product(q, k, scale).softmax(-1)
    lowest = torch.finfo(q.dtype).min
    if mask.dtype == torch.bool:
        heard, added = mask, torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, lowest)
    else:
        heard, added = mask != float("-inf"), mask.to(q.dtype).clamp_min(lowest)
    weights = _scaled_product(q, k, scale, added).softmax(-1)
    deaf = ~heard.any(-1, keepdim=True)
    return weights.masked_fill(deaf, 0.0) if deaf.any() else weights


def _recorded_weights(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Logits, -inf where a query may not look, and their softmax; both at least float32."""
    scores = _scaled_product(q, k, scale).to(torch.promote_types(q.dtype, torch.float32))
    if mask is None:
        return scores, scores.softmax(-1)
    if mask.dtype == torch.bool:
        forbidden = ~mask
    else:
        scores, forbidden = scores + mask, mask == float("-inf")
    weights = scores.masked_fill(forbidden, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(forbidden, 0.0)
    return scores.masked_fill(forbidden, float("-inf")), weights


def _scaled_product(q: Tensor, k: Tensor, scale: float, added: Tensor | None = None) -> Tensor:
    """Scale · q kᵀ + what is added, [b h q k], in one call: a scaled copy of the queries would be one more pass."""
    batch, heads = q.shape[:2]
    if added is None:
        bias = q.new_empty(1, 1, 1)  # what a factor of 0 leaves out
    elif math.prod(added.shape[:-2]) == 1:
        bias = added.reshape(1, *added.shape[-2:])
    else:
        bias = added.expand(batch, heads, -1, -1).flatten(0, 1)
    keys = k.flatten(0, 1).transpose(1, 2)
    product = torch.baddbmm(bias, q.flatten(0, 1), keys, beta=0 if added is None else 1, alpha=scale)
    logits: Tensor = rearrange(product, "(b h) q k -> b h q k", b=batch, h=heads)
    return logits


class MultiHeadAttention(nn.Module):
    """Self- or cross-attention with ``heads`` heads (Attention Is All You Need, section 3.2.2).

    Args:
        dim: width of the queries' stream and of the output.
        heads: number of heads.
        head_dim: width of one head; dim / heads unless given.
        memory_dim: width of the stream that keys and values come from; None for self-attention, whose three
            projections are then one matrix ``qkv`` (rows: all queries' heads, then keys', then values').
        bias: whether the projections have biases.
        scale: factor of the logits; 1/sqrt(head_dim) unless given.
        dropout: on the weights, while training.

    ``tap`` is where a recorder listens: set it to a function and each call hands it an ``AttentionRecord``.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        head_dim: int | None = None,
        memory_dim: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_dim is None and dim % heads:
            raise ValueError(f"a width of {dim} can't be split into {heads} heads; choose heads that divide it")
        self.heads = heads
        self.head_dim = head_dim or dim // heads
        self.scale = scale
        self.dropout = dropout
        self.path: Path = "auto"
        self.tap: Tap | None = None
        inner = heads * self.head_dim
        if memory_dim is None:
            self.qkv = nn.Linear(dim, 3 * inner, bias=bias)
        else:
            self.q = nn.Linear(dim, inner, bias=bias)
            self.kv = nn.Linear(memory_dim, 2 * inner, bias=bias)
        self.out = nn.Linear(inner, dim, bias=bias)

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        memory: Float[Tensor, "b k e"] | KeyValues | None = None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: GrowingKeyValues | None = None,
    ) -> Float[Tensor, "b q d"]:
        """Attend from ``x`` to ``memory`` (cross-attention) or to itself; ``mask`` as in ``attention``.

        Args:
            x: where queries come from.
            memory: where keys and values come from, or these (``project``); ``x`` unless given.
            mask: over all keys, those in the cache included.
            causal: as in ``attention``; the last query sees all.
            cache: keys and values of earlier positions, which ``x`` attends to as well and adds its own to.
        """
        if memory is None:
            q, k, v = self._heads(self.qkv(x), 3)
            if cache is not None:
                k, v = cache.append(k, v)
        else:
            (q,) = self._heads(self.q(x), 1)
            k, v = memory if isinstance(memory, KeyValues) else self.project(memory)
        dropout = self.dropout if self.training else 0.0
        out = attention(
            q, k, v, mask=mask, causal=causal, scale=self.scale, dropout=dropout, path=self.path, tap=self.tap
        )
        merged: Tensor = self.out(rearrange(out, "b h n d -> b n (h d)"))
        return merged

    def project(self, memory: Float[Tensor, "b s e"]) -> KeyValues:
        """The keys and values of a memory, which any number of queries may then attend to."""
        return KeyValues(*self._heads(self.kv(memory), 2))

    def _heads(self, x: Float[Tensor, "b n phd"], parts: int) -> list[Float[Tensor, "b h n d"]]:
        """Cut a projection into its parts and heads.

        Each part is cut out where it lies: its gradient is then written where it belongs, without another copy.
        """
        cut = rearrange(x, "b n (parts h d) -> b n parts h d", parts=parts, h=self.heads)
        return [rearrange(part, "b n h d -> b h n d") for part in cut.unbind(2)]
