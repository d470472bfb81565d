"""Which labels a run or a probe may read, where they shall be few."""

import numpy as np
from numpy.typing import NDArray

from vitrail.data import ImageSet, require_labels
from vitrail.errors import ConfigError
from vitrail.nn.randomness import derive_seed


def labelled_rows(images: ImageSet, per_class: int | None, seed: int) -> NDArray[np.int64]:
    """The rows whose labels may be read, in order: all, or so many of each class, drawn by the seed.

    Raises:
        ConfigError: a class has fewer images.
        DataError: the images have no labels.
    """
    labels = require_labels(images)
    if per_class is None:
        return np.arange(len(images))
    counts = np.bincount(labels, minlength=len(images.classes))
    if not 1 <= per_class <= counts.min():
        rare = images.classes[int(counts.argmin())]
        raise ConfigError(
            f"{per_class} labels per class were asked for, and {images.name} has {counts.min()} images of {rare}: "
            f"ask for 1 to {counts.min()}."
        )
    order = np.random.default_rng(derive_seed(seed, "few labels")).permutation(len(images))
    rows = [order[labels[order] == label][:per_class] for label in range(len(images.classes))]
    return np.sort(np.concatenate(rows))
