"""Decoding over a table of probabilities: beam search beside all texts there are, draws beside their distribution."""

import itertools
import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.text.constraints import keep_likely, restrict
from vitrail.text.decoding import decode
from vitrail.text.options import Decoding

WORDS, END = 4, 3


def chances(source: int, prefix: tuple[int, ...]) -> Tensor:
    """Log-probabilities of what follows a prefix: any, but always the same."""
    seed = 1009 * source + sum((token + 1) * 7**place for place, token in enumerate(prefix))
    return (2 * torch.randn(WORDS, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


class Table:
    """A ``Writer`` of four words; it keeps every branch as a list and knows no cache."""

    start, end, pad = 0, END, 0
    device = torch.device("cpu")

    def __init__(self, sources: int) -> None:
        self.sources = sources
        self._names = list(range(sources))
        self._branches: list[list[tuple[int, ...]]] = [[()] for _ in range(sources)]
        self.calls: list[int] = []

    def advance(self, tokens: Tensor, parents: Tensor) -> Tensor:
        self.calls.append(len(tokens))
        self._branches = [
            [self._branches[row][parent] + (token,) for token, parent in zip(*of, strict=True)]
            for row, of in enumerate(zip(tokens.tolist(), parents.tolist(), strict=True))
        ]
        return torch.stack(
            [
                torch.stack([chances(name, branch[1:]) for branch in branches])
                for name, branches in zip(self._names, self._branches, strict=True)
            ]
        )

    def keep(self, rows: Tensor) -> None:
        self._names = [self._names[row] for row in rows.tolist()]
        self._branches = [self._branches[row] for row in rows.tolist()]


def every_text(source: int, options: Decoding) -> list[tuple[float, list[int]]]:
    """All texts with their scores, best first."""
    found = []
    for length in range(1, options.max_tokens + 1):
        for text in itertools.product(range(WORDS), repeat=length):
            inside = text[:-1]
            if END in inside or (text[-1] != END and length < options.max_tokens):
                continue
            if text[-1] == END and length <= options.min_tokens:
                continue
            grams = list(zip((0, *text), text, strict=False))
            if options.no_repeat_ngram == 2 and len(set(grams)) < len(grams):
                continue
            likely = sum(float(chances(source, text[:place])[token]) for place, token in enumerate(text))
            found.append((likely / length**options.length_penalty, list(text)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("changes", [{}, {"min_tokens": 2}, {"no_repeat_ngram": 2}])
def test_a_beam_that_holds_all_texts_finds_the_best_ones(penalty: float, changes: dict[str, Any]) -> None:
    options = Decoding(beams=300, max_tokens=4, length_penalty=penalty, early_stopping="never", **changes)
    texts = decode(Table(3), options)
    for source, found in enumerate(texts):
        expected = every_text(source, options)
        assert len(found) == min(len(expected), 300)
        for mine, (score, tokens) in zip(found, expected, strict=True):
            assert mine.score == pytest.approx(score, abs=1e-5)
            assert mine.tokens == tokens


def test_a_narrow_beam_finds_texts_that_are_as_likely_as_it_says() -> None:
    options = Decoding(beams=3, max_tokens=6, length_penalty=0.7)
    for source, found in enumerate(decode(Table(17), options)):
        assert [text.score for text in found] == sorted((text.score for text in found), reverse=True)
        for text in found:
            likely = sum(float(chances(source, tuple(text.tokens[:at]))[token]) for at, token in enumerate(text.tokens))
            assert text.score == pytest.approx(likely / len(text.tokens) ** 0.7, abs=1e-5)
            assert END not in text.tokens[:-1]
        assert len({tuple(text.tokens) for text in found}) == len(found)


@pytest.mark.parametrize("beams", [1, 4])
def test_what_others_are_in_the_batch_changes_nothing(beams: int) -> None:
    options = Decoding(beams=beams, max_tokens=15, early_stopping=True)
    table = Table(23)
    together = decode(table, options)
    assert table.calls[0] == 23
    assert table.calls[-1] < 23, "sources that are done leave"
    for source in range(23):
        alone = Table(1)
        alone._names = [source]
        assert decode(alone, options)[0] == together[source]


def test_greedy_takes_the_likeliest_and_tells_each_token() -> None:
    heard: list[tuple[int, int]] = []
    options = Decoding(beams=1, max_tokens=7)
    texts = decode(Table(5), options, hear=heard.extend)
    for source, (text,) in enumerate(texts):
        expected: list[int] = []
        while len(expected) < 7 and END not in expected:
            expected.append(int(chances(source, tuple(expected)).argmax()))
        assert text.tokens == expected == [token for of, token in heard if of == source]
        assert text.score == pytest.approx(
            sum(float(chances(source, tuple(expected[:at]))[token]) for at, token in enumerate(expected)), abs=1e-5
        )
    with pytest.raises(ConfigError, match="no token before its end"):
        decode(Table(5), Decoding(beams=2), hear=heard.extend)


def test_draws_follow_their_distribution() -> None:
    class OneSource(Table):
        def advance(self, tokens: Tensor, parents: Tensor) -> Tensor:
            self._names = [5] * len(tokens)
            return super().advance(tokens, parents)

    options = Decoding(beams=1, max_tokens=2, sample=True, temperature=0.8)
    counts = Counter(of[0].tokens[0] for of in decode(OneSource(4001), options, torch.Generator().manual_seed(0)))
    expected = (chances(5, ()) / 0.8).softmax(-1)
    for word in range(WORDS):
        share = float(expected[word])
        assert abs(counts[word] / 4001 - share) < 4 * math.sqrt(share * (1 - share) / 4001) + 1e-9


def test_the_likeliest_are_kept() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    assert keep_likely(logits, Decoding(beams=1, top_k=2)).isinf().tolist() == [[True, False, True, False]]
    assert keep_likely(logits, Decoding(beams=1, top_p=0.65)).isinf().tolist() == [[True, False, True, False]]
    assert keep_likely(logits, Decoding(beams=1, top_p=0.75)).isinf().tolist() == [[True, False, False, False]]
    assert keep_likely(logits, Decoding(beams=1, top_p=0.01)).isinf().tolist() == [[True, False, True, True]]
    assert not keep_likely(logits, Decoding(beams=1, top_k=9)).isinf().any()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_twice(size: int) -> None:
    random = torch.Generator().manual_seed(size)
    written = torch.randint(5, (7, 2, 23), generator=random)
    scores = restrict(torch.zeros(7, 2, 5), written, Decoding(no_repeat_ngram=size, max_tokens=99), 4)
    for row in range(7):
        for branch in range(2):
            text = written[row, branch].tolist()
            grams = {tuple(text[at : at + size]) for at in range(len(text) - size + 1)}
            for word in range(5):
                again = (*text[len(text) - size + 1 :], word) in grams
                assert bool(scores[row, branch, word].isinf()) == again
    short = restrict(torch.zeros(1, 1, 5), torch.zeros(1, 1, 1, dtype=torch.int64), Decoding(no_repeat_ngram=3), 4)
    assert not short.isinf().any()


def test_given_tokens() -> None:
    options = Decoding(beams=1, max_tokens=5, first=2, last=1)
    for (text,) in decode(Table(11), options):
        assert text.tokens[0] == 2
        assert len(text.tokens) < 5 or text.tokens[-1] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"beams": 0},
        {"max_tokens": 0},
        {"min_tokens": 9, "max_tokens": 9},
        {"min_tokens": -1},
        {"no_repeat_ngram": -1},
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"top_k": -2},
        {"sample": True},
    ],
)
def test_options_that_cannot_be_meant(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Decoding(**changes)
