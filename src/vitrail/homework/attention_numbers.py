"""What the questions on attention ask for, in numbers of traces: by layer, by kind of token, between two words.

Roles, scores and distances are the library's (``vitrail.trace``); this joins them to what is asked.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from vitrail.errors import DataError, TraceError
from vitrail.trace import Axis, Places, Trace, compare_maps, head_scores, word_weights, words_of
from vitrail.trace.tables import gather_scores

if TYPE_CHECKING:
    import pandas as pd

FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the this that these those i you he she it we they me him her us them my your his its our their and or "
        "but if of to in on at by for with from as is am are was were be been being do does did has have had not no "
        "will would can could may might must shall should there here then than so",
    )
)
"""Words of English that carry grammar more than meaning."""
KINDS = ("[CLS]", "[SEP]", "punctuation", "function words", "other words")
"""Kinds of token that a BERT reads."""


class Link(NamedTuple):
    """How strongly a head joins two words."""

    layer: int
    head: int
    weight: float


def layers_of(trace: Trace) -> int:
    """How many layers the only stream of a trace has."""
    return len(trace.stream().layers)


def by_layer(trace: Trace, names: Sequence[str]) -> "pd.DataFrame":
    """The mean of scores over the heads of each layer; a row a layer, NaN where a score says nothing."""
    return head_scores(trace).groupby("layer")[list(names)].mean()


def if_uniform(trace: Trace, name: str) -> float:
    """What attending everywhere alike would have of a score, on average over layers."""
    scores = gather_scores(trace)
    return _mean(scores.uniform[:, scores.names.index(name)])


def overall(trace: Trace, name: str) -> float:
    """The mean of a score over all heads."""
    return _mean(head_scores(trace)[name].to_numpy(dtype=float))


def habits(one: Trace, other: Trace, name: str) -> float:
    """Pearson's correlation of a score over the heads of a model, between two texts; NaN where it can't be told."""
    pair = np.stack([head_scores(trace)[name].to_numpy(dtype=float) for trace in (one, other)])
    known = pair[:, np.isfinite(pair).all(axis=0)]
    if known.shape[1] < 3 or (known.std(axis=1) < 1e-9).any():
        return float("nan")
    return float(np.corrcoef(known)[0, 1])


def later(trace: Trace) -> Float64[np.ndarray, " l"]:
    """The share of attention that goes to later positions, the mean over heads and queries of each layer."""
    return np.array([np.triu(weights, 1).sum(-1).mean() for weights in _layers(trace)])


def token_kinds(axis: Axis) -> list[str]:
    """Which of ``KINDS`` each position of a BERT's input is."""
    places = Places(axis, axis)
    words = words_of(axis)
    found = ["other words"] * axis.length
    for text, start, end in zip(words.texts, words.starts, words.ends, strict=True):
        if text.casefold() in FUNCTION_WORDS:
            found[start:end] = ["function words"] * int(end - start)
    special = np.zeros(axis.length, bool) if axis.special is None else axis.special
    for place in range(axis.length):
        if places.separators[place]:
            found[place] = "[SEP]"
        elif special[place]:
            found[place] = "[CLS]"
        elif places.punctuation[place]:
            found[place] = "punctuation"
    return found


def shares_by_kind(trace: Trace) -> tuple[Float64[np.ndarray, "l kinds"], Float64[np.ndarray, " kinds"]]:
    """The share of all attention that each kind of token gets in each layer, and its share of the positions."""
    kinds = np.array(token_kinds(trace.tokens()))
    member = np.stack([kinds == kind for kind in KINDS], axis=1).astype(np.float64)
    shares = np.stack([(weights @ member).mean(axis=(0, 1)) for weights in _layers(trace)])
    return shares, member.mean(axis=0)


def occurrence(axis: Axis, word: str, which: int = 0) -> int:
    """The place of a word among the words of an axis.

    Raises:
        DataError: it isn't there.
    """
    words = words_of(axis).texts
    places = [place for place, text in enumerate(words) if text.casefold() == word.casefold()]
    if not places[which : which + 1]:
        raise DataError(f"{word!r} is no word of {' '.join(words)!r} as this model reads it: name another model.")
    return places[which]


def link(trace: Trace, asking: str, asked: str, which: tuple[int, int] = (0, 0)) -> Float64[np.ndarray, "l h"]:
    """The weight from one word to another in every head: the sum over the second's pieces, the mean over the first's.

    Args:
        trace: the trace.
        asking: the word that looks.
        asked: the word that is looked at.
        which: of several occurrences, from 0.

    Raises:
        DataError: a word isn't there.
    """
    axis = trace.tokens()
    query, key = (occurrence(axis, word, at) for word, at in zip((asking, asked), which, strict=True))
    return np.stack([word_weights(weights, axis, axis)[:, query, key] for weights in _layers(trace)]).astype(np.float64)


def first_piece(axis: Axis, word: str) -> int:
    """The position of a word's first token.

    Raises:
        DataError: it isn't there.
    """
    return int(words_of(axis).starts[occurrence(axis, word)])


def strongest(weights: Float[np.ndarray, "l h"]) -> Link:
    """The head with the largest number."""
    layer, head = np.unravel_index(int(np.nanargmax(weights)), weights.shape)
    return Link(int(layer), int(head), float(weights[layer, head]))


def divergence(one: Trace, other: Trace) -> Float64[np.ndarray, "l h"]:
    """Jensen-Shannon divergence of each head's attention in two inputs, the mean over tokens that align, in nats.

    Raises:
        TraceError: the inputs have no token in common.
    """
    first, second = one.tokens(), other.tokens()
    found = [
        compare_maps(mine, theirs, (first, second), (first, second)).divergence
        for mine, theirs in zip(_layers(one), _layers(other), strict=True)
    ]
    if not found[0].shape[-1]:
        raise TraceError("the two inputs have no token in common, so their attention can't be compared: take others.")
    return np.stack([np.nanmean(layer, axis=-1) for layer in found])


def divergence_at(one: Trace, other: Trace, word: str) -> Float64[np.ndarray, "l h"]:
    """The same at one word: how differently each head looks from it, in its first piece.

    Raises:
        DataError: the word isn't in both.
        TraceError: it doesn't align.
    """
    first, second = one.tokens(), other.tokens()
    place = first_piece(first, word)
    first_piece(second, word)
    rows = []
    for mine, theirs in zip(_layers(one), _layers(other), strict=True):
        compared = compare_maps(mine, theirs, (first, second), (first, second))
        at = np.flatnonzero(compared.queries.first == place)
        if not len(at):
            raise TraceError(f"{word!r} has no place in common in the two inputs: take others.")
        rows.append(compared.divergence[:, at[0]])
    return np.stack(rows)


def _layers(trace: Trace) -> Iterator[Float64[np.ndarray, "h q k"]]:
    for layer in range(layers_of(trace)):
        yield trace.weights(layer).astype(np.float64)


def _mean(values: Float64[np.ndarray, " n"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
