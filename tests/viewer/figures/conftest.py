"""Small traces to draw: a text, a decoder that reads a source, an image of which a part is seen."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from vitrail.trace import Axis, Layer, Mask, Provenance, Stream, Trace, finish, named

H, D = 3, 5
HOSTILE = (
    "$x_1$", r"\frac{1}{2}", " dog", "<b>&amp;--></b>", "\x00", "\u202e", "שלום", "中", "🦥", "a" * 70, "", "\u0301",
)  # fmt: skip
"""Mathematics, markup, control characters, right to left, no glyph, too long, empty, a mark alone."""

Make = Callable[..., Trace]


@pytest.fixture
def hostile() -> Sequence[str]:
    """Texts of tokens that nobody expects."""
    return HOSTILE


def layer(name: str, rows: int, columns: int, seed: int, mask: Mask | None = None, spread: float = 2.0) -> Layer:
    draw = np.random.default_rng(seed)
    q, k, v = (draw.standard_normal((H, n, D)).astype(np.float32) for n in (rows, columns, columns))
    return Layer(name, q * np.float32(spread), k, v, scale=D**-0.5, mask=mask or Mask())


def tokens(name: str, texts: Sequence[str], segments: Sequence[int] | None = None) -> Axis:
    special = np.array([text.startswith("[") for text in texts])
    parts = None if segments is None else np.array(segments, np.int32)
    return Axis(name, "tokens", len(texts), texts=tuple(texts), special=special, segments=parts)


@pytest.fixture
def text_trace() -> Make:
    """Two layers of three heads on one text; finished, as captured traces are."""

    def make(
        texts: Sequence[str] = ("[CLS]", "i", " was", " here", "[SEP]", "you", "[SEP]"),
        segments: Sequence[int] | None = (-1, 0, 0, 0, -1, 1, -1),
        model: str = "a/model",
        seed: int = 0,
        weights: str = "trained",
    ) -> Trace:
        n = len(texts)
        axis = tokens("tokens", texts, segments if segments is not None and len(segments) == n else None)
        layers = tuple(layer(f"layer.{place}", n, n, seed + place) for place in range(2))
        about = Provenance(model, weights=weights, texts=("i was here", "you"))
        return finish(Trace(named([axis]), (Stream("encoder", "tokens", "tokens", layers),), about))

    return make


@pytest.fixture
def cross_trace() -> Make:
    """An encoder of eleven tokens, and a decoder of five that reads them."""

    def make() -> Trace:
        source = tokens("source", [f" s{place}" for place in range(10)] + ["[END]"])
        target = tokens("target", ["[START]", " s1", " s2", " t", " s9"])
        parts = (
            Stream("encoder", "source", "source", (layer("e.0", 11, 11, 3),)),
            Stream("decoder", "target", "target", (layer("d.0", 5, 5, 4, Mask("causal")),)),
            Stream("cross", "target", "source", (layer("c.0", 5, 11, 5), layer("c.1", 5, 11, 6))),
        )
        return finish(Trace(named([source, target]), parts, Provenance("a/summarizer", texts=("s", "t"))))

    return make


@pytest.fixture
def image_trace() -> Make:
    """CLS and seven of the 3 x 5 patches of an image of 6 x 20 pixels."""

    def make(cls: bool = True, image: bool = True) -> Trace:
        draw = np.random.default_rng(7)
        seen = np.array([0, 2, 4, 7, 9, 12, 14], np.int32)
        places = np.concatenate([[-1], seen]).astype(np.int32) if cls else seen
        texts = tuple("[CLS]" if place < 0 else f"{place // 5},{place % 5}" for place in places)
        axis = Axis(
            "patches",
            "patches",
            len(places),
            texts=texts,
            special=places < 0,
            grid=(3, 5),
            patch=(2, 4),
            places=places,
            hidden=~np.isin(np.arange(15), seen),
            image="image" if image else None,
        )
        layers = (layer("v.0", len(places), len(places), 8), layer("v.1", len(places), len(places), 9))
        images = {"image": draw.integers(0, 256, (6, 20, 3)).astype(np.uint8)} if image else {}
        return finish(
            Trace(named([axis]), (Stream("encoder", "patches", "patches", layers),), Provenance("mae"), images)
        )

    return make
