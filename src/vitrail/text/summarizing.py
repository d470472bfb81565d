"""From documents to summaries: cut to the model's length, put together by length, written, and given back in order.

Documents may come without end: a window of them is held at a time.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from vitrail.text.decoding import Hear, TransformerWriter, decode
from vitrail.text.options import Decoding
from vitrail.text.tokens import Tokens
from vitrail.text.transformer import Transformer

BATCH = 16
"""Documents that are summarized at a time."""

WINDOW = 8 * BATCH
"""Documents among which those of like length are put together."""


def summarize(
    model: Transformer,
    tokens: Tokens,
    documents: Iterable[str],
    options: Decoding,
    longest: int,
    *,
    batch: int = BATCH,
    seed: int = 0,
    hear: Hear | None = None,
) -> Iterator[str]:
    """The summary of each document, in their order; an empty document has an empty one.

    Args:
        model: in evaluation mode.
        tokens: that it was trained with.
        documents: any number of texts.
        options: how to write.
        longest: tokens that a document is cut to, its end included.
        batch: documents at a time.
        seed: of the draws, where the options ask for them.
        hear: told of each token as it is written; sources are numbered within their batch.
    """
    device = model.embedding.weight.device
    waiting = iter(documents)
    draws = torch.Generator(device).manual_seed(seed)
    while window := list(islice(waiting, max(WINDOW, batch))):
        encoded = [[*text[: longest - 1], tokens.end] for text in tokens.encode(window)]
        there = [place for place, text in enumerate(window) if text.strip()]
        order = sorted(there, key=lambda place: -len(encoded[place]))
        found = [""] * len(window)
        for begin in range(0, len(order), batch):
            places = order[begin : begin + batch]
            source = torch.full((len(places), len(encoded[places[0]])), tokens.pad)
            mask = torch.zeros_like(source, dtype=torch.bool)
            for row, place in enumerate(places):
                source[row, : len(encoded[place])] = torch.tensor(encoded[place])
                mask[row, : len(encoded[place])] = True
            with torch.inference_mode():
                writer = TransformerWriter(model, source.to(device), mask.to(device))
                for place, texts in zip(places, decode(writer, options, draws, hear), strict=True):
                    found[place] = tokens.decode(texts[0].tokens)
        yield from found
