"""A byte a coordinate loses next to nothing."""

import numpy as np
import pytest

from vitrail.gallery.codes import dequantise, quantise, squared_distances


def units(count: int, dim: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_code_has_one_byte_a_coordinate_and_uses_the_whole_range() -> None:
    codes = quantise(units(11, 127))
    assert codes.nbytes == 11 * 127
    assert (np.abs(codes.astype(int)).max(axis=1) == 127).all()


def test_codes_by_hand() -> None:
    codes = quantise(np.array([[0.6, -0.8], [0, 3], [-1, 1]], np.float32))
    assert codes.tolist() == [[95, -127], [0, 127], [-127, 127]]
    np.testing.assert_allclose(dequantise(codes)[1:], [[0, 1], [-(0.5**0.5), 0.5**0.5]], rtol=1e-6)


def test_only_the_direction_counts() -> None:
    vectors = units(13, 31)
    np.testing.assert_array_equal(quantise(vectors), quantise(vectors * np.float32(7.3)))


@pytest.mark.parametrize("dim", [31, 127, 509])
def test_distances_hardly_change(dim: int) -> None:
    vectors = units(257, dim)
    back = dequantise(quantise(vectors))
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, rtol=1e-6)
    exact = np.square(vectors[:1] - vectors).sum(1)
    assert np.abs(np.square(back[:1] - back).sum(1) - exact).max() < 0.02
    # Coding a code again changes nothing: what is stored can be moved to another store.
    np.testing.assert_array_equal(quantise(back), quantise(vectors))


def test_squared_distances_are_those_of_a_loop() -> None:
    one, many = units(1, 7)[0], units(5, 7, seed=1)
    naive = [sum((float(x) - float(y)) ** 2 for x, y in zip(one, other, strict=True)) for other in many]
    np.testing.assert_allclose(squared_distances(one, many), naive, rtol=1e-5)


def test_no_vectors_are_no_codes() -> None:
    empty = np.empty((0, 7), np.float32)
    assert quantise(empty).shape == dequantise(quantise(empty)).shape == (0, 7)
