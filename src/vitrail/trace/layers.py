"""One attention layer: what its weights are made of, how exact these are, and what a first look needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8

from vitrail.errors import TraceError
from vitrail.trace.biases import Bias
from vitrail.trace.masks import Mask
from vitrail.trace.positions import Axis
from vitrail.trace.shapes import require_shape

Normaliser = Literal["softmax", "sink", "other"]
NORMALISERS: tuple[str, ...] = get_args(Normaliser)
SoftcapOrder = Literal["before mask", "after mask"]
SOFTCAP_ORDERS: tuple[str, ...] = get_args(SoftcapOrder)


@dataclass(frozen=True)
class Errors:
    """How far recomputed weights are from what they stand for, at most, over all heads; None where not measured."""

    model: float | None = None
    """The model's own weights against those recomputed from its q and k."""
    stored: float | None = None
    """Weights from the model's q and k against those from what is stored (0 unless it was rounded to float16)."""


@dataclass(frozen=True, eq=False)
class Digest:
    """What a first look needs, computed at capture, so that it costs no matrix."""

    scores: Mapping[str, Float[np.ndarray, " h"]]
    """Every score of every head (``scores.py``); NaN where a score says nothing about this input."""
    uniform: Mapping[str, float]
    """The same scores of a head that attends everywhere it may alike."""
    counts: Mapping[str, int]
    """How many queries each score is the mean over."""
    thumbnails: UInt8[np.ndarray, "h t u"]
    """The weights in at most 48 x 48 cells: the mass that goes from a query of one cell to all keys of another, on
    average; its square root, 255 for a mass of 1."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One attention layer on one example; numbers are float32 (float16 where that was asked for)."""

    name: str
    """Path of the module in its model: ``encoder.layer.3.attention.self``."""
    q: Float[np.ndarray, "h q d"]
    """Queries as the product with keys sees them: after rotary positions and any norm."""
    k: Float[np.ndarray, "hkv k d"]
    """Keys; with fewer heads than queries have, head i of h uses head i // (h / hkv)."""
    v: Float[np.ndarray, "hkv k dv"] | None = None
    q_before: Float[np.ndarray, "h q d"] | None = None
    """Queries before rotary positions."""
    k_before: Float[np.ndarray, "hkv k d"] | None = None
    """Keys before rotary positions."""
    scale: float | Float[np.ndarray, " h"] = 1.0
    """Factor of q kᵀ."""
    softcap: float | None = None
    """c in c · tanh(score / c)."""
    softcap_order: SoftcapOrder = "before mask"
    """Whether bias and mask come after the cap (Gemma 2), or the cap after these."""
    bias: Bias | None = None
    mask: Mask = field(default_factory=Mask)
    sinks: Float[np.ndarray, " h"] | None = None
    """One more logit per head, which takes its share of the softmax and is no key (gpt-oss)."""
    normaliser: Normaliser = "softmax"
    """softmax; softmax with sinks; or another one, whose weights must then be shipped."""
    shipped: Float[np.ndarray, "h q k"] | None = None
    """The model's own weights, where these can't be recomputed."""
    lse: Float[np.ndarray, "h q"] | None = None
    """Log-sum-exp of each row of scores, a sink included: any one weight is exp(score - lse)."""
    g: Float[np.ndarray, "h q dv"] | None = None
    """dL/d(the head's output): dL/dA = g vᵀ."""
    vo: Float[np.ndarray, "h k"] | None = None
    """Norm of each value after the output projection: abs(v W_O)."""
    hidden: Float[np.ndarray, "q m"] | None = None
    """The residual stream as it leaves this layer's block."""
    errors: Errors = Errors()
    digest: Digest | None = None
    queries: str | None = None
    """Name of the axis that queries stand at; the stream's unless given."""
    keys: str | None = None
    """Name of the axis that keys stand at; the stream's unless given."""

    @property
    def heads(self) -> int:
        """How many heads queries have."""
        return int(self.q.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """How many queries and keys there are."""
        return int(self.q.shape[1]), int(self.k.shape[1])

    def check(self, queries: Axis, keys: Axis) -> None:
        """Refuse a layer that contradicts itself or its axes.

        Raises:
            TraceError: a part of another shape than the others, a number that isn't finite, an unknown rule.
        """
        where = f"the layer {self.name!r}"
        if self.q.ndim != 3 or self.k.ndim != 3 or 0 in self.q.shape or 0 in self.k.shape:
            raise TraceError(
                f"{where} has q {list(self.q.shape)} and k {list(self.k.shape)}: [h q d] and [hkv k d] "
                "of at least one each are needed."
            )
        h, q, d = self.q.shape
        hkv, k, _ = self.k.shape
        if (q, k) != (queries.length, keys.length):
            raise TraceError(
                f"{where} has {q} queries and {k} keys, but its axes {queries.name!r} and {keys.name!r} "
                f"have {queries.length} and {keys.length}: an axis is as long as what stands at it."
            )
        if self.k.shape[2] != d or h % hkv:
            raise TraceError(
                f"{where} has q {[h, q, d]} and k {list(self.k.shape)}: both are equally wide, "
                "and the heads of k divide those of q."
            )
        dv = None if self.v is None or self.v.ndim != 3 else self.v.shape[2]
        require_shape(self.v, (hkv, k, dv), f"{where} has v")
        require_shape(self.g, (h, q, dv), f"{where} has g")
        require_shape(self.q_before, (h, q, d), f"{where} has q_before")
        require_shape(self.k_before, (hkv, k, d), f"{where} has k_before")
        require_shape(self.vo, (h, k), f"{where} has vo")
        require_shape(self.lse, (h, q), f"{where} has lse")
        require_shape(self.sinks, (h,), f"{where} has sinks")
        require_shape(self.shipped, (h, q, k), f"{where} has weights")
        require_shape(self.hidden, (q, None), f"{where} has hidden states")
        if np.ndim(self.scale):
            require_shape(np.asarray(self.scale), (h,), f"{where} has scales")
        if not np.isfinite(self.scale).all() or (self.sinks is not None and not np.isfinite(self.sinks).all()):
            raise TraceError(f"{where} has a scale or sinks that aren't finite: capture it again.")
        if self.softcap is not None and not 0 < self.softcap < float("inf"):
            raise TraceError(f"{where} has a softcap of {self.softcap}: it is above 0, or None for none.")
        if self.softcap_order not in SOFTCAP_ORDERS or self.normaliser not in NORMALISERS:
            raise TraceError(
                f"{where} has a softcap {self.softcap_order!r} and the normaliser {self.normaliser!r}: "
                f"they are one of {', '.join(SOFTCAP_ORDERS)} and one of {', '.join(NORMALISERS)}."
            )
        if (self.normaliser == "sink") != (self.sinks is not None):
            raise TraceError(
                f"{where} has {'no ' if self.sinks is None else ''}sinks and the normaliser "
                f"{self.normaliser!r}: sinks and the normaliser 'sink' go together."
            )
        if self.normaliser == "other" and self.shipped is None:
            raise TraceError(f"{where} has weights that no softmax gives, and none were shipped: ship the model's.")
        self.mask.check(h, q, k, where)
        if self.bias is not None:
            self.bias.check(h, q, k, where)
        if self.digest is not None:
            require_shape(self.digest.thumbnails, (h, None, None), f"{where} has thumbnails")
            for name, score in self.digest.scores.items():
                require_shape(score, (h,), f"{where} has {name} scores")
