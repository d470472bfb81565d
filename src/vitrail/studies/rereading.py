"""Writing a text without a cache: what ``decoding-cost`` compares with, and multiply-adds of both in closed form.

With a cache a step of decoding computes one token's way through the decoder. Without, it computes that of all tokens so
far and throws away all but the last. What the decoder reads of the source can be kept apart from that: its keys and
values are the same in every step.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.nn.cache import KeyValues
from vitrail.text.decoding import TransformerWriter, Writer
from vitrail.text.transformer import Transformer, TransformerConfig

Way = Literal["cached", "source kept", "nothing kept"]
"""What is kept from step to step:

============  ==========================================================================
cached        keys and values of the source and of all tokens written (``TransformerWriter``)
source kept   those of the source only
nothing kept  only what the encoder made of the source
============  ==========================================================================
"""


class Rereading:
    """A ``Writer`` that keeps no key and no value of what it wrote.

    Args:
        model: in evaluation mode, with learned positions.
        source: tokens, none of them padding.
        keep_source: whether the source's keys and values are computed once, or in every step.
    """

    def __init__(self, model: Transformer, source: Int64[Tensor, "b s"], *, keep_source: bool) -> None:
        self._model = model
        self.sources, self.device = len(source), source.device
        self.start, self.end, self.pad = model.config.start, model.config.end, model.config.pad
        self._memory: Sequence[KeyValues | Float[Tensor, "b s d"]]
        if keep_source:
            self._memory = model.begin(source, torch.ones_like(source, dtype=torch.bool)).memory
        else:
            self._memory = [model.encode(source, None)] * model.config.decoder_layers
        self._written = source.new_empty(self.sources, 1, 0)
        self._branches = 1

    def advance(self, tokens: Int64[Tensor, "b w"], parents: Int64[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        """See ``Writer``."""
        b, w = tokens.shape
        before = self._written.gather(1, parents[:, :, None].expand(-1, -1, self._written.shape[2]))
        self._written = torch.cat([before, tokens[:, :, None]], 2)
        if w != self._branches:
            rows = torch.arange(b).repeat_interleave(w) * self._branches
            self._memory, self._branches = [_take(layer, rows) for layer in self._memory], w
        model, target = self._model, self._written.flatten(0, 1)
        entry = model.encoder_entry if model.decoder_entry is None else model.decoder_entry
        x = entry(model.embedding(target), torch.arange(target.shape[1]))
        for block, memory in zip(model.decoder, self._memory, strict=True):
            x = block(x, memory, causal=True)
        return model.logits(model.decoder_norm(x[:, -1:])).view(b, w, -1)

    def keep(self, rows: Int64[Tensor, " b"]) -> None:
        """See ``Writer``."""
        self._written = self._written[rows]
        branches = (rows[:, None] * self._branches + torch.arange(self._branches)).flatten()
        self._memory = [_take(layer, branches) for layer in self._memory]


def writer(model: Transformer, source: Int64[Tensor, "b s"], way: Way) -> Writer:
    """What writes about sources in this way, the sources read."""
    if way == "cached":
        return TransformerWriter(model, source)
    return Rereading(model, source, keep_source=way == "source kept")


def decoding_multiply_adds(config: TransformerConfig, way: Way, tokens: int, source: int, beams: int = 1) -> int:
    """Multiply-adds of writing a text, its source read before.

    Products of matrices alone, as ``vitrail.nn.cost`` counts them. With width d, feed-forward width m, L blocks and v
    tokens in the vocabulary, a token's own way through the decoder is L(6d² + 2dm), a look of one token at another or
    at one of the source 2Ld, and its logits dv.

    Args:
        config: of the model, with a feed-forward network that isn't gated and heads as wide as the width has room for.
        way: what is kept.
        tokens: of the text.
        source: tokens of the source.
        beams: branches that are followed; at the first token there is one.
    """
    d, layers = config.dim, config.decoder_layers
    own = layers * (6 * d * d + 2 * d * config.hidden)
    look, logits, projection = 2 * layers * d, d * config.vocabulary, 2 * layers * d * d
    total = 0
    for place in range(1, tokens + 1):
        branches = 1 if place == 1 else beams
        total += branches * logits
        if way == "cached":
            # All branches lie in one cache, and each looks past the others' tokens at its own.
            seen = 1 + (place - 1) * beams
            total += branches * (own + look * (seen + source))
        else:
            total += branches * place * (own + look * (place + source))
        if way == "nothing kept":
            total += branches * source * projection
    return total


def _take(layer: KeyValues | Tensor, rows: Int64[Tensor, " b"]) -> KeyValues | Tensor:
    return layer.take(rows) if isinstance(layer, KeyValues) else layer[rows]
