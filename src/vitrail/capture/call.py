"""One call of attention as it was heard, and all calls of a run.

Whatever computed it, a call is written in one form: softmax(softcap(q kᵀ · scale) + bias + mask) v, one ``[b h q k]``
matrix of weights, rows are queries. What a model does beyond that form stands in ``weights``, which are always its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

Source = Literal["vitrail", "interface", "fused", "multihead", "formula", "weights"]
"""Where a call was heard: our own attention, Hugging Face's interface, scaled_dot_product_attention,
multi_head_attention_forward, a softmax between two products, or a softmax alone (weights only)."""


@dataclass(frozen=True)
class Call:
    """One call of attention by one module."""

    name: str
    """The module's path; ``"@2"`` follows where it was called for the second time (ALBERT shares one)."""
    source: Source
    """Where it was heard."""
    weights: Float[Tensor, "b h q k"]
    """What the model multiplied the values with, dropout aside; in the model's precision."""
    q: Float[Tensor, "b h q d"] | None = None
    """Queries as the product saw them: after norms and rotary positions."""
    k: Float[Tensor, "b hkv k d"] | None = None
    """Keys; ``hkv`` heads of keys serve ``h / hkv`` heads of queries each."""
    v: Float[Tensor, "b hkv k dv"] | None = None
    """Values; their width may differ from the queries'."""
    output: Float[Tensor, "b h q dv"] | None = None
    """What each head gave, before the output projection."""
    mask: Tensor | None = None
    """Boolean (True = may attend) or additive, broadcastable to ``[b h q k]``."""
    causal: bool = False
    """A query sees no key after its own position, beside what ``mask`` says; both counted from the first."""
    scale: float | None = None
    """Factor of the logits; None where it isn't known."""
    bias: Tensor | None = None
    """Added to the logits, broadcastable to ``[b h q k]``."""
    softcap: float | None = None
    """Logits are bent to softcap · tanh(logits / softcap) before bias and mask."""
    sinks: Tensor | None = None
    """A logit a head ``[h]`` (or a query ``[b h q 1]``) that takes its share of each row's sum and gives nothing."""
    cross: bool = False
    """Keys come from another sequence than queries."""

    @property
    def complete(self) -> bool:
        """Whether queries, keys and values are here, and not the weights alone."""
        return self.q is not None and self.k is not None and self.v is not None

    @property
    def layer(self) -> str:
        """The module's path without the count."""
        return self.name.partition("@")[0]

    def detached(self) -> "Call":
        """The same without its graph of gradients."""
        cut: dict[str, Any] = {
            name: value.detach()
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and value.requires_grad
        }
        return replace(self, **cut) if cut else self

    def recomputed(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "b h q k"] | None:
        """The weights from queries and keys alone, or None where these are missing."""
        if self.q is None or self.k is None or self.scale is None:
            return None
        return weights_of(
            self.q.to(dtype),
            self.k.to(dtype),
            scale=self.scale,
            mask=self.mask,
            causal=self.causal,
            bias=self.bias,
            softcap=self.softcap,
            sinks=self.sinks,
        )


LARGE = 2**22
"""From so many weights on they are computed head by head, so that nothing else of their size is in memory."""


def weights_of(
    q: Float[Tensor, "b h q d"],
    k: Float[Tensor, "b hkv k d"],
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    bias: Tensor | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Float[Tensor, "b h q k"]:
    """Attention weights from queries and keys; the arguments as in ``Call``, the precision that of ``q``.

    A query that may attend nowhere gets zeros where the mask is boolean or -inf.
    """
    heads, groups = q.shape[1], k.shape[1]
    size = q.shape[0] * heads * q.shape[2] * k.shape[2]
    if size > LARGE and heads > 1 and not torch.is_grad_enabled():
        weights = q.new_empty(q.shape[0], heads, q.shape[2], k.shape[2])
        for head in range(heads):
            one, shared = slice(head, head + 1), slice(head * groups // heads, head * groups // heads + 1)
            terms = {name: of_heads(x, one) for name, x in (("mask", mask), ("bias", bias), ("sinks", sinks))}
            found = weights_of(q[:, one], k[:, shared], scale=scale, causal=causal, softcap=softcap, **terms)
            weights[:, one] = found
        return weights
    k = _repeated(k, heads)
    scores = torch.matmul(q, k.transpose(-1, -2)) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    if sinks is not None:
        extra = sinks if sinks.ndim == 4 else sinks.reshape(-1, q.shape[1], 1, 1)
        extra = extra.to(scores.dtype).expand(*scores.shape[:-1], 1)
        return torch.cat([scores, extra], dim=-1).softmax(-1)[..., :-1]
    deaf = scores.amax(-1, keepdim=True) == float("-inf")
    return scores.masked_fill(deaf, 0.0).softmax(-1).masked_fill(deaf, 0.0) if deaf.any() else scores.softmax(-1)


def of_heads(term: Tensor | None, heads: slice) -> Tensor | None:
    """Of a mask, a bias or sinks, what is of these heads; terms that all heads share stay as they are."""
    if term is None or term.ndim in (0, 2):
        return term
    axis = term.ndim - 3 if term.ndim > 2 else 0
    return term if term.shape[axis] == 1 else term.narrow(axis, heads.start, heads.stop - heads.start)


def attended(weights: Float[Tensor, "b h q k"], v: Float[Tensor, "b hkv k dv"]) -> Float[Tensor, "b h q dv"]:
    """What each head gives: its values, weighted."""
    return weights.to(v.dtype) @ _repeated(v, weights.shape[1])


def _repeated(x: Tensor, heads: int) -> Tensor:
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)


@dataclass
class Record:
    """All calls of attention, in the order in which they came."""

    calls: list[Call] = field(default_factory=list)
    """Empty where the calls were handed on one by one instead."""
    refused: dict[str, str] = field(default_factory=dict)
    """Modules that look like attention, ran, and were not heard: path and reason."""

    @property
    def weights(self) -> dict[str, Float[Tensor, "b h q k"]]:
        """Float32 weights of each call."""
        return {call.name: call.weights.float() for call in self.calls}

    @property
    def weights_only(self) -> list[str]:
        """Calls whose queries and keys could not be had."""
        return [call.name for call in self.calls if not call.complete]

    def __getitem__(self, name: str) -> Call:
        """The call of that name.

        Raises:
            KeyError: there is none; the text lists some that there are.
        """
        for call in self.calls:
            if call.name == name:
                return call
        raise KeyError(
            f"no call of attention is named {name!r}; there are {', '.join(c.name for c in self.calls[:5])}…"
        )

    def __iter__(self) -> Iterator[Call]:
        """The calls in their order."""
        return iter(self.calls)

    def __len__(self) -> int:
        """How many calls there were."""
        return len(self.calls)
