"""Traces with every kind of mask, bias, cap and sink of the format, and what Python computes of them, for node."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.trace import Axis, Bias, Layer, Mask, Provenance, Stream, Trace, finish, named
from vitrail.trace.comparing import align, compare_maps
from vitrail.trace.flow import rollout
from vitrail.trace.recompute import weight_rows
from vitrail.trace.words import word_weights

SOURCE, TARGET, H, D, DV = 13, 7, 6, 5, 11
DRAW = np.random.default_rng(23)
WORDS = ("[CLS]", "the", " cat", " sat", ",", " the", " cat", "[SEP]", "the", " dog", " ran", ".", "[SEP]")


def numbers(*shape: int) -> np.ndarray:
    return DRAW.standard_normal(shape).astype(np.float32)


def masks(queries: int, keys: int) -> list[Mask]:
    bits, per_head = DRAW.random((queries, keys)) < 0.6, DRAW.random((H, queries, keys)) < 0.6
    bits[0] = False
    blocks = DRAW.integers(0, 3, queries), DRAW.integers(0, 4, keys)
    return [
        Mask(),
        Mask("causal"),
        Mask("causal", offset=0),
        Mask("window", before=2, after=1),
        Mask("window", before=0),
        Mask("window", after=0, offset=1),
        Mask("prefix", length=4),
        Mask("prefix", length=0, offset=-1),
        Mask("blocks", query_blocks=blocks[0].astype(np.int32), key_blocks=blocks[1].astype(np.int32)),
        Mask("bits", bits=np.packbits(bits, axis=-1)),
        Mask("bits", bits=np.packbits(per_head, axis=-1)),
    ]


def biases(queries: int, keys: int) -> list[Bias | None]:
    return [
        None,
        Bias("toeplitz", numbers(H, queries + keys - 1)),
        Bias("toeplitz", numbers(1, queries + keys - 1)),
        Bias("slopes", np.abs(numbers(H))),
        Bias("keys", numbers(H, keys)),
        Bias("keys", numbers(1, keys)),
        Bias("dense", numbers(H, queries, keys)),
    ]


def stream(name: str, queries: Axis, keys: Axis, shared: int) -> Stream:
    q, k = queries.length, keys.length
    added, caps, sunk, scales = (
        cycle(biases(q, k)),
        cycle([None, (2.0, "before mask"), (0.7, "after mask")]),
        cycle([False, True]),
        cycle([0.4, np.abs(numbers(H))]),
    )
    layers = []
    for place, mask in enumerate(masks(q, k)):
        cap, sink = next(caps), next(sunk)
        layers.append(
            Layer(
                f"{name}.{place}",
                numbers(H, q, D),
                numbers(shared, k, D),
                numbers(shared, k, DV),
                scale=next(scales),
                bias=next(added),
                mask=mask,
                softcap=cap and cap[0],
                softcap_order=cap[1] if cap else "before mask",
                sinks=numbers(H) if sink else None,
                normaliser="sink" if sink else "softmax",
                g=numbers(H, q, DV),
                vo=np.abs(numbers(H, k)),
            )
        )
    other = np.abs(numbers(H, q, k)) * Mask("causal").expand(q, k)
    plain = Layer(f"{name}.other", numbers(H, q, D), numbers(shared, k, D), mask=Mask("causal"))
    layers.append(Layer(**{**vars(plain), "normaliser": "other", "shipped": other}))
    return Stream(name, queries.name, keys.name, tuple(layers))


def golden() -> Trace:
    """Two sentences asked by themselves, by a target and by one step; then patches."""
    source = Axis(
        "source",
        "tokens",
        SOURCE,
        texts=WORDS,
        offsets=np.array([(2 * place, 2 * place + 1) for place in range(SOURCE)], np.int32),
        words=np.array([-1, 0, 1, 1, 2, 3, 4, -1, 5, 6, 6, 7, -1], np.int32),
        special=np.array([text.startswith("[") for text in WORDS]),
        segments=np.array([0] * 8 + [1] * 5, np.int32),
    )
    target, step = Axis("target", "tokens", TARGET, texts=tuple("abcabca")), Axis("step", "latents", 1)
    patches = Axis("patches", "patches", 7, grid=(3, 5), places=np.array([-1, -1, 2, 3, 5, 7, 14], np.int32), image="a")
    image = DRAW.integers(0, 256, (6, 20, 3)).astype(np.uint8)
    parts = (
        stream("self", source, source, 3),
        stream("cross", target, source, 6),
        stream("step", step, source, 1),
        stream("vision", patches, patches, 2),
    )
    origin = Provenance(
        "a model", "r1", "reset", "bfloat16", {"torch": "2"}, 7, ("the cat", "the dog"), "loss", {"n": "ä"}
    )
    return Trace(named([source, target, step, patches]), parts, origin, {"a": image})


def listed(array: np.ndarray, hidden: np.ndarray | None = None) -> Any:
    """For JSON; what isn't finite, or is hidden, is null."""
    unknown = ~np.isfinite(array) if hidden is None else hidden
    return np.where(unknown, None, array.astype(object)).tolist()


def expected(trace: Trace) -> dict[str, list[dict[str, Any]]]:
    """What Python computes of each layer: [h q k] of every quantity, and weights between words."""
    found = {}
    for part in trace.parts:
        layers = []
        for place, layer in enumerate(part.layers):
            weights = trace.weights(place, stream=part.name).astype(np.float64)
            hidden = ~np.broadcast_to(layer.mask.expand(*layer.size), weights.shape)
            if layer.softcap is not None and layer.softcap_order == "after mask":
                hidden = np.zeros_like(hidden)
            axes = trace.layer_axes(layer, part)
            numbers = {
                "weight": weights.tolist(),
                "hidden": hidden.tolist(),
                "score": listed(trace.scores(place, stream=part.name)),
                "lse": listed(np.stack([weight_rows(layer, head, slice(None))[1] for head in range(H)])),
                "words": word_weights(weights, *axes).tolist(),
            }
            if layer.vo is not None:
                numbers["weight-value"] = (weights * layer.vo.astype(np.float64)[:, None]).tolist()
            if layer.g is not None:
                gradients = trace.gradients(place, stream=part.name).astype(np.float64)
                numbers["gradient"] = listed(gradients, hidden)
                numbers["weight-gradient"] = (weights * gradients).tolist()
            layers.append(numbers)
        found[part.name] = layers
    return found


def alignments() -> list[dict[str, Any]]:
    """Inputs of few different tokens, so that runs tie; how Python aligns them, and how far two maps are apart."""
    found = []
    for size in (1, 4, 9, 20, 33):
        for _ in range(6):
            axes = [
                Axis("t", "tokens", n, texts=tuple(DRAW.choice(["a", " B", "b ", "c", "ß", "SS"], n)))
                for n in (size, size + int(DRAW.integers(0, 4)))
            ]
            pairs = align(*axes)
            maps = [DRAW.dirichlet(np.full(axis.length, 0.3), axis.length) for axis in axes]
            compared = compare_maps(maps[0], maps[1], tuple(axes), tuple(axes))
            found.append(
                {
                    "texts": [list(axis.texts or ()) for axis in axes],
                    "first": pairs.first.tolist(),
                    "second": pairs.second.tolist(),
                    "maps": [one.tolist() for one in maps],
                    "divergence": float(compared.divergence.mean()) if compared.divergence.size else None,
                }
            )
    return found


def write_golden(folder: Path) -> None:
    """Traces in float32 and float16, a long one, and beside each what Python computes of it."""
    whole = golden()
    for name, trace in (("single", finish(whole)), ("half", finish(golden(), half=True))):
        trace.save(folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(expected(trace)))
        weights = [trace.weights(place, stream="self") for place in range(4)]
        (folder / f"{name}.rollout.json").write_text(json.dumps(rollout(weights)[-1].tolist()))
    (folder / "align.json").write_text(json.dumps(alignments()))
