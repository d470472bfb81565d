"""Probes on features that were computed once: what is chosen on held-out labels, what is then measured on the test set.

For each seed some labelled images are drawn (or all), cut into five folds of equal class shares; the strength of the
regularisation is what does best on the folds left out, the probe is then fitted to all labelled images. The test
labels are looked at once, at the very end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from vitrail.nn.randomness import derive_seed
from vitrail.vision.probes import fit_attentive, fit_linear, neighbour_votes

FOLDS = 5
SEVERAL = 5000
"""With more labelled images than this one fold says enough, and the other four are not tried."""
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Strengths tried for linear probes."""
DECAYS = (0.03, 0.3, 3.0)
"""Weight decays tried for attentive probes."""
PART = 1000
"""Images whose tokens are pooled at once."""
NEIGHBOURS = (1, 3, 5, 10, 20, 50)
"""Numbers of neighbours tried for kNN."""

Method = Literal["linear, BatchNorm", "linear, raw", "attentive", "kNN"]


@dataclass(frozen=True)
class Features:
    """What an encoder made of a training and a test set.

    Attributes:
        train: for each view of the training images (as they are; mirrored) features ``[n d]`` or tokens ``[n N d]``.
        test: of the test images as they are.
        train_labels: int64 ``[n]``.
        test_labels: int64.
        classes: how many classes there are.
    """

    train: tuple[Tensor, ...]
    test: Tensor
    train_labels: Int64[Tensor, " n"]
    test_labels: Int64[Tensor, " m"]
    classes: int


def probe_accuracy(method: Method, features: Features, rows: Int64[Tensor, " r"], seed: int) -> tuple[float, float]:
    """Test accuracy of a probe that may read the labels of ``rows``, and the setting that was chosen for it."""
    chosen = _choose(method, features, rows, seed)
    ((_, logits),) = _fits(method, features, rows, features.test, (chosen,), seed)
    return (logits.argmax(1) == features.test_labels).double().mean().item(), chosen


def folds(labels: Int64[Tensor, " r"], seed: int) -> list[Bool[Tensor, " r"]]:
    """Masks of the images left out, one a fold; each class is spread evenly over the folds."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed(seed, "folds")))
    place = torch.empty_like(order)
    by_class = order[labels[order].argsort(stable=True)]
    place[by_class] = torch.arange(len(labels)) % FOLDS
    return [place == fold for fold in range(FOLDS if len(labels) <= SEVERAL else 1)]


def _choose(method: Method, features: Features, rows: Tensor, seed: int) -> float:
    """The setting with the best folds: by cross-entropy, which says more than accuracy (kNN: by accuracy)."""
    candidates = _candidates(method, len(rows))
    losses = dict.fromkeys(candidates, 0.0)
    for left_out in folds(features.train_labels[rows], seed):
        held, kept = rows[left_out], rows[~left_out]
        labels = features.train_labels[held]
        for setting, logits in _fits(method, features, kept, features.train[0][held], candidates, seed):
            if method == "kNN":
                losses[setting] += (logits.argmax(1) != labels).double().sum().item()
            else:
                losses[setting] += F.cross_entropy(logits, labels, reduction="sum").item()
    return min(losses, key=losses.__getitem__)


def _candidates(method: Method, images: int) -> tuple[float, ...]:
    if method == "attentive":
        return DECAYS
    if method == "kNN":
        # Every fit must have as many images: also those on four of five folds.
        return tuple(k for k in NEIGHBOURS if k <= max(1, images * (FOLDS - 1) // FOLDS))
    return PENALTIES


def _fits(
    method: Method, features: Features, rows: Tensor, queries: Tensor, settings: tuple[float, ...], seed: int
) -> Iterator[tuple[float, Float[Tensor, "q v"]]]:
    """For each setting the logits (for kNN: votes) of ``queries``, from the labelled images ``rows``."""
    inputs = torch.cat([view[rows] for view in features.train])
    labels = features.train_labels[rows].repeat(len(features.train))
    classes = features.classes
    match method:
        case "kNN":
            numbers = tuple(int(setting) for setting in settings)
            yield from neighbour_votes(inputs, labels, queries, classes, neighbours=numbers).items()
        case "attentive":
            for decay, attentive in fit_attentive(inputs, labels, classes, settings, seed=derive_seed(seed, "probe")):
                yield decay, torch.cat([attentive(part) for part in queries.split(PART)])
        case _:
            for penalty, linear in fit_linear(
                inputs, labels, classes, settings, batch_norm=method == "linear, BatchNorm"
            ):
                yield penalty, linear(queries)
