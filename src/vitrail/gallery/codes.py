"""Unit vectors as one signed byte a dimension (FaceNet, section 4: 128 floats become 128 bytes without loss).

Only the direction of an embedding means anything, so each vector is stretched until its largest coordinate is 127 and
rounded; reading it back, its length is made 1 again. No scale has to be kept beside the bytes, and the rounding is
three to four times finer than with one scale for all vectors of 128 coordinates, whose largest is about 0.3.
"""

import numpy as np
from jaxtyping import Float32, Int8

LARGEST = 127
"""The largest coordinate of a code; -128 is never used, so that negating a code stays in its range."""


def quantise(vectors: Float32[np.ndarray, "b d"]) -> Int8[np.ndarray, "b d"]:
    """The codes of vectors of any length above 0."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    codes: Int8[np.ndarray, "b d"] = np.rint(vectors * (LARGEST / largest)).astype(np.int8)
    return codes


def dequantise(codes: Int8[np.ndarray, "b d"]) -> Float32[np.ndarray, "b d"]:
    """The unit vectors that codes stand for."""
    vectors: Float32[np.ndarray, "b d"] = codes.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def squared_distances(one: Float32[np.ndarray, " d"], many: Float32[np.ndarray, "b d"]) -> Float32[np.ndarray, " b"]:
    """D = |x - y|² of one unit vector and many: 0 for the same direction, 2 for none in common, 4 for the opposite."""
    distances: Float32[np.ndarray, " b"] = np.square(many - one).sum(axis=1)
    return distances
