"""What the summarization exercise checks of a student's code: calls, tolerances, and inputs of our own."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vitrail.homework import summarization
from vitrail.homework.checking import Case, Weights, with_weights

WIDTH, HEADS, HIDDEN = 28, 7, 37
WORDS, PAD, EOS, LENGTH = 53, 0, 1, 19

ATTENTION = 1e-3
DEEP = 8e-3
"""Tolerances: of attention alone, and of layers, whose numbers pass through more roundings."""


def _attention(subject: Any, weights: Weights) -> Any:
    return with_weights(subject.MultiheadAttention(WIDTH, HEADS), weights["MultiheadAttention"])


def _layer(subject: Any, weights: Weights, side: str) -> Any:
    layer = subject.TransformerLayer(side == "decoder", WIDTH, HEADS, HIDDEN, 0.1)
    return with_weights(layer, weights[f"TransformerLayer, {side}"])


def _model(subject: Any, weights: Weights) -> Any:
    model = subject.Transformer(WORDS, PAD, EOS, LENGTH, 2, WIDTH, HEADS, HIDDEN, 0.1)
    return with_weights(model, weights["Transformer"])


def cached(layer: Any, x: Tensor, *memory: Tensor) -> tuple[Tensor, Tensor]:
    """A decoder layer's outputs token by token, and the inputs that it kept at the end.

    Args:
        layer: called with a cache, as the notebook does.
        x: the stream [b n d].
        memory: what the encoder made, and its padding mask.
    """
    outputs, past = [], None
    for place in range(x.shape[1]):
        y, past = layer(x[:, place : place + 1], None, *memory, use_cache=True, past_kv=past)
        outputs.append(y)
    assert past is not None
    return torch.cat(outputs, dim=1), past


def _both(output: Any) -> tuple[Tensor, Tensor]:
    """Logits and loss of a model's output, a dictionary's or an object's."""
    return (output["logits"], output["loss"]) if isinstance(output, Mapping) else (output.logits, output.loss)


CASES: tuple[Case, ...] = (
    Case("scaled_dot_product_attention", ATTENTION, ("plain",), lambda s, x, w: s.scaled_dot_product_attention(*x)),
    Case(
        "scaled_dot_product_attention, padded",
        ATTENTION,
        ("with padding",),
        lambda s, x, w: s.scaled_dot_product_attention(*x[:3], key_padding_mask=x[3]),
    ),
    Case(
        "scaled_dot_product_attention, causal",
        ATTENTION,
        ("causal with padding",),
        lambda s, x, w: s.scaled_dot_product_attention(*x[:3], key_padding_mask=x[3], causal=True),
    ),
    Case("MultiheadAttention.forward", ATTENTION, ("output",), lambda s, x, w: _attention(s, w)(*x)),
    Case(
        "MultiheadAttention.forward, causal",
        ATTENTION,
        ("output",),
        lambda s, x, w: _attention(s, w)(*x[:3], key_padding_mask=x[3], causal=True),
    ),
    Case("TransformerLayer.forward, encoder", DEEP, ("stream",), lambda s, x, w: _layer(s, w, "encoder")(*x)),
    Case("TransformerLayer.forward, decoder", DEEP, ("stream",), lambda s, x, w: _layer(s, w, "decoder")(*x)),
    Case(
        "TransformerLayer.forward, cached",
        DEEP,
        ("stream", "past_kv"),
        lambda s, x, w: cached(_layer(s, w, "decoder"), *x),
    ),
    Case("Transformer.make_positions", ATTENTION, ("positions",), lambda s, x, w: _model(s, w).make_positions(x)),
    Case("Transformer.forward", DEEP, ("logits", "loss"), lambda s, x, w: _both(_model(s, w)(*x))),
)


def padding(*rows: str) -> Tensor:
    """A byte mask written out, as in ("0001", "0011"): 1 = padding."""
    return torch.tensor([[int(byte) for byte in row] for row in rows], dtype=torch.uint8)


def examples(seed: int = 0) -> tuple[dict[str, Any], Weights]:
    """Inputs and weights for all cases; nothing in the weights is zero."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=generator)
    pick = partial(torch.randint, 2, WORDS, generator=generator)
    flat = (draw(3, 5, 11), draw(3, 5, 11), draw(3, 5, 13), padding("00011", "00000", "00001"))
    wide = (draw(2, 5, WIDTH), draw(2, 3, WIDTH), draw(2, 3, WIDTH))
    square = (draw(2, 5, WIDTH), draw(2, 5, WIDTH), draw(2, 5, WIDTH), padding("00011", "00001"))
    x, memory, hidden = draw(2, 5, WIDTH), draw(2, 3, WIDTH), padding("001", "000")
    words, labels = pick((2, 7)), pick((2, 5))
    words[1, 5:], labels[0, 3:] = PAD, summarization.IGNORED
    inputs: dict[str, Any] = {
        "scaled_dot_product_attention": (draw(3, 5, 11), draw(3, 7, 11), draw(3, 7, 13)),
        "scaled_dot_product_attention, padded": flat,
        "scaled_dot_product_attention, causal": flat,
        "MultiheadAttention.forward": wide,
        "MultiheadAttention.forward, causal": square,
        "TransformerLayer.forward, encoder": (x, padding("00011", "00000")),
        "TransformerLayer.forward, decoder": (x, padding("00000", "00001"), memory, hidden),
        "TransformerLayer.forward, cached": (x, memory, hidden),
        "Transformer.make_positions": words,
        "Transformer.forward": (words, (words != PAD).long(), labels),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        models = {
            "MultiheadAttention": summarization.MultiheadAttention(WIDTH, HEADS),
            "TransformerLayer, encoder": summarization.TransformerLayer(False, WIDTH, HEADS, HIDDEN, 0.1),
            "TransformerLayer, decoder": summarization.TransformerLayer(True, WIDTH, HEADS, HIDDEN, 0.1),
            "Transformer": summarization.Transformer(WORDS, PAD, EOS, LENGTH, 2, WIDTH, HEADS, HIDDEN, 0.1),
        }
    weights = {
        name: {key: value.detach() + 0.2 * draw(*value.shape) for key, value in model.state_dict().items()}
        for name, model in models.items()
    }
    weights["Transformer"]["lm_head.weight"] = weights["Transformer"]["emb_word.weight"]
    return inputs, weights
