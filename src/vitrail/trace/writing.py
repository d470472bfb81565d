"""A trace as JSON and named tensors: the half of the format that writes (``reading.py`` is the other)."""

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from vitrail.trace.biases import Bias
from vitrail.trace.layers import Digest, Layer
from vitrail.trace.masks import Mask
from vitrail.trace.model import Stream, Trace
from vitrail.trace.positions import Axis
from vitrail.trace.predictions import Predictions

Described = dict[str, Any]


class Tensors:
    """Tensors on their way into a file: those of a first look, and the rest."""

    def __init__(self) -> None:
        self.first: dict[str, np.ndarray] = {}
        self.rest: dict[str, np.ndarray] = {}
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, name: str, array: np.ndarray | None, *, first: bool = False) -> str | None:
        """Take numbers under a name; float16 stays that, other broken numbers become float32, whole ones int32."""
        if array is None:
            return None
        if array.dtype.kind == "f":
            dtype = "<f2" if array.dtype == np.float16 else "<f4"
        else:
            dtype = "u1" if array.dtype in (np.uint8, np.bool_) else "<i4"
        return self._put(name, array.astype(dtype, copy=False), first)

    def add_exact(self, name: str, array: np.ndarray | None) -> str | None:
        """Take numbers in float64, for a first look."""
        return None if array is None else self._put(name, array.astype("<f8", copy=False), True)

    def add_shared(self, name: str, array: np.ndarray | None) -> str | None:
        """Take numbers that another layer may have had as well: the same ones are written once."""
        if array is None:
            return None
        content = blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
        known = (array.dtype.str, array.shape, content)
        if known not in self._shared:
            self.add(name, array)
            self._shared[known] = name
        return self._shared[known]

    def in_order(self) -> dict[str, np.ndarray]:
        """All tensors as they stand in the file: each at a multiple of its numbers' size, without gaps."""
        first = dict(sorted(self.first.items(), key=lambda item: -item[1].itemsize))
        odd = -sum(array.nbytes for array in first.values()) % 8
        if odd:
            first["padding"] = np.zeros(odd, np.uint8)
        return first | dict(sorted(self.rest.items(), key=lambda item: -item[1].itemsize))

    def _put(self, name: str, array: np.ndarray, first: bool) -> str:
        (self.first if first else self.rest)[name] = array
        return name


def describe_trace(trace: Trace, tensors: Tensors) -> Described:
    """The JSON of a trace; its arrays go to ``tensors`` under the names that the JSON gives."""
    source = trace.provenance
    return {
        "axes": [_axis(axis, place, tensors) for place, axis in enumerate(trace.axes.values())],
        "streams": [_stream(stream, tensors) for stream in trace.parts],
        "images": {
            name: tensors.add(f"image/{place}", image) for place, (name, image) in enumerate(trace.images.items())
        },
        "provenance": _known(
            model=source.model,
            revision=source.revision,
            weights=source.weights,
            precision=source.precision,
            versions=dict(source.versions),
            seed=source.seed,
            texts=list(source.texts),
            target=source.target,
            notes=dict(source.notes),
            step=source.step,
        ),
    }


def _axis(axis: Axis, place: int, tensors: Tensors) -> Described:
    arrays = {
        name: getattr(axis, name) for name in ("ids", "offsets", "words", "special", "segments", "places", "hidden")
    }
    return _known(
        name=axis.name,
        kind=axis.kind,
        length=axis.length,
        texts=None if axis.texts is None else list(axis.texts),
        grid=None if axis.grid is None else list(axis.grid),
        patch=None if axis.patch is None else list(axis.patch),
        image=axis.image,
        **{name: tensors.add(f"axis/{place}/{name}", array, first=True) for name, array in arrays.items()},
    )


def _stream(stream: Stream, tensors: Tensors) -> Described:
    embedded = tensors.add(f"{stream.name}.embedded", stream.embedded)
    layers = [_layer(layer, f"{stream.name}.{place}", tensors) for place, layer in enumerate(stream.layers)]
    return _known(
        name=stream.name,
        queries=stream.queries,
        keys=stream.keys,
        embedded=embedded,
        predictions=_predictions(stream.predictions, f"{stream.name}.predictions", tensors),
        layers=layers,
    )


def _predictions(found: Predictions | None, label: str, tensors: Tensors) -> Described | None:
    if found is None:
        return None
    first = {name: tensors.add(f"{label}.{name}", getattr(found, name), first=True) for name in _FIRST_PREDICTED}
    lens = {name: tensors.add(f"{label}.{name}", getattr(found, name)) for name in ("lens", "lens_probabilities")}
    return _known(of=found.of, texts=list(found.texts), **first, **lens)


_FIRST_PREDICTED = ("ids", "choices", "probabilities")


def _layer(layer: Layer, label: str, tensors: Tensors) -> Described:
    plain = {name: tensors.add(f"{label}.{name}", getattr(layer, name)) for name in ("q", "k", "v", "sinks")}
    later = {
        name: tensors.add(f"{label}.{name}", getattr(layer, name))
        for name in ("g", "vo", "hidden", "q_before", "k_before")
    }
    scale = tensors.add(f"{label}.scale", layer.scale) if isinstance(layer.scale, np.ndarray) else float(layer.scale)
    return _known(
        name=layer.name,
        **plain,
        **later,
        scale=scale,
        softcap=None if layer.softcap is None else float(layer.softcap),
        softcap_order=layer.softcap_order,
        bias=_bias(layer.bias, label, tensors),
        mask=_mask(layer.mask, label, tensors),
        normaliser=layer.normaliser,
        weights=tensors.add(f"{label}.weights", layer.shipped),
        lse=tensors.add_exact(f"{label}.lse", layer.lse),
        errors=_known(model=_number(layer.errors.model), stored=_number(layer.errors.stored)),
        digest=_digest(layer.digest, label, tensors),
        queries=layer.queries,
        keys=layer.keys,
    )


def _mask(mask: Mask, label: str, tensors: Tensors) -> Described:
    return _known(
        rule=mask.rule,
        offset=mask.offset,
        before=mask.before,
        after=mask.after,
        length=mask.length,
        query_blocks=tensors.add_shared(f"{label}.mask.query_blocks", mask.query_blocks),
        key_blocks=tensors.add_shared(f"{label}.mask.key_blocks", mask.key_blocks),
        bits=tensors.add_shared(f"{label}.mask.bits", mask.bits),
    )


def _bias(bias: Bias | None, label: str, tensors: Tensors) -> Described | None:
    if bias is None:
        return None
    return {"kind": bias.kind, "values": tensors.add_shared(f"{label}.bias", bias.values)}


def _digest(digest: Digest | None, label: str, tensors: Tensors) -> Described | None:
    if digest is None:
        return None
    return {
        "names": list(digest.scores),
        "scores": tensors.add(f"{label}.scores", np.array(list(digest.scores.values()), np.float32), first=True),
        "uniform": [_number(digest.uniform.get(name)) for name in digest.scores],
        "counts": [digest.counts.get(name, 0) for name in digest.scores],
        "thumbnails": tensors.add(f"{label}.thumbnails", digest.thumbnails, first=True),
    }


def _number(value: float | None) -> float | None:
    """JSON knows no NaN."""
    return None if value is None or not math.isfinite(value) else float(value)


def _known(**fields: Any) -> Described:
    """What is known of all this."""
    return {name: value for name, value in fields.items() if value is not None and not _empty(value)}


def _empty(value: Any) -> bool:
    return isinstance(value, Mapping) and not value
