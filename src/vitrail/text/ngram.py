"""n-gram language models by interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998, section 3 and appendix A).

What needs no network to predict text, and what every neural language model has to beat. An n-gram's count is lowered by
a discount, which is another for counts of 1, of 2 and of more; what that leaves goes to the next shorter context, where
an n-gram counts as often as there are tokens that it was seen after (Kneser & Ney 1995).

n-grams are numbered: one is known by the number of its first n-1 tokens and by its last token, so that all of a length
are one sorted array of integers, and a corpus of millions of tokens is counted in seconds.

Where we differ: texts are one stream (``vitrail.text.passages``), so that an n-gram may reach over the end token of one
text into the next, as a model's own context does; where too few n-grams were counted for the discounts' formula, they
are 0.5, 1 and 1.5, as in KenLM (Heafield 2013).
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from vitrail.errors import ConfigError
from vitrail.text.passages import Stream

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of counts of 1, 2 and more where the formula has too little to go by."""


class KneserNey:
    """An n-gram model of a stream of tokens.

    Args:
        stream: what is counted.
        vocabulary: tokens that there are; each has a probability above 0.
        order: tokens of the longest n-grams, the predicted one included.

    Raises:
        ConfigError: an order below 1.
    """

    def __init__(self, stream: Stream, vocabulary: int, order: int = 5) -> None:
        if order < 1:
            raise ConfigError(f"{order}-grams can't be meant: take an order of 1 or more.")
        self.vocabulary, self.order = vocabulary, order
        tokens = stream.astype(np.int64)
        self._keys: list[NDArray[np.int64]] = [np.arange(vocabulary)]
        counts = [np.bincount(tokens, minlength=vocabulary)]
        shorter: list[NDArray[np.int64]] = [np.zeros(vocabulary, np.int64)]  # each n-gram's number without its first
        numbers = tokens  # of the n-gram that begins at each place
        for _ in range(2, order + 1):
            keys, found, seen = np.unique(
                numbers[:-1] * vocabulary + tokens[len(tokens) - len(numbers) + 1 :],
                return_inverse=True,
                return_counts=True,
            )
            without = np.empty(len(keys), np.int64)
            without[found] = numbers[1:]
            numbers = found
            self._keys.append(keys)
            counts.append(seen)
            shorter.append(without)
        for size in range(order - 1):
            counts[size] = np.bincount(shorter[size + 1], minlength=len(self._keys[size]))
        self._smooth(counts, shorter)

    def _smooth(self, counts: list[NDArray[np.int64]], shorter: list[NDArray[np.int64]]) -> None:
        """Each n-gram's probability, and each context's share for what never followed it; last those of number -1."""
        self._chances: list[NDArray[np.float64]] = []
        self._rest: list[NDArray[np.float64]] = []
        below = np.full(1, 1 / self.vocabulary)
        for size, (keys, count) in enumerate(zip(self._keys, counts, strict=True)):
            context = keys // self.vocabulary if size else np.zeros(self.vocabulary, np.int64)
            contexts = len(self._keys[size - 1]) if size else 1
            cut = np.array([0.0, *discounts(count)])[np.minimum(count, 3)]
            total = np.bincount(context, count, contexts)
            kept = np.maximum(total, 1)
            rest = np.where(total > 0, np.bincount(context, cut, contexts) / kept, 1.0)
            below = (count - cut) / kept[context] + rest[context] * below[shorter[size]]
            self._chances.append(np.append(below, 0.0))
            self._rest.append(np.append(rest, 1.0))

    def log_probabilities(self, tokens: Int[np.ndarray, "b n"]) -> Float[np.ndarray, "b n"]:
        """Of each token after those before it in its row, in nats; a first token has no context."""
        numbers = tokens.astype(np.int64)
        chances = self._chances[0][numbers]
        width = tokens.shape[1]
        for size in range(1, min(self.order, width)):
            context = numbers[:, :-1]
            numbers = self._find(size, context, tokens[:, size:])
            shorter = self._rest[size][context] * chances[:, size:]
            chances[:, size:] = np.where(numbers >= 0, self._chances[size][numbers], shorter)
        return np.log(chances)

    def log_probabilities_between(self, stream: Stream, places: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Of the tokens at some places, given those on both sides of each, in nats.

        By Bayes' rule: the probability of a stretch with the token in it, over that with any other in its stead.
        """
        reach = self.order - 1
        found = np.empty(len(places))
        for row, place in enumerate(places.tolist()):
            first = max(0, place - reach)
            stretch = stream[first : place + reach + 1].astype(np.int64)
            every = np.repeat(stretch[None], self.vocabulary, 0)
            every[:, place - first] = np.arange(self.vocabulary)
            scores = self.log_probabilities(every)[:, place - first :].sum(1)
            highest = scores.max()
            found[row] = scores[stream[place]] - highest - np.log(np.exp(scores - highest).sum())
        return found

    def _find(self, size: int, context: NDArray[np.int64], token: NDArray[np.integer]) -> NDArray[np.int64]:
        """Numbers of n-grams; -1 for those that were never seen."""
        keys = self._keys[size]
        found = np.full(context.shape, -1)
        if len(keys):
            known = context >= 0
            wanted = context[known] * self.vocabulary + token[known]
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found[known] = np.where(keys[place] == wanted, place, -1)
        return found


def discounts(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """What is taken off counts of 1, of 2, and of 3 and more (Chen & Goodman 1998, equation 26)."""
    n1, n2, n3, n4 = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    share = n1 / (n1 + 2 * n2)
    found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    return found if all(0 <= cut <= most for cut, most in zip(found, (1, 2, 3), strict=True)) else FALLBACK
