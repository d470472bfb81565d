"""What a captured attention is: streams of layers over named axes, and where they come from.

::

    Trace
    ├── axes         what positions are: tokens with their texts, patches with their places; named once
    ├── streams      encoder, decoder, cross, mae-decoder, …: a query axis, a key axis, and layers
    │   └── layers   q, k, v and whatever else the weights need; the weights themselves only where these don't give them
    ├── images       what patches were cut from
    └── provenance   which model, which input, which seed

A trace is one example without padding. q and k grow with the length where weights grow with its square, so weights are
recomputed when they are asked for (``recompute.py``). Every matrix of weights is ``[h q k]`` and its rows sum to 1,
or to what a sink leaves; a query that may look nowhere has a row of 0.

Arrays may be views of a file on the disk (``file.py``): what isn't asked for isn't read. They are never written to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, UInt8

from vitrail.errors import TraceError
from vitrail.trace import recompute
from vitrail.trace.layers import Layer
from vitrail.trace.positions import Axis
from vitrail.trace.predictions import Predictions
from vitrail.trace.shapes import require_shape


@dataclass(frozen=True, eq=False)
class Stream:
    """One kind of attention of a model, layer by layer."""

    name: str
    """encoder, decoder, cross, mae-decoder, …"""
    queries: str
    """Name of the axis that queries stand at."""
    keys: str
    """Name of the axis that keys stand at."""
    layers: tuple[Layer, ...]
    embedded: Float[np.ndarray, "q m"] | None = None
    """The residual stream as it enters the first layer's block."""
    predictions: Predictions | None = None
    """What the model says at each query, and what it would say after each layer."""


@dataclass(frozen=True)
class Provenance:
    """Where a trace comes from; what is unknown is None."""

    model: str
    """Name on the hub, folder, or class of the module."""
    revision: str | None = None
    """Which version of the model: a commit of the hub, a fingerprint of the weights, a step of training."""
    weights: str = "trained"
    """trained; or how the untrained twin was drawn."""
    precision: str = "float32"
    """What the model computed in."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the packages that took part."""
    seed: int | None = None
    """Of whatever was drawn: the untrained weights, the masked patches."""
    texts: tuple[str, ...] = ()
    """The input, as it was given: one text, two, a document and its summary."""
    target: str | None = None
    """What gradients are of."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Whatever else is worth keeping, by name."""
    step: int | None = None
    """Of a run that was being trained: how many steps it had done. Traces that differ in this alone are a series."""


@dataclass(frozen=True, eq=False)
class Trace:
    """All attention of one model on one example.

    Raises:
        TraceError: parts contradict each other.
    """

    axes: Mapping[str, Axis]
    parts: tuple[Stream, ...]
    """The streams; ``streams`` are their names."""
    provenance: Provenance
    images: Mapping[str, UInt8[np.ndarray, "H W 3"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, axis in self.axes.items():
            if name != axis.name:
                raise TraceError(f"the axis {axis.name!r} stands under the name {name!r}: both are the same.")
            axis.check()
            if axis.image is not None and axis.image not in self.images:
                raise TraceError(f"the axis {name!r} is of the image {axis.image!r}, which isn't there: add the image.")
        for name, image in self.images.items():
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise TraceError(f"the image {name!r} is {image.dtype} {list(image.shape)}: uint8 [H W 3] is needed.")
        if not self.parts or len(set(self.streams)) < len(self.parts):
            raise TraceError(f"the streams are {list(self.streams)}: at least one, and each name once, are needed.")
        for stream in self.parts:
            for layer in stream.layers:
                layer.check(*self.layer_axes(layer, stream))
            first = stream.layers[0].size[0] if stream.layers else None
            require_shape(stream.embedded, (first, None), f"the stream {stream.name!r} has embeddings")
            if stream.predictions is not None:
                length = self.axis(stream.queries).length
                stream.predictions.check(len(stream.layers), length, f"the stream {stream.name!r}")

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams."""
        return tuple(stream.name for stream in self.parts)

    def stream(self, name: str | None = None) -> Stream:
        """A stream by its name; of a trace with one, the name may be left out.

        Raises:
            TraceError: there is none of this name, or several and none was named.
        """
        found = [stream for stream in self.parts if name is None or stream.name == name]
        if len(found) != 1:
            asked = "no stream was named" if name is None else f"there is no stream {name!r}"
            raise TraceError(f"{asked}: this trace has {', '.join(self.streams)}.")
        return found[0]

    def layer(self, layer: int | str, stream: str | None = None) -> Layer:
        """A layer by its number in the stream (from 0; from the end if negative) or by its name.

        Raises:
            TraceError: there is none.
        """
        chosen = self.stream(stream)
        names = [one.name for one in chosen.layers]
        place = names.index(layer) if isinstance(layer, str) and layer in names else layer
        if isinstance(place, str) or not -len(names) <= place < len(names):
            raise TraceError(f"there is no layer {layer!r} in {chosen.name!r}: it has {len(names)}, counted from 0.")
        return chosen.layers[place]

    def axis(self, name: str) -> Axis:
        """An axis by its name.

        Raises:
            TraceError: there is none.
        """
        if name not in self.axes:
            raise TraceError(f"there is no axis {name!r}: this trace has {', '.join(self.axes)}.")
        return self.axes[name]

    def layer_axes(self, layer: Layer, stream: Stream) -> tuple[Axis, Axis]:
        """The axes that a layer's queries and keys stand at."""
        return self.axis(layer.queries or stream.queries), self.axis(layer.keys or stream.keys)

    def tokens(self, stream: str | None = None, of: Literal["queries", "keys"] = "queries") -> Axis:
        """The positions that a stream's queries (or keys) stand at: ``.texts``, ``.words``, ``.special``, …"""
        chosen = self.stream(stream)
        return self.axis(chosen.queries if of == "queries" else chosen.keys)

    def weights(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h q k"]:
        """Attention weights ``[h q k]``, or ``[q k]`` of one head: rows are queries and sum to 1.

        Those of the model where they were shipped, else recomputed; ``Layer.errors`` says how far the two differ.

        Raises:
            TraceError: no such layer or head, numbers that aren't finite, or more weights than memory holds.
        """
        return recompute.weights(self.layer(layer, stream), head)

    def scores(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h q k"]:
        """Logits that the softmax sees, ``[h q k]`` or ``[q k]``; -inf where a query may not look."""
        return recompute.scores(self.layer(layer, stream), head)

    def gradients(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h q k"]:
        """dL/dA, ``[h q k]`` or ``[q k]``: how the target changes with each weight; g vᵀ.

        Raises:
            TraceError: the trace was taken without gradients or without values.
        """
        return recompute.gradients(self.layer(layer, stream), head)

    def queries(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h q d"]:
        """Queries, ``[h q d]`` or ``[q d]``."""
        return recompute.part(self.layer(layer, stream), "q", head)

    def keys(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h k d"]:
        """Keys, ``[h k d]`` or ``[k d]``, repeated where several heads share them."""
        return recompute.part(self.layer(layer, stream), "k", head)

    def values(
        self, layer: int | str, head: int | None = None, stream: str | None = None
    ) -> Float32[np.ndarray, "*h k dv"]:
        """Values, ``[h k dv]`` or ``[k dv]``, repeated where several heads share them.

        Raises:
            TraceError: the trace was taken without values.
        """
        return recompute.part(self.layer(layer, stream), "v", head)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the trace as one ``.safetensors`` file (docs/trace-format.md).

        Raises:
            OutputError: the file can't be written.
        """
        from vitrail.trace.file import save_trace

        return save_trace(self, path)
