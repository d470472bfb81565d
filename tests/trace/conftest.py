"""Traces of every kind, small: dimensions are different primes."""

from collections.abc import Callable

import numpy as np
import pytest

from vitrail.trace import Axis, Bias, Layer, Mask, Predictions, Provenance, Stream, Trace, named

SOURCE, TARGET, H, HKV, D, DV = 13, 7, 6, 3, 5, 11
WORDS = ("[CLS]", "the", " cat", " sat", ",", " the", " cat", "[SEP]", "the", " dog", " ran", ".", "[SEP]")


def source_axis() -> Axis:
    """Two sentences as BERT sees them; "the" three times, "cat" twice."""
    special = np.array([text.startswith("[") for text in WORDS])
    codes = {text.strip(): place for place, text in enumerate(WORDS)}
    return Axis(
        "source",
        "tokens",
        SOURCE,
        texts=WORDS,
        ids=np.array([codes[text.strip()] for text in WORDS], np.int32),
        offsets=np.array([(2 * place, 2 * place + 1) for place in range(SOURCE)], np.int32),
        words=np.array([-1, 0, 1, 1, 2, 3, 4, -1, 5, 6, 6, 7, -1], np.int32),
        special=special,
        segments=np.array([0] * 8 + [1] * 5, np.int32),
    )


def layer(
    name: str, rows: int, columns: int, seed: int, *, spread: float = 1.0, heads: int = H, **parts: object
) -> Layer:
    draw = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return (spread * draw.standard_normal(shape)).astype(np.float32)

    arrays = {"q": numbers(heads, rows, D), "k": numbers(HKV, columns, D), "v": numbers(HKV, columns, DV)}
    return Layer(name, **arrays, scale=D**-0.5, **parts)  # type: ignore[arg-type]


def predictions(of: str, positions: int, layers: int) -> Predictions:
    """Five of seven texts at each position, and three after each layer."""
    draw = np.random.default_rng(layers)

    def one(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        chances = -np.sort(-draw.dirichlet(np.ones(7), shape[:-1]), axis=-1)[..., : shape[-1]]
        places = draw.permuted(np.broadcast_to(np.arange(7), (*shape[:-1], 7)), axis=-1)[..., : shape[-1]]
        return places.astype(np.int32), chances.astype(np.float32)

    texts, ids = (*tuple("abcdef"), " g"), np.array([2, 3, 5, 7, 11, 13, 17], np.int32)
    return Predictions(of, texts, ids, *one(positions, 5), *one(layers, positions, 3))  # type: ignore[arg-type]


@pytest.fixture
def full() -> Callable[[], Trace]:
    """A trace with every part that the format knows."""

    def make() -> Trace:
        draw = np.random.default_rng(17)

        def numbers(*shape: int) -> np.ndarray:
            return draw.standard_normal(shape).astype(np.float32)

        grid = (3, 5)
        patches = Axis(
            "patches",
            "patches",
            SOURCE,
            grid=grid,
            patch=(2, 4),
            places=np.array([-1, *range(12)], np.int32),
            hidden=np.arange(15) >= 12,
            image="photograph",
        )
        target = Axis("target", "tokens", TARGET, texts=tuple("abcabca"))
        latents = Axis("latents", "latents", TARGET)
        bits = draw.random((TARGET, SOURCE)) < 0.7
        bits[3] = False
        per_head = draw.random((H, TARGET, SOURCE)) < 0.7
        shared = Mask.of(bits)
        rules = [
            Mask(),
            Mask("causal"),
            Mask("window", before=2, after=1),
            Mask("prefix", length=5),
            Mask.of(np.kron(np.eye(2, dtype=bool), np.ones((7, 7), bool))[:SOURCE, :SOURCE]),
        ]
        biases = [
            None,
            Bias("toeplitz", numbers(H, 2 * SOURCE - 1)),
            Bias("slopes", np.abs(numbers(H))),
            Bias("keys", numbers(1, SOURCE)),
            Bias("dense", numbers(H, SOURCE, SOURCE)),
        ]
        encoder = tuple(
            layer(f"encoder.{place}", SOURCE, SOURCE, place, mask=mask, bias=bias, hidden=numbers(SOURCE, 17))
            for place, (mask, bias) in enumerate(zip(rules, biases, strict=True))
        )
        gradients = {"g": numbers(H, TARGET, DV), "vo": np.abs(numbers(H, SOURCE))}
        cross = (
            layer("cross.0", TARGET, SOURCE, 20, mask=shared, softcap=2.0, **gradients),
            layer("cross.1", TARGET, SOURCE, 21, mask=shared, softcap=2.0, softcap_order="after mask"),
            layer("cross.2", TARGET, SOURCE, 22, mask=Mask.of(per_head), sinks=numbers(H), normaliser="sink"),
            layer("cross.3", TARGET, SOURCE, 23, normaliser="other", shipped=np.abs(numbers(H, TARGET, SOURCE))),
            layer("cross.4", TARGET, SOURCE, 24, queries="latents", keys="patches"),
        )
        before = {"q_before": numbers(H, SOURCE, D), "k_before": numbers(HKV, SOURCE, D)}
        vision = (layer("vision.0", SOURCE, SOURCE, 30, mask=Mask("causal"), **before),)
        return Trace(
            named([source_axis(), target, patches, latents]),
            (
                Stream(
                    "encoder",
                    "source",
                    "source",
                    encoder,
                    embedded=numbers(SOURCE, 17),
                    predictions=predictions("token", SOURCE, 5),
                ),
                Stream("cross", "target", "source", cross),
                Stream("vision", "patches", "patches", vision, predictions=predictions("class", 1, 1)),
            ),
            Provenance(
                "a model",
                "r1",
                "reset",
                "bfloat16",
                {"torch": "2"},
                7,
                ("the cat", "the dog"),
                "loss",
                {"note": "ä"},
                1207,
            ),
            {"photograph": draw.integers(0, 256, (6, 20, 3)).astype(np.uint8)},
        )

    return make
