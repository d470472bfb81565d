"""Two maps, two inputs: how far apart rows of attention are, and how alike a word's hidden states.

Maps of different inputs are compared where their tokens align; what either gives to tokens that the other doesn't have
counts in full.
"""

from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from vitrail.errors import TraceError
from vitrail.trace.model import Trace
from vitrail.trace.positions import Axis
from vitrail.trace.words import words_of


class Alignment(NamedTuple):
    """Positions that correspond, in the order of both axes."""

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]


class Comparison(NamedTuple):
    """Two maps beside each other, where their tokens align."""

    divergence: Float64[np.ndarray, "*h pairs"]
    """Jensen-Shannon divergence of each pair of queries, in nats: 0 for the same row, ln 2 where no key is common."""
    queries: Alignment
    keys: Alignment


def jensen_shannon(p: Float[np.ndarray, "*h k"], q: Float[np.ndarray, "*h k"]) -> Float64[np.ndarray, " *h"]:
    """Half the relative entropy of each of two distributions to their mean, in nats (Lin 1991): from 0 to ln 2.

    Both are scaled to sum to 1; NaN where one is 0 everywhere.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.asarray(p, np.float64) / np.sum(p, axis=-1, keepdims=True, dtype=np.float64)
        q = np.asarray(q, np.float64) / np.sum(q, axis=-1, keepdims=True, dtype=np.float64)
    between = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    found: np.ndarray = np.where(np.isnan(between), np.nan, np.clip(between, 0, np.log(2)))
    return found


def align(first: Axis, second: Axis) -> Alignment:
    """Which positions of two inputs are the same: patches at the same place, tokens by the longest runs in common.

    Tokens are the same where they are written alike, spaces around them and case aside; positions without texts are
    the same where they have the same number.
    """
    if first.kind == "patches" and first.grid == second.grid:
        there = {patch: place for place, patch in enumerate(_places(second))}
        common = [(place, there[patch]) for place, patch in enumerate(_places(first)) if patch in there]
    elif first.texts is None or second.texts is None:
        common = [(place, place) for place in range(min(first.length, second.length))]
    else:
        mine, theirs = ([text.strip().casefold() for text in texts] for texts in (first.texts, second.texts))
        blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
        common = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    pairs = np.array(common, np.int64).reshape(-1, 2)
    return Alignment(pairs[:, 0], pairs[:, 1])


def compare_maps(
    first: Float[np.ndarray, "*h q k"],
    second: Float[np.ndarray, "*h _q _k"],
    queries: tuple[Axis, Axis],
    keys: tuple[Axis, Axis],
) -> Comparison:
    """Two maps of attention, row by row where the queries align.

    Args:
        first: weights of one head or several.
        second: weights of as many, of another input, model or head.
        queries: what the queries of each stand at.
        keys: what the keys of each stand at.
    """
    rows, columns = align(*queries), align(*keys)
    mine = first[..., rows.first, :]
    theirs = second[..., rows.second, :]
    shared_mine, shared_theirs = mine[..., columns.first], theirs[..., columns.second]
    alone_mine = np.maximum(mine.sum(-1, keepdims=True) - shared_mine.sum(-1, keepdims=True), 0)
    alone_theirs = np.maximum(theirs.sum(-1, keepdims=True) - shared_theirs.sum(-1, keepdims=True), 0)
    nothing = np.zeros_like(alone_mine)
    if columns.first.size == first.shape[-1]:
        alone_mine = nothing  # not what rounding leaves of a difference of sums
    if columns.second.size == second.shape[-1]:
        alone_theirs = nothing
    divergence = jensen_shannon(
        np.concatenate([shared_mine, alone_mine, nothing], axis=-1),
        np.concatenate([shared_theirs, nothing, alone_theirs], axis=-1),
    )
    return Comparison(divergence, rows, columns)


def word_states(trace: Trace, word: str, stream: str | None = None, occurrence: int = 0) -> Float64[np.ndarray, "l m"]:
    """The hidden state of a word, layer by layer: the mean over its pieces; row 0 is what enters the first layer.

    Args:
        trace: captured with hidden states.
        word: as it is written, in any case.
        stream: which; may be left out where there is one.
        occurrence: which of several, from 0.

    Raises:
        TraceError: no such word, or a trace without hidden states.
    """
    chosen = trace.stream(stream)
    states = [chosen.embedded, *(layer.hidden for layer in chosen.layers)]
    words = words_of(trace.axis(chosen.queries))
    places = [place for place, text in enumerate(words.texts) if text.casefold() == word.casefold()]
    if not 0 <= occurrence < len(places):
        raise TraceError(
            f"{word!r} is {len(places)} times in the stream {chosen.name!r}, so there is no occurrence {occurrence}: "
            f"its words are {', '.join(words.texts[:20])}."
        )
    found = [state for state in states if state is not None]
    if len(found) < len(states):
        raise TraceError(f"the stream {chosen.name!r} has no hidden states of each layer: capture again with these.")
    pieces = slice(words.starts[places[occurrence]], words.ends[places[occurrence]])
    return np.stack([state[pieces].astype(np.float64).mean(axis=0) for state in found])


def word_cosines(
    first: Trace, second: Trace, word: str, stream: str | None = None, occurrences: tuple[int, int] = (0, 0)
) -> Float64[np.ndarray, " l"]:
    """Cosine of the same word's hidden states in two inputs, layer by layer; 1 where the word alone decides.

    Args:
        first: captured with hidden states.
        second: the same model on another input.
        word: as it is written, in any case.
        stream: which; may be left out where there is one.
        occurrences: which of several, in each.

    Raises:
        TraceError: no such word in one of them, no hidden states, or models of different depth or width.
    """
    mine = word_states(first, word, stream, occurrences[0])
    theirs = word_states(second, word, stream, occurrences[1])
    if mine.shape != theirs.shape:
        raise TraceError(
            f"the two traces have hidden states {list(mine.shape)} and {list(theirs.shape)} (layers, width): "
            "take two of the same model."
        )
    cosines: np.ndarray = (mine * theirs).sum(1) / (np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1))
    return cosines


def _entropy(p: Float64[np.ndarray, "*h k"]) -> Float64[np.ndarray, " *h"]:
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1))).sum(-1))


def _places(axis: Axis) -> list[int]:
    """Which patch each position is; -1, -2, … for what is none, in its order: CLS, then registers."""
    if axis.places is None:
        return list(range(axis.length))
    outside = axis.places < 0
    places: list[int] = np.where(outside, 0 - outside.cumsum(), axis.places).tolist()
    return places
