"""From pieces of words to words: attention to a word is the sum over its pieces, attention from it their mean.

As Clark et al. 2019, section 4.1: rows of a map over words then sum to 1 as those over pieces do.
"""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vitrail.trace.positions import Axis


class Words(NamedTuple):
    """The words of an axis; what the model added, and every position of an axis without words, is one of its own."""

    texts: tuple[str, ...]
    """What is written, without spaces around it; empty where texts are unknown."""
    starts: Int[np.ndarray, " words"]
    """The position of each word's first piece."""
    ends: Int[np.ndarray, " words"]
    """The position after each word's last piece."""


def words_of(axis: Axis) -> Words:
    """The words of an axis, in their order."""
    if axis.words is None:
        starts = np.arange(axis.length)
    else:
        begins = np.ones(axis.length, bool)
        begins[1:] = (axis.words[1:] != axis.words[:-1]) | (axis.words[1:] < 0)
        starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], axis.length)
    pieces = axis.texts or ("",) * axis.length
    texts = tuple(_joined(pieces[start:end]) for start, end in zip(starts, ends, strict=True))
    return Words(texts, starts, ends)


def _joined(pieces: tuple[str, ...]) -> str:
    """Pieces as the word they are of, without the marks that WordPiece puts before all but the first."""
    return "".join([*pieces[:1], *(re.sub("^##(?=.)", "", piece) for piece in pieces[1:])]).strip()


def word_weights(
    weights: Float[np.ndarray, "*h q k"], queries: Axis, keys: Axis
) -> Float[np.ndarray, "*h query_words key_words"]:
    """Weights between words: the sum over the pieces of a key word, the mean over those of a query word."""
    rows = words_of(queries)
    summed = np.add.reduceat(weights, words_of(keys).starts, axis=-1)
    counts = (rows.ends - rows.starts)[:, None].astype(weights.dtype)
    mean: np.ndarray = np.add.reduceat(summed, rows.starts, axis=-2) / counts
    return mean
