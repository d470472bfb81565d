"""Sets of identities: who is in them, and parts of them that share nobody.

An identity set is an ``ImageSet`` whose classes are people (or characters, ...): ``load_images(data, split,
identities=True)``. What is learned on some of them is measured on others, so a part is always made of whole identities.
"""

import numpy as np
from numpy.typing import NDArray

from vitrail.data.images import ImageSet
from vitrail.errors import ConfigError, DataError
from vitrail.nn.randomness import derive_seed


def require_identities(images: ImageSet) -> NDArray[np.int64]:
    """The labels of a set that has pairs to compare: two images of one identity, and another identity.

    Raises:
        DataError: no labels, one identity, or no two images of the same.
    """
    if images.labels is None:
        raise DataError(
            f"{images.name} has no labels, and identities are told by them: make one folder of images a person, or add "
            "a label column."
        )
    counts = np.bincount(images.labels)
    if (counts > 0).sum() < 2 or counts.max() < 2:
        raise DataError(
            f"The {images.split} part of {images.name} has {len(images)} images of {(counts > 0).sum()} identities, "
            "and there must be two at least, one of them with two images: add some."
        )
    return images.labels


def hold_out_identities(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split off a validation set of ``ceil(fraction * identities)`` whole identities, drawn by ``seed``.

    Returns:
        What stays for training, and the validation set; both keep their order and know the same classes.

    Raises:
        ConfigError: a fraction that leaves one side empty.
        DataError: a side has no pairs to compare.
    """
    labels = require_identities(images)
    present = np.unique(labels)
    count = int(np.ceil(fraction * len(present) - 1e-9))
    if not 0 < count < len(present):
        raise ConfigError(
            f"Holding out {fraction} of {len(present):,} identities leaves one side empty: give a fraction between 0 "
            "and 1."
        )
    drawn = np.random.default_rng(derive_seed(seed, "hold out identities")).permutation(present)[:count]
    held = np.isin(labels, drawn)
    sides = images.subset(np.flatnonzero(~held)), images.subset(np.flatnonzero(held))
    for side in sides:
        require_identities(side)
    return sides
