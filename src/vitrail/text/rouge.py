"""How good summaries are: ROUGE with intervals, what an author's first sentence would score, and what ROUGE can't see.

ROUGE (Lin 2004) is ``rouge_score``'s, with stemming: F of shared words, shared pairs of words and the longest common
subsequence. Intervals and the comparison of two sets of summaries are by bootstrap over documents (Koehn 2004).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from vitrail.errors import ConfigError

KINDS = ("rouge1", "rouge2", "rougeL")
"""Words, pairs of words, longest common subsequence."""

DRAWS = 2000
"""Bootstrap samples."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Interval:
    """A mean over documents with a 95% interval."""

    mean: float
    low: float
    high: float


def rouge_scores(summaries: Sequence[str], references: Sequence[str]) -> dict[str, Float[np.ndarray, " n"]]:
    """F of each summary beside its reference, from 0 to 1, for each of ``KINDS``.

    Raises:
        ConfigError: not as many summaries as references.
    """
    from rouge_score.rouge_scorer import RougeScorer

    if len(summaries) != len(references):
        raise ConfigError(
            f"{len(summaries):,} summaries can't be compared with {len(references):,} references: give as many."
        )
    scorer = RougeScorer(KINDS, use_stemmer=True)
    found = [scorer.score(reference, summary) for summary, reference in zip(summaries, references, strict=True)]
    return {kind: np.array([score[kind].fmeasure for score in found]) for kind in KINDS}


def interval(values: Float[np.ndarray, " n"], seed: int = 0) -> Interval:
    """The mean and where it lies in 95% of samples of as many documents.

    Raises:
        ConfigError: no values.
    """
    if not len(values):
        raise ConfigError("there is nothing to average: give at least one summary.")
    low, high = np.quantile(_means(values, seed), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def difference(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"], seed: int = 0) -> Interval:
    """By how much the first scores more on the same documents; an interval without 0 is no chance.

    Raises:
        ConfigError: other numbers of documents.
    """
    if len(first) != len(second):
        raise ConfigError(f"{len(first):,} and {len(second):,} scores aren't of the same documents: give as many.")
    return interval(first - second, seed)


def sentences(text: str) -> list[str]:
    """A text's sentences, told by their punctuation."""
    return [part for part in (part.strip() for part in _SENTENCE_END.split(text)) if part]


def lead(document: str, count: int = 1) -> str:
    """The first sentences of a document: the baseline that news is hard to beat by (Narayan et al. 2018, section 3)."""
    return " ".join(sentences(document)[:count])


def central(document: str) -> str:
    """The sentence most like the whole document by TF-IDF: an extractive baseline (Radev et al. 2004)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts = sentences(document)
    if len(parts) < 2:
        return document.strip()
    try:
        weights = TfidfVectorizer().fit_transform(parts)
    except ValueError:  # no word in any of them
        return parts[0]
    likeness = weights @ np.asarray(weights.sum(0)).ravel()
    return parts[int(np.argmax(likeness))]


@dataclass(frozen=True)
class Manner:
    """How summaries are written.

    Attributes:
        words: of a summary, on average.
        compression: words of a document for each of its summary's.
        novel: share of a summary's n-grams that its document doesn't hold, by n.
        repeated: share of a summary's pairs of words that stand in it before.
    """

    words: float
    compression: float
    novel: Mapping[int, float]
    repeated: float


def manner(summaries: Sequence[str], documents: Sequence[str], sizes: Sequence[int] = (1, 2, 3)) -> Manner:
    """How summaries are written, each beside its document; shares are means over summaries that have such n-grams."""
    ours, theirs = [_words(text) for text in summaries], [_words(text) for text in documents]
    novel = {}
    for size in sizes:
        shares = []
        for own, whole in zip(ours, theirs, strict=True):
            grams, known = _grams(own, size), set(_grams(whole, size))
            if grams:
                shares.append(sum(gram not in known for gram in grams) / len(grams))
        novel[size] = _mean(shares)
    pairs = [grams for grams in (_grams(own, 2) for own in ours) if grams]
    return Manner(
        words=_mean([len(own) for own in ours]),
        compression=_mean([len(whole) / len(own) for own, whole in zip(ours, theirs, strict=True) if own]),
        novel=novel,
        repeated=_mean([1 - len(set(grams)) / len(grams) for grams in pairs]),
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _means(values: Float[np.ndarray, " n"], seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.array([values[random.integers(len(values), size=len(values))].mean() for _ in range(DRAWS)])
