"""Splits keep every class's share, and equal images on one side."""

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vitrail.data.labels import allot, content_split, encode_labels, sorted_classes


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.floats(0.01, 0.99))
def test_allotment(counts: list[int], fraction: float) -> None:
    shares = allot(counts, fraction)
    assert sum(shares) == math.ceil(sum(counts) * fraction - 1e-9)
    assert all(math.floor(count * fraction) <= share <= count for share, count in zip(shares, counts, strict=True))
    assert all(share <= math.floor(count * fraction) + 1 for share, count in zip(shares, counts, strict=True))


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=2, max_size=2)), min_size=1, max_size=60))
def test_content_split(rows: list[tuple[int, bytes]]) -> None:
    labels, digests = [label for label, _ in rows], [digest for _, digest in rows]
    test = content_split(labels, digests, 0.2)
    sides: dict[tuple[int, bytes], set[bool]] = {}
    for row, side in zip(rows, test.tolist(), strict=True):
        sides.setdefault(row, set()).add(side)
    assert all(len(found) == 1 for found in sides.values())
    if len(set(rows)) == len(rows):
        assert test.sum() == math.ceil(0.2 * len(rows) - 1e-9)
    counts, chosen = Counter(labels), Counter(label for label, side in zip(labels, test, strict=True) if side)
    assert all(chosen[label] >= math.floor(0.2 * counts[label] - 1e-9) for label in counts)


def test_labels_are_looked_up_in_the_training_classes() -> None:
    numbers, classes = encode_labels(["b", "a", "b"], ["x", "y", "z"], "t", classes=("a", "b", "c"))
    assert (numbers.tolist(), classes) == ([1, 0, 1], ("a", "b", "c"))
    numbers, _ = encode_labels([1, 0], ["x", "y"], "t", declared=("bee", "ant"), classes=("ant", "bee"))
    assert numbers.tolist() == [0, 1]
    assert numbers.dtype == np.int64


def test_order_of_classes() -> None:
    assert sorted_classes({"10", "2", "1"}) == ("1", "2", "10")
    assert sorted_classes({"10", "2", "x"}) == ("10", "2", "x")
