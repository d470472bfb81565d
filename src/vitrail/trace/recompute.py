"""From queries and keys to weights: softmax(cap(scale · q kᵀ + bias) where the mask allows), in float64, by rows.

q and k are stored as the model had them, so float64 leaves only the model's own rounding between its weights and ours
(``Errors.model``). A block of rows is held at a time: a layer's weights need not fit into memory.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, Float64

from vitrail.errors import TraceError

if TYPE_CHECKING:
    from vitrail.trace.layers import Layer

BLOCK = 2**20
"""How many scores are held at a time: 8 MiB in float64."""


def row_blocks(layer: "Layer", matrices: int = 1) -> Iterator[slice]:
    """All rows of a layer, in blocks of as many as are held at a time of so many matrices."""
    queries, keys = layer.size
    step = max(1, BLOCK // (keys * matrices))
    return (slice(start, min(start + step, queries)) for start in range(0, queries, step))


def score_rows(layer: "Layer", head: int, rows: slice) -> Float64[np.ndarray, "q k"]:
    """Logits that the softmax sees, of one head and some queries; -inf where these may not look."""
    queries, keys = layer.size
    q = layer.q[head, rows].astype(np.float64)
    k = layer.k[head // (layer.heads // layer.k.shape[0])].astype(np.float64)
    scores: np.ndarray = (q * float(np.broadcast_to(layer.scale, (layer.heads,))[head])) @ k.T
    capped_first = layer.softcap is not None and layer.softcap_order == "before mask"
    if capped_first:
        scores = _capped(scores, layer.softcap)
    if layer.bias is not None:
        scores += layer.bias.expand(queries, keys, rows, head)
    if layer.mask.rule != "all":
        allowed = layer.mask.expand(queries, keys, rows)
        np.copyto(scores, -np.inf, where=~(allowed[head] if allowed.ndim == 3 else allowed))
    return scores if capped_first else _capped(scores, layer.softcap)


def _capped(scores: Float64[np.ndarray, "q k"], cap: float | None) -> Float64[np.ndarray, "q k"]:
    if cap is None:
        return scores
    scores /= cap
    np.tanh(scores, out=scores)
    scores *= cap
    return scores


def weight_rows(layer: "Layer", head: int, rows: slice) -> tuple[Float64[np.ndarray, "q k"], Float64[np.ndarray, " q"]]:
    """Weights of one head and some queries from q and k, and the log-sum-exp of each row, a sink included.

    A query that may look nowhere has weights of 0 and a log-sum-exp of -inf.

    Raises:
        TraceError: q, k or the bias hold numbers that aren't finite.
    """
    weights = score_rows(layer, head, rows)
    highest = weights.max(axis=1)
    if layer.sinks is not None:
        highest = np.maximum(highest, layer.sinks[head])
    highest = np.where(highest == -np.inf, 0.0, highest)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights -= highest[:, None]
        np.exp(weights, out=weights)
        total = weights.sum(axis=1)
        if layer.sinks is not None:
            total += np.exp(np.float64(layer.sinks[head]) - highest)
        lse: np.ndarray = highest + np.log(total)
    if np.isnan(lse).any() or (lse == np.inf).any():
        raise TraceError(
            f"the layer {layer.name!r} has queries, keys or a bias with numbers that aren't finite in head {head}: "
            "the file is damaged or the model overflowed; capture it again, in float32."
        )
    weights /= np.where(total > 0, total, 1)[:, None]
    return weights, lse


def weights(layer: "Layer", head: int | None = None) -> Float32[np.ndarray, "*h q k"]:
    """Weights of a layer ``[h q k]``, or of one head ``[q k]``: shipped ones where there are any, else recomputed.

    Raises:
        TraceError: no such head, numbers that aren't finite, or more weights than memory holds.
    """
    if layer.shipped is not None:
        return _finite(part(layer, "shipped", head), layer, "weights")
    return _matrix(layer, head, lambda one, rows: weight_rows(layer, one, rows)[0])


def scores(layer: "Layer", head: int | None = None) -> Float32[np.ndarray, "*h q k"]:
    """Logits of a layer ``[h q k]``, or of one head ``[q k]``; -inf where a query may not look."""
    return _matrix(layer, head, lambda one, rows: score_rows(layer, one, rows))


def gradients(layer: "Layer", head: int | None = None) -> Float32[np.ndarray, "*h q k"]:
    """dL/dA = g vᵀ of a layer ``[h q k]``, or of one head ``[q k]``.

    Raises:
        TraceError: the trace was taken without gradients or without values.
    """
    if layer.g is None:
        raise TraceError(f"the layer {layer.name!r} has no gradients: capture again with a target.")
    g = layer.g

    def product(one: int, rows: slice) -> np.ndarray:
        of_rows: np.ndarray = g[one, rows].astype(np.float64) @ part(layer, "v", one).astype(np.float64).T
        return of_rows

    return _matrix(layer, head, product)


def part(layer: "Layer", name: Literal["q", "k", "v", "shipped"], head: int | None = None) -> np.ndarray:
    """Queries, keys, values or shipped weights in float32, of all heads or one; shared ones are repeated.

    Raises:
        TraceError: the trace was taken without it, or there is no such head.
    """
    array = getattr(layer, name)
    if array is None:
        raise TraceError(f"the layer {layer.name!r} was captured without {name}: capture it again with {name}.")
    shared = layer.heads // array.shape[0]
    if head is None:
        return np.repeat(array, shared, axis=0).astype(np.float32)
    return np.array(array[_numbered(layer, head) // shared], dtype=np.float32)


def _numbered(layer: "Layer", head: int) -> int:
    if not 0 <= head < layer.heads:
        raise TraceError(f"the layer {layer.name!r} has no head {head}: it has {layer.heads}, counted from 0.")
    return head


def _matrix(
    layer: "Layer", head: int | None, rows_of: Callable[[int, slice], np.ndarray]
) -> Float32[np.ndarray, "*h q k"]:
    heads = range(layer.heads) if head is None else [_numbered(layer, head)]
    shape = (len(heads), *layer.size)
    try:
        matrix = np.empty(shape, dtype=np.float32)
    except MemoryError as error:
        raise TraceError(
            f"the layer {layer.name!r} would need {np.prod(shape, dtype=float) * 4 / 2**30:,.0f} GiB of memory as "
            f"{list(shape)} numbers: ask for one head, or for fewer tokens."
        ) from error
    for place, one in enumerate(heads):
        for rows in row_blocks(layer):
            matrix[place, rows] = rows_of(one, rows)
    return matrix if head is None else matrix[0]


def _finite(array: np.ndarray, layer: "Layer", what: str) -> np.ndarray:
    if not np.isfinite(array).all():
        raise TraceError(f"the layer {layer.name!r} has {what} that aren't finite: the file is damaged; capture again.")
    return array
