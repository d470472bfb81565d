"""Every score of every head as a table: of one input, or the mean over many with what their choice leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from vitrail.errors import TraceError
from vitrail.trace.alignment import LEAST, aligned, aligned_if_uniform
from vitrail.trace.finishing import finish_layer
from vitrail.trace.layers import Digest
from vitrail.trace.model import Trace
from vitrail.trace.scores import SCORES

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1000


@dataclass(frozen=True, eq=False)
class HeadScores:
    """Scores of all heads over some inputs; a head is a stream, a layer and a number."""

    heads: list[tuple[str, int, int]]
    names: tuple[str, ...]
    means: Float64[np.ndarray, "heads scores"]
    """Over the inputs that a score says something about; NaN where there is none."""
    low: Float64[np.ndarray, "heads scores"]
    high: Float64[np.ndarray, "heads scores"]
    """The middle 95% of the means of inputs drawn anew; the mean itself where there is one input."""
    uniform: Float64[np.ndarray, "heads scores"]
    """What attending everywhere alike would give on the same inputs."""
    counts: Int64[np.ndarray, "heads scores"]
    """How many queries took part, over all inputs."""


def head_scores(traces: Trace | Sequence[Trace], seed: int = 0) -> "pd.DataFrame":
    """A table of what each head does: stream, layer, head, and a column for each score (``vitrail.trace.scores``).

    NaN stands where a score says nothing about the input: no previous token in cross-attention, no pixels in a text.
    With gradients there is "importance" too, and with cross-attention "aligned" (``vitrail.trace.alignment``). Of
    several traces of one model, each number is the mean over these, and ``"previous low"`` and ``"previous high"``
    beside ``"previous"`` are the middle 95% of 1,000 means over as many traces drawn with replacement (bootstrap).

    Args:
        traces: one trace, or several of the same model.
        seed: of the draws.

    Raises:
        TraceError: no traces, or traces with different streams, layers or heads.
    """
    import pandas as pd

    several = not isinstance(traces, Trace) and len(traces) > 1
    scores = gather_scores(traces, seed)
    columns: dict[str, object] = {
        name: [head[place] for head in scores.heads] for place, name in enumerate(("stream", "layer", "head"))
    }
    for place, name in enumerate(scores.names):
        columns[name] = scores.means[:, place]
        if several:
            columns |= {f"{name} low": scores.low[:, place], f"{name} high": scores.high[:, place]}
    return pd.DataFrame(columns)


def gather_scores(traces: Trace | Sequence[Trace], seed: int = 0) -> HeadScores:
    """The scores of all heads over some inputs, with intervals and what uniform attention would give.

    Raises:
        TraceError: no traces, or traces with different streams, layers or heads.
    """
    found = [traces] if isinstance(traces, Trace) else list(traces)
    if not found:
        raise TraceError("there are no traces to score: give at least one.")
    layouts = [[(stream.name, len(layer.q)) for stream in trace.parts for layer in stream.layers] for trace in found]
    for trace, layout in zip(found, layouts, strict=True):
        if layout != layouts[0]:
            raise TraceError(
                f"the traces of {found[0].provenance.model!r} and {trace.provenance.model!r} have different streams, "
                "layers or heads: score traces of one model together."
            )
    digests = [_digests(trace) for trace in found]
    extra = [name for one in digests for digest in one for name in digest.scores if name not in SCORES]
    names = (*SCORES, *dict.fromkeys(extra))
    heads = [
        (stream.name, place, head)
        for stream in found[0].parts
        for place, layer in enumerate(stream.layers)
        for head in range(layer.heads)
    ]
    values = np.stack([_heads_by_scores(one, names) for one in digests])
    low, high = _interval(values, seed)
    sizes = [len(digest.thumbnails) for digest in digests[0]]
    uniform = np.stack([[[digest.uniform.get(name, np.nan) for name in names] for digest in one] for one in digests])
    counts = np.stack([[[digest.counts.get(name, 0) for name in names] for digest in one] for one in digests])
    return HeadScores(
        heads,
        names,
        _mean(values),
        low,
        high,
        np.repeat(_mean(uniform), sizes, axis=0),
        np.repeat(counts.sum(axis=0), sizes, axis=0),
    )


def _digests(trace: Trace) -> list[Digest]:
    """The digests of all layers; those that were not made at capture are made now."""
    found = []
    for stream in trace.parts:
        for layer in stream.layers:
            queries, keys = trace.layer_axes(layer, stream)
            digest = layer.digest or finish_layer(layer, queries, keys).digest
            if digest is not None:
                across = queries.name != keys.name and keys.grid is None
                found.append(_with_alignment(digest, layer.size[0]) if across else digest)
    return found


def _with_alignment(digest: Digest, queries: int) -> Digest:
    """The digest of a layer of cross-attention with one more score, which its thumbnails tell."""
    *_, rows, columns = digest.thumbnails.shape
    enough = min(rows, columns) >= LEAST
    return replace(
        digest,
        scores={**digest.scores, "aligned": aligned(digest.thumbnails)},
        uniform={**digest.uniform, "aligned": aligned_if_uniform(columns) if enough else np.nan},
        counts={**digest.counts, "aligned": queries if enough else 0},
    )


def _heads_by_scores(digests: list[Digest], names: Sequence[str]) -> Float64[np.ndarray, "heads scores"]:
    layers = []
    for digest in digests:
        unknown = np.full(len(digest.thumbnails), np.nan)
        layers.append(np.stack([np.asarray(digest.scores.get(name, unknown), np.float64) for name in names], axis=1))
    return np.concatenate(layers)


def _mean(values: Float64[np.ndarray, "traces *rest"]) -> Float64[np.ndarray, " *rest"]:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _interval(values: Float64[np.ndarray, "traces heads scores"], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95% of the means over traces drawn with replacement."""
    traces = len(values)
    if traces == 1:
        return values[0], values[0]
    draws = np.random.default_rng(seed).multinomial(traces, [1 / traces] * traces, size=DRAWS).astype(np.float64)
    known = np.isfinite(values)
    low, high = np.full((2, *values.shape[1:]), np.nan)
    for place in range(values.shape[2]):
        taken = draws @ known[:, :, place].astype(np.float64)
        means = draws @ np.where(known[:, :, place], values[:, :, place], 0) / np.maximum(taken, 1)
        means[taken == 0] = np.nan
        some = known[:, :, place].any(axis=0)
        if not some.any():
            continue
        low[some, place], high[some, place] = np.nanquantile(means[:, some], (0.025, 0.975), axis=0)
    return low, high
