"""Images that come with an installed package: real, small, and there without a network.

``digits``: the 1,797 handwritten digits of scikit-learn (UCI "Optical Recognition of Handwritten Digits", test part;
Alpaydin & Kaynak 1998), 8x8 grey with 17 levels, stretched to 0-255. They have no split of their own; like any source
without one they get the stratified split by content: 1,437 train, 360 test.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images uint8 ``[n H W]`` and labels int64 ``[n]``."""


def digits() -> Arrays:
    """Scikit-learn's handwritten digits: uint8 ``[1797 8 8]``, labels 0 to 9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.int64)


EMBEDDED: dict[str, tuple[str, Callable[[], Arrays]]] = {"digits": ("digits/1", digits)}
"""Name → (identity, raised when the content changes; what gives the arrays)."""
