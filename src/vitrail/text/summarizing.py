"""From documents to summaries: cut to the model's length, put together by length, written, and given back in order.

Documents may come without end: a window of them is held at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from vitrail.text.decoding import Hear
from vitrail.text.engines import Engine, TorchEngine
from vitrail.text.options import Decoding
from vitrail.text.tokens import Tokens
from vitrail.text.transformer import Transformer

BATCH = 16
"""Documents that are summarized at a time."""

WINDOW = 8
"""Batches among whose documents those of like length are put together; one document at a time is its own window."""


def summarize(
    engine: Engine | Transformer,
    tokens: Tokens,
    documents: Iterable[str],
    options: Decoding,
    longest: int,
    *,
    batch: int = BATCH,
    seed: int = 0,
    hear: Hear | None = None,
    cut: Callable[[int], None] | None = None,
) -> Iterator[str]:
    """The summary of each document, in their order; one that is empty, or has no token, has an empty one.

    Args:
        engine: what writes; a model in evaluation mode writes by our own decoding.
        tokens: that the model was trained with.
        documents: any number of texts.
        options: how to write.
        longest: tokens that a document is cut to, its end included.
        batch: documents at a time.
        seed: of the draws, where the options ask for them.
        hear: told of each token as it is written; sources are numbered within their batch.
        cut: told how many documents of a window were longer than ``longest``.

    Raises:
        ConfigError: options that the engine can't follow.
    """
    waiting = iter(documents)
    write = (TorchEngine(engine) if isinstance(engine, Transformer) else engine).prepare(options, seed=seed, hear=hear)
    while window := list(islice(waiting, WINDOW * batch if batch > 1 else 1)):
        whole = tokens.encode(window)
        encoded = [[*text[: longest - 1], tokens.end] for text in whole]
        if cut is not None:
            cut(sum(len(text) >= longest for text in whole))
        there = [place for place, text in enumerate(window) if text.strip() and len(encoded[place]) > 1]
        order = sorted(there, key=lambda place: -len(encoded[place]))
        found = [""] * len(window)
        for begin in range(0, len(order), batch):
            places = order[begin : begin + batch]
            for place, text in zip(places, write([encoded[place] for place in places]), strict=True):
                found[place] = tokens.decode(text)
        yield from found
