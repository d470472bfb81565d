"""A trace from JSON and named tensors: the half of the format that reads, and doubts (``writing.py`` is the other)."""

import math
from typing import Any, cast

import numpy as np

from vitrail.errors import TraceError
from vitrail.trace.biases import Bias
from vitrail.trace.fields import Fields
from vitrail.trace.layers import Digest, Errors, Layer
from vitrail.trace.masks import Mask
from vitrail.trace.model import Provenance, Stream, Trace
from vitrail.trace.positions import Axis, named
from vitrail.trace.predictions import Predictions


def read_trace(described: Fields) -> Trace:
    """The trace that a file describes.

    Raises:
        TraceError: a field is missing or of another kind, or parts contradict each other.
    """
    axes = named(_axis(one) for one in described.objects("axes"))
    streams = tuple(_stream(one) for one in described.objects("streams"))
    source = described.needed("provenance", described.object("provenance"))
    images = described.object("images")
    return Trace(axes, streams, _provenance(source), {} if images is None else _images(images))


def _provenance(found: Fields) -> Provenance:
    return Provenance(
        model=found.needed("model", found.text("model")),
        revision=found.text("revision"),
        weights=found.text("weights") or "trained",
        precision=found.text("precision") or "float32",
        versions=found.names("versions"),
        seed=found.whole("seed"),
        texts=found.texts("texts") or (),
        target=found.text("target"),
        notes=found.names("notes"),
        step=found.whole("step"),
    )


def _images(found: Fields) -> dict[str, np.ndarray]:
    return {name: found.needed(name, found.tensor(name, "u")) for name in found.value}


def _axis(found: Fields) -> Axis:
    return Axis(
        name=found.needed("name", found.text("name")),
        kind=found.needed("kind", found.text("kind")),
        length=found.needed("length", found.whole("length")),
        texts=found.texts("texts"),
        ids=found.tensor("ids", "i"),
        offsets=found.tensor("offsets", "i"),
        words=found.tensor("words", "i"),
        special=found.flags("special"),
        segments=found.tensor("segments", "i"),
        grid=found.pair("grid"),
        patch=found.pair("patch"),
        places=found.tensor("places", "i"),
        hidden=found.flags("hidden"),
        image=found.text("image"),
    )


def _stream(found: Fields) -> Stream:
    return Stream(
        name=found.needed("name", found.text("name")),
        queries=found.needed("queries", found.text("queries")),
        keys=found.needed("keys", found.text("keys")),
        layers=tuple(_layer(one) for one in found.objects("layers")),
        embedded=found.tensor("embedded"),
        predictions=_predictions(found.object("predictions")),
    )


def _predictions(found: Fields | None) -> Predictions | None:
    if found is None:
        return None
    return Predictions(
        of=found.needed("of", found.text("of")),
        texts=found.needed("texts", found.texts("texts")),
        ids=found.needed("ids", found.tensor("ids", "i")),
        choices=found.needed("choices", found.tensor("choices", "i")),
        probabilities=found.needed("probabilities", found.tensor("probabilities")),
        lens=found.tensor("lens", "i"),
        lens_probabilities=found.tensor("lens_probabilities"),
    )


def _layer(found: Fields) -> Layer:
    errors = found.object("errors")
    scale: Any = found.tensor("scale") if isinstance(found.value.get("scale"), str) else found.number("scale")
    return Layer(
        name=found.needed("name", found.text("name")),
        q=found.needed("q", found.tensor("q")),
        k=found.needed("k", found.tensor("k")),
        v=found.tensor("v"),
        q_before=found.tensor("q_before"),
        k_before=found.tensor("k_before"),
        scale=found.needed("scale", scale),
        softcap=found.number("softcap"),
        softcap_order=cast(Any, found.text("softcap_order") or "before mask"),
        bias=_bias(found.object("bias")),
        mask=_mask(found.object("mask")),
        sinks=found.tensor("sinks"),
        normaliser=cast(Any, found.text("normaliser") or "softmax"),
        shipped=found.tensor("weights"),
        lse=found.tensor("lse"),
        g=found.tensor("g"),
        vo=found.tensor("vo"),
        hidden=found.tensor("hidden"),
        errors=Errors() if errors is None else Errors(errors.number("model"), errors.number("stored")),
        digest=_digest(found.object("digest")),
        queries=found.text("queries"),
        keys=found.text("keys"),
    )


def _mask(found: Fields | None) -> Mask:
    if found is None:
        return Mask()
    return Mask(
        rule=cast(Any, found.text("rule") or "all"),
        offset=found.whole("offset"),
        before=found.whole("before"),
        after=found.whole("after"),
        length=found.whole("length"),
        query_blocks=found.tensor("query_blocks", "i"),
        key_blocks=found.tensor("key_blocks", "i"),
        bits=found.tensor("bits", "u"),
    )


def _bias(found: Fields | None) -> Bias | None:
    if found is None:
        return None
    return Bias(cast(Any, found.text("kind") or "dense"), found.needed("values", found.tensor("values")))


def _digest(found: Fields | None) -> Digest | None:
    if found is None:
        return None
    names = found.texts("names") or ()
    scores = found.needed("scores", found.tensor("scores"))
    uniform, counts = found.items("uniform"), found.items("counts")
    if scores.ndim != 2 or not len(names) == len(scores) == len(uniform) == len(counts) == len(set(names)):
        raise TraceError(f"{found.where} hasn't one score, one of uniform attention and one count for each name")
    if not all(one is None or (isinstance(one, (int, float)) and abs(one) < 2**53) for one in uniform):
        raise found.wrong("uniform", "a list of numbers")
    if not all(type(one) is int and 0 <= one < 2**53 for one in counts):
        raise found.wrong("counts", "a list of counts")
    return Digest(
        dict(zip(names, scores, strict=True)),
        {name: math.nan if one is None else float(one) for name, one in zip(names, uniform, strict=True)},
        dict(zip(names, counts, strict=True)),
        found.needed("thumbnails", found.tensor("thumbnails", "u")),
    )
