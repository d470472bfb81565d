"""What a head does, in numbers: each score is a share of attention (0 to 1), a distance, or an entropy.

A score takes weights ``[h q k]`` of some queries and gives a number for each of these, NaN for a query that it says
nothing about: the first token has no previous one. The score of a head is the mean over its other queries. Weights of
all queries never need to be in memory together (``digest.py``).

Sources: Clark et al. 2019, "What Does BERT Look At?" (positions, separators, entropy); Voita et al. 2019, "Analyzing
Multi-Head Self-Attention" (positional heads); Olsson et al. 2022, "In-context Learning and Induction Heads" (duplicate
tokens, induction); Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 11 (distance in pixels).
"""

import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from vitrail.trace.positions import Axis

EVERY = slice(None)


@dataclass(frozen=True, eq=False)
class Places:
    """What stands where: the axes of the queries and the keys, and which of these a score looks for."""

    queries: Axis
    keys: Axis

    @property
    def same(self) -> bool:
        """Whether queries and keys are the same positions (self-attention)."""
        return self.queries.name == self.keys.name

    @cached_property
    def separators(self) -> Bool[np.ndarray, " k"]:
        """Tokens that the model added after the first position: [SEP], an end."""
        found = np.zeros(self.keys.length, bool)
        if self.keys.kind == "tokens" and self.keys.special is not None:
            found[1:] = self.keys.special[1:]
        return found

    @cached_property
    def punctuation(self) -> Bool[np.ndarray, " k"]:
        """Tokens of the input that have no letter, digit or symbol."""
        texts = self.keys.texts or ("",) * self.keys.length
        found = np.array([_is_punctuation(text) for text in texts], bool)
        return found if self.keys.special is None else found & ~self.keys.special

    @cached_property
    def codes(self) -> tuple[Int[np.ndarray, " q"], Int[np.ndarray, " k"]] | None:
        """One number for each different token of queries and keys, -1 for those that the model added.

        None where tokens are unknown. Two axes may have two vocabularies, so what they share is told by texts.
        """
        axes = (self.queries, self.keys)
        if any(axis.kind != "tokens" for axis in axes):
            return None
        if self.same and self.keys.ids is not None:
            words = np.concatenate([self.keys.ids, self.keys.ids])
        elif self.queries.texts is not None and self.keys.texts is not None:
            words = np.array(self.queries.texts + self.keys.texts)
        else:
            return None
        codes = np.unique(words, return_inverse=True)[1].reshape(-1)
        mine, theirs = np.split(codes, [self.queries.length])
        return _without_special(mine, self.queries), _without_special(theirs, self.keys)

    def earlier(self, rows: slice) -> Bool[np.ndarray, "q k"]:
        """True for keys before each query."""
        found: np.ndarray = np.arange(self.keys.length)[None, :] < np.arange(self.queries.length)[rows, None]
        return found

    def equal(self, rows: slice) -> Bool[np.ndarray, "q k"] | None:
        """True for each query's own token: earlier occurrences of it, or all of them where keys are another text."""
        if self.codes is None:
            return None
        mine, theirs = self.codes[0][rows], self.codes[1]
        found: np.ndarray = (mine[:, None] == theirs[None, :]) & (mine[:, None] >= 0)
        return found & self.earlier(rows) if self.same else found


Score = Callable[[Float[np.ndarray, "h q k"], Places, slice], Float[np.ndarray, "h q"]]


def entropy(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """-Σ A ln A in nats: 0 where one key gets everything, ln k where all get the same (Clark et al., section 3.2)."""
    logs = np.log(np.maximum(weights, np.finfo(weights.dtype).tiny))
    spread = np.maximum(-np.einsum("hqk,hqk->hq", weights, logs), 0)
    return np.where(weights.max(axis=2) > 0, spread, np.nan)


def broadness(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """As over how many keys attention is spread: exp(entropy), 1 for one key, k where all get the same."""
    return np.asarray(np.exp(entropy(weights, at, rows)))


def previous(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """A[i, i-1], the share on the position before (Voita et al., section 5.2)."""
    return _at_offset(weights, at, rows, -1)


def following(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """A[i, i+1], the share on the position after (Voita et al., section 5.2)."""
    return _at_offset(weights, at, rows, 1)


def own(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """A[i, i], the share on its own position (Clark et al., section 3.1)."""
    return _at_offset(weights, at, rows, 0)


def first(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """A[i, 0], the share on the first position: [CLS], or the sink of a decoder (Xiao et al. 2024)."""
    return weights[:, :, 0]


def separator(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """The share on [SEP] and other tokens that the model added after the first (Clark et al., section 3.2)."""
    return _on_keys(weights, at.separators)


def punctuation(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """The share on tokens of punctuation alone (Clark et al., section 3.2)."""
    return _on_keys(weights, at.punctuation)


def duplicate(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """The share on earlier occurrences of the query's own token, for queries that have any (Wang et al. 2023, IOI).

    In cross-attention, on all occurrences in what is read.
    """
    return _on_targets(weights, at.equal(rows))


def induction(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """The share on what followed earlier occurrences of the query's own token (Olsson et al., "prefix matching").

    On a block of T different tokens twice, it is the mean of A[i, i - (T - 1)] over the second. In cross-attention, on
    what follows the token in what is read: what copying would write next.
    """
    equal = at.equal(rows)
    if equal is None:
        return _on_targets(weights, None)
    after = np.zeros_like(equal)
    after[:, 1:] = equal[:, :-1]
    return _on_targets(weights, after & at.earlier(rows) if at.same else after)


def distance(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """Σ A[i, j] · abs(i - j): how far it looks on average, in positions; not for images."""
    if not at.same or at.keys.grid is not None:
        return _nowhere(weights)
    i, j = np.arange(at.queries.length)[rows, None], np.arange(at.keys.length)[None, :]
    return np.asarray(np.einsum("hqk,qk->hq", weights, np.abs(i - j).astype(weights.dtype)))


def pixels(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
    """How far it looks on average, in pixels between the middles of patches (Dosovitskiy et al., figure 11).

    Over patches alone: what goes to CLS and registers has no distance, and the rest counts as all.
    """
    mine, theirs = _middles(at.queries, rows), _middles(at.keys, EVERY)
    if mine is None or theirs is None or at.queries.grid != at.keys.grid or at.queries.patch != at.keys.patch:
        return _nowhere(weights)
    far = np.hypot(*(mine[:, None] - theirs[None, :]).transpose(2, 0, 1))
    placed = np.isfinite(theirs[:, 0])
    mass = weights @ placed.astype(weights.dtype)
    total = np.einsum("hqk,qk->hq", weights, np.nan_to_num(far).astype(weights.dtype))
    known = np.isfinite(mine[:, 0]) & (mass > 0)
    return np.where(known, total / np.where(mass > 0, mass, 1), np.nan)


def between(query: int, key: int) -> Score:
    """The share that goes from a text (0: sentence A, 1: sentence B) to a text, for queries in the first of these."""

    def share(weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY) -> Float[np.ndarray, "h q"]:
        segments = at.keys.segments
        if not at.same or segments is None or segments.max() < 1:
            return _nowhere(weights)
        return np.where(segments[rows] == query, _on_keys(weights, segments == key), np.nan)

    return share


SCORES: dict[str, Score] = {
    "entropy": entropy,
    "broadness": broadness,
    "previous": previous,
    "next": following,
    "self": own,
    "first": first,
    "separator": separator,
    "punctuation": punctuation,
    "duplicate": duplicate,
    "induction": induction,
    "distance": distance,
    "pixels": pixels,
    "A to A": between(0, 0),
    "A to B": between(0, 1),
    "B to A": between(1, 0),
    "B to B": between(1, 1),
}
"""Every score, by the name that tables have."""


def score_queries(
    weights: Float[np.ndarray, "h q k"], at: Places, rows: slice = EVERY
) -> dict[str, Float[np.ndarray, "h q"]]:
    """Every score of some queries, of all heads."""
    found = {name: score(weights, at, rows) for name, score in SCORES.items() if score is not broadness}
    return found | {"broadness": np.exp(found["entropy"])}


def score_heads(weights: Float[np.ndarray, "h q k"], at: Places) -> dict[str, Float[np.ndarray, " h"]]:
    """Every score of every head: the mean over the queries that it says something about, NaN where these are none."""
    found = score_queries(weights, at)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return {name: np.nanmean(found[name], axis=1) for name in SCORES}


def _without_special(codes: Int[np.ndarray, " n"], axis: Axis) -> Int[np.ndarray, " n"]:
    return codes if axis.special is None else np.where(axis.special, -1, codes)


def _is_punctuation(text: str) -> bool:
    text = text.strip()
    return bool(text) and all(unicodedata.category(one).startswith("P") for one in text)


def _nowhere(weights: Float[np.ndarray, "h q k"]) -> Float[np.ndarray, "h q"]:
    return np.full(weights.shape[:2], np.nan, weights.dtype)


def _at_offset(weights: np.ndarray, at: Places, rows: slice, offset: int) -> Float[np.ndarray, "h q"]:
    found = _nowhere(weights)
    if at.same:
        key = np.arange(at.queries.length)[rows] + offset
        inside = np.nonzero((key >= 0) & (key < at.keys.length))[0]
        found[:, inside] = weights[:, inside, key[inside]]
    return found


def _on_keys(weights: np.ndarray, keys: Bool[np.ndarray, " k"]) -> Float[np.ndarray, "h q"]:
    return weights @ keys.astype(weights.dtype) if keys.any() else _nowhere(weights)


def _on_targets(weights: np.ndarray, targets: Bool[np.ndarray, "q k"] | None) -> Float[np.ndarray, "h q"]:
    if targets is None:
        return _nowhere(weights)
    shares = np.einsum("hqk,qk->hq", weights, targets.astype(weights.dtype))
    return np.where(targets.any(axis=1), shares, np.nan)


def _middles(axis: Axis, rows: slice) -> Float[np.ndarray, "n 2"] | None:
    """The middle of each position's patch, in pixels from the top left; NaN for CLS and registers."""
    if axis.grid is None or axis.patch is None:
        return None
    places = np.arange(axis.length) if axis.places is None else axis.places
    if axis.places is None and axis.length != axis.grid[0] * axis.grid[1]:
        return None
    row, column = np.divmod(places[rows], axis.grid[1])
    middles: np.ndarray = (np.stack([row, column], axis=1) + 0.5) * np.array(axis.patch)
    middles[places[rows] < 0] = np.nan
    return middles
