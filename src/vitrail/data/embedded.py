"""Images that come with an installed package: real, small, and there without a network.

``digits``: the 1,797 handwritten digits of scikit-learn (UCI "Optical Recognition of Handwritten Digits", test part;
Alpaydin & Kaynak 1998), 8x8 grey with 17 levels, stretched to 0-255. They have no split of their own; like any source
without one they get the stratified split by content: 1,437 train, 360 test.

``glyphs``: 480 characters from matplotlib's fonts, 24 pictures each, 32x32 grey (``vitrail.data.glyphs``): 330
characters to train on, 150 others to test on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vitrail.data.glyphs import CHARACTERS, glyphs

Pictures = Iterator[tuple[NDArray[np.uint8], int]]
"""Images uint8 ``[H W]`` with their labels, one after the other."""


@dataclass(frozen=True)
class EmbeddedSet:
    """A set that is made by a function.

    Attributes:
        identity: raised when the content changes.
        parts: what gives the images of "train", and of "test" where the set has a split of its own.
        classes: the names that labels count into, or None: their numbers.
        identities: whether the classes of train and test are different ones, on purpose.
    """

    identity: str
    parts: Mapping[str, Callable[[], Pictures]]
    classes: tuple[str, ...] | None = None
    identities: bool = False


def digits() -> Pictures:
    """Scikit-learn's 1,797 handwritten digits, ``[8 8]``, labels 0 to 9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return zip(np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.tolist(), strict=True)


EMBEDDED: Mapping[str, EmbeddedSet] = {
    "digits": EmbeddedSet("digits/1", {"train": digits}),
    "glyphs": EmbeddedSet(
        "glyphs/1",
        {"train": partial(glyphs, "train"), "test": partial(glyphs, "test")},
        classes=tuple(CHARACTERS),
        identities=True,
    ),
}
"""By name."""
