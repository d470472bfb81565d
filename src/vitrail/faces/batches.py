"""Which images meet in a batch: some of each of a few identities, and others at random (FaceNet, section 3.2).

Semi-hard negatives are looked for within a batch, so it must hold several images of an identity ("around 40 per
identity") as positives, and many identities besides. Each step's rows are a pure function of the seed and the step, as
those of ``vitrail.data.ImageBatches`` are, which makes the batches: nothing but the step is saved, and every split into
processes sees its rows of the same global batch.

The paper doesn't say how the identities of a batch are chosen, nor what happens to one with fewer images than asked
for. We draw all alike, or in proportion to the images that they can give; one with fewer gives all it has, and further
identities fill its place.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from vitrail.data import Augmentation, ImageBatches, ImageSet, require_identities
from vitrail.data.augment import NO_AUGMENTATION
from vitrail.errors import ConfigError
from vitrail.nn.randomness import derive_seed

Draw = Literal["identities", "images"]
"""Identities are drawn all alike, or in proportion to how many images each can give to a batch."""


class IdentitySampler:
    """Chooses the rows of each step's global batch; identity by identity, then the random others.

    Args:
        labels: whose each row of the set is.
        size: rows of a batch.
        each: images of an identity, K; one with fewer gives all, one with a single image is never drawn as such.
        extra: rows at the end that are random images of identities not yet in the batch.
        seed: decides everything.
        draw: how identities are drawn.

    Raises:
        ConfigError: numbers that leave no room for two identities with two images.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        size: int,
        *,
        each: int,
        extra: int = 0,
        seed: int = 0,
        draw: Draw = "identities",
    ) -> None:
        if each < 2 or extra < 0 or size - extra < 2 * each:
            raise ConfigError(
                f"a batch of {size} with {each} images of an identity and {extra} others can't be meant: ask for 2 "
                "images or more, and leave room for two identities."
            )
        self._labels = labels
        self._size, self._each, self._extra, self._seed = size, each, extra, seed
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        self._rows: Sequence[NDArray[np.int64]] = np.split(order, counts.cumsum()[:-1])
        self._several = np.flatnonzero(counts >= 2)
        gives = np.minimum(counts[self._several], each)
        self._weights = gives.astype(float) if draw == "images" else np.ones(len(gives))

    def __call__(self, step: int) -> Int64[Tensor, " b"]:
        """The rows of step ``step`` (from 0), no row twice."""
        random = np.random.default_rng(derive_seed(self._seed, "identities", step))
        # The smallest of exponential times with these rates: a weighted draw without replacement.
        order = self._several[np.argsort(random.exponential(size=len(self._several)) / self._weights)]
        room = self._size - self._extra
        chosen: list[NDArray[np.int64]] = []
        drawn = np.zeros(len(self._rows), dtype=bool)
        for identity in order:
            if room < 2:
                break
            rows = random.permutation(self._rows[identity])[: min(self._each, room)]
            chosen.append(rows)
            drawn[identity] = True
            room -= len(rows)
        taken = np.concatenate(chosen)
        missing = self._size - len(taken)
        if missing:
            others = random.permutation(np.setdiff1d(np.arange(len(self._labels)), taken))
            # Those of identities not in the batch come first: only where there are too few of them do others help out.
            others = others[np.argsort(drawn[self._labels[others]], kind="stable")]
            taken = np.concatenate([taken, others[:missing]])
        return torch.from_numpy(taken)


def identity_batches(
    images: ImageSet,
    size: int,
    *,
    each: int,
    seed: int,
    extra: int = 0,
    draw: Draw = "identities",
    augmentation: Augmentation = NO_AUGMENTATION,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | str = "cpu",
) -> ImageBatches:
    """Endless batches of ``size`` images, ``each`` of an identity and ``extra`` random others.

    An epoch is as many steps as the set would fill batches.

    Args:
        images: a set with labels.
        size: rows of the global batch.
        each: images of an identity.
        seed: decides the rows and every random choice.
        extra: random others, of identities not in the batch.
        draw: how identities are drawn.
        augmentation: what is done to the images; mixing is not for identities.
        rank: which of ``world_size`` processes this is.
        world_size: how many processes share a batch.
        device: where batches are put.

    Raises:
        DataError: a set without two images of one identity, or smaller than a batch.
        ConfigError: numbers that can't be meant, or mixing.
    """
    labels = require_identities(images)
    if augmentation.mixes:
        raise ConfigError(
            "mixup and cutmix make images of two identities, and a triplet needs one each: leave them off."
        )
    return ImageBatches(
        images,
        size,
        seed=seed,
        augmentation=augmentation,
        rank=rank,
        world_size=world_size,
        device=device,
        choose=IdentitySampler(labels, size, each=each, extra=extra, seed=seed, draw=draw),
    )
