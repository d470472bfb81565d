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
    count = _share(fraction, len(present))
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


def keep_shares(images: ImageSet, people: float, each: float, seed: int) -> ImageSet:
    """A smaller set: a share of the identities, and a share of the images of each, both rounded up and drawn by
    ``seed``. What a smaller share keeps, a larger one keeps too.

    Raises:
        ConfigError: a share that isn't above 0 and at most 1.
        DataError: no pairs to compare are left.
    """
    for name, share in (("people", people), ("each person's images", each)):
        if not 0 < share <= 1:
            raise ConfigError(f"A share of {share} of {name} can't be meant: give one above 0, 1 at most.")
    if people == each == 1:
        return images
    labels = require_identities(images)
    drawn = np.random.default_rng(derive_seed(seed, "share of identities")).permutation(np.unique(labels))
    kept = np.zeros(len(labels), dtype=bool)
    for label in drawn[: _share(people, len(drawn))]:
        rows = np.flatnonzero(labels == label)
        order = np.random.default_rng(derive_seed(seed, "share of images", int(label))).permutation(rows)
        kept[order[: _share(each, len(rows))]] = True
    smaller = images.subset(np.flatnonzero(kept))
    require_identities(smaller)
    return smaller


def _share(fraction: float, count: int) -> int:
    return int(np.ceil(fraction * count - 1e-9))
