"""ROUGE beside a count by hand; intervals beside the normal distribution; baselines and manners on small texts."""

import numpy as np
import pytest

from vitrail.errors import ConfigError
from vitrail.text.rouge import central, difference, interval, lead, manner, rouge_scores, sentences

TEXT = 'The cat sat. "Did it?" asked Dr Who (1963). It did, e.g. on the mat! Then 3 dogs came'


def test_rouge_by_hand() -> None:
    found = rouge_scores(["the cats sat on a mat"], ["the cat is on the mat"])
    # Stems the, cat, on, mat are shared, of five pairs the first; the longest common subsequence has those four.
    assert found["rouge1"][0] == pytest.approx(4 / 6)
    assert found["rouge2"][0] == pytest.approx(1 / 5)
    assert found["rougeL"][0] == pytest.approx(4 / 6)
    assert [scores.tolist() for scores in rouge_scores([""], ["x"]).values()] == [[0.0]] * 3
    with pytest.raises(ConfigError, match="1 summaries can't be compared with 2"):
        rouge_scores(["a"], ["b", "c"])


def test_intervals_of_a_mean() -> None:
    values = np.random.default_rng(3).normal(0.3, 0.1, 401)
    found = interval(values)
    half = 1.96 * values.std() / 401**0.5
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert interval(values) == found
    with pytest.raises(ConfigError, match="nothing to average"):
        interval(np.array([]))


def test_pairs_tell_more_than_two_intervals() -> None:
    random = np.random.default_rng(5)
    hard = random.normal(0.3, 0.2, 211)
    better = hard + random.normal(0.02, 0.02, 211)
    assert interval(better).low < interval(hard).high, "apart they overlap"
    assert difference(better, hard).low > 0
    with pytest.raises(ConfigError, match="aren't of the same documents"):
        difference(better, hard[:5])


def test_sentences_and_baselines() -> None:
    assert sentences(TEXT) == [
        "The cat sat.",
        '"Did it?" asked Dr Who (1963).',
        "It did, e.g. on the mat!",
        "Then 3 dogs came",
    ]
    assert lead(TEXT) == "The cat sat."
    assert lead(TEXT, 2) == 'The cat sat. "Did it?" asked Dr Who (1963).'
    assert (lead(""), central(""), central("One.")) == ("", "", "One.")
    middle = "Stars shine. Old stars shine brightly over old hills. Hills are green. Wind."
    assert central(middle) == "Old stars shine brightly over old hills."
    assert central("A. B.") == "A.", "where no word is left, the first"


def test_manners() -> None:
    found = manner(["a b c a b", "x y"], ["a b c d e f g h i j", "x y z w"])
    assert found.words == 3.5
    assert found.compression == pytest.approx((10 / 5 + 4 / 2) / 2)
    assert found.novel == {1: 0.0, 2: pytest.approx((1 / 4 + 0) / 2), 3: pytest.approx(2 / 3)}
    assert found.repeated == pytest.approx((1 / 4 + 0) / 2)
    assert manner([""], ["a"]).words == 0
