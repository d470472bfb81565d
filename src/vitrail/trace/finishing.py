"""From what was captured to what is kept: log-sum-exps, errors, digests; weights are shipped only where they must be.

A capture calls ``finish_layer`` with each layer as it comes, and with the weights that the model itself used, which are
then let go. The layer is walked through a block of rows at a time, so this needs no more memory beside them.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vitrail.errors import TraceError
from vitrail.trace.digest import Digesting
from vitrail.trace.layers import Errors, Layer
from vitrail.trace.model import Trace
from vitrail.trace.positions import Axis
from vitrail.trace.recompute import row_blocks, weight_rows

TOLERANCE = 1e-6
"""How far recomputed weights of a float32 model may be from its own."""
_ROUNDED = ("q", "k", "q_before", "k_before", "v", "g", "vo", "hidden", "shipped")


def finish_layer(
    layer: Layer,
    queries: Axis,
    keys: Axis,
    weights: Float[np.ndarray, "h q k"] | None = None,
    *,
    half: bool = False,
    tolerance: float = TOLERANCE,
) -> Layer:
    """The layer as it is kept: rounded, with ``lse``, ``errors`` and ``digest``.

    Args:
        layer: as captured, unrounded.
        queries: what its queries stand at.
        keys: what its keys stand at.
        weights: those that the model itself used. They are shipped where those from q and k differ by more than
            ``tolerance``, or can't be recomputed; without them, ``errors.model`` stays as it is.
        half: keep float16 instead of float32; ``errors.stored`` says what that costs.
        tolerance: the largest difference of a weight; 1e-6 is what float32 holds.

    Raises:
        TraceError: parts contradict each other, aren't finite, or are too large for float16.
    """
    if weights is not None:
        layer = replace(layer, shipped=weights)
    layer.check(queries, keys)
    theirs = layer.shipped
    stored = _rounded(layer, half)
    lossy = any(not np.array_equal(getattr(stored, name), getattr(layer, name)) for name in ("q", "k"))
    lse = np.empty((layer.heads, layer.size[0]))
    apart, rounding = 0.0, 0.0
    digesting = Digesting(layer, queries, keys)
    for rows in row_blocks(layer, layer.heads + 1):
        block = np.empty((layer.heads, rows.stop - rows.start, layer.size[1]), np.float32)
        for head in range(layer.heads):
            if layer.normaliser != "other":
                again, lse[head, rows] = weight_rows(stored, head, rows)
                exact = weight_rows(layer, head, rows)[0] if lossy else again
                rounding = max(rounding, float(np.abs(exact - again).max()) if lossy else 0.0)
                apart = max(apart, float(np.abs(exact - theirs[head, rows]).max()) if theirs is not None else 0.0)
                block[head] = again
            if theirs is not None:
                block[head] = theirs[head, rows]
        if not np.isfinite(block).all():
            raise TraceError(f"the layer {layer.name!r} has weights that aren't finite: capture it in float32.")
        digesting.add(block, rows)
    recomputed = layer.normaliser != "other"
    needed = not recomputed or apart > tolerance
    return replace(
        stored,
        shipped=stored.shipped if needed else None,
        lse=lse if recomputed else None,
        errors=Errors(
            apart if recomputed and theirs is not None else layer.errors.model, rounding if recomputed else None
        ),
        digest=digesting.finish(),
    )


def finish(trace: Trace, *, half: bool = False) -> Trace:
    """The trace as it is kept: ``finish_layer`` of each layer that isn't finished yet; weights it ships stay if needed.

    Raises:
        TraceError: numbers aren't finite, or are too large for float16.
    """
    parts = tuple(
        replace(
            stream,
            layers=tuple(
                layer if layer.digest is not None else finish_layer(layer, *trace.layer_axes(layer, stream), half=half)
                for layer in stream.layers
            ),
        )
        for stream in trace.parts
    )
    return replace(trace, parts=parts)


def _rounded(layer: Layer, half: bool) -> Layer:
    """The layer in float32 or float16; what has these types already isn't copied."""
    dtype = np.float16 if half else np.float32
    arrays: dict[str, np.ndarray] = {}
    for name in _ROUNDED:
        array = getattr(layer, name)
        if array is None or array.dtype in (dtype, np.float16):
            continue
        with np.errstate(over="ignore"):
            arrays[name] = array.astype(dtype)
        if np.isinf(arrays[name]).any():
            raise TraceError(
                f"the layer {layer.name!r} has {name} with numbers that {np.dtype(dtype)} can't hold: keep float32, "
                "and capture again if that doesn't help."
            )
    return replace(layer, **arrays)  # type: ignore[arg-type]
