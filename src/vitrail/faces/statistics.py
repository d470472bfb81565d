"""What tells progress and collapse of a triplet-trained network, from a batch's embeddings.

Section 3.2 of FaceNet warns that the hardest negatives, taken early, collapse the network: all embeddings become equal,
every triplet's loss is the margin and no gradient leads out of it. The spread of the embeddings shows it, the loss
doesn't: it looks like a plateau. As a network learns, fewer of all triplets have a loss (``satisfied`` grows), and
the mean distances of the same and of different people part.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from vitrail.errors import CollapseError
from vitrail.faces.mining import Mining, full_precision, squared_distances

ROWS = 256  # of a matrix of distances that are counted at once


@dataclass(frozen=True)
class TripletStatistics:
    """What a batch's triplets were; tensors on its device, which nothing has waited for."""

    pairs: Int64[Tensor, ""]
    """Ordered pairs of anchor and positive."""
    skipped: Int64[Tensor, ""]
    """Of these, pairs without a negative of the kind that was mined."""
    triplets: Int64[Tensor, ""]
    """All there are, as ``count_triplets``."""
    violating: Int64[Tensor, ""]
    """Of these, triplets whose loss is positive, mined or not."""
    chosen: Int64[Tensor, ""]
    """Triplets that were mined."""
    active: Int64[Tensor, ""]
    """Of these, triplets whose loss is positive: what the loss is the mean of."""
    same_distance: Float64[Tensor, ""]
    """Mean D of two different rows of one identity; 0 if there are none."""
    other_distance: Float64[Tensor, ""]
    """Mean D of two rows of different identities; 0 if there are none."""
    variance: Float64[Tensor, ""]
    """Mean squared distance from the mean embedding; of unit vectors 0 (all are one) to 1 (they balance)."""

    def scalars(self) -> dict[str, Float[Tensor, ""]]:
        """For a run's metrics: shares rather than counts.

        ``satisfied``: share of all triplets whose loss is 0. ``active``: triplets the loss is the mean of.
        ``skipped``: share of pairs without a negative of the kind that was mined.
        """
        return {
            "satisfied": 1 - self.violating.double() / self.triplets.clamp(min=1),
            "active": self.active.double(),
            "skipped": self.skipped.double() / self.pairs.clamp(min=1),
            "same_distance": self.same_distance,
            "other_distance": self.other_distance,
            "variance": self.variance,
        }


def spread(
    embeddings: Float[Tensor, "b d"], labels: Shaped[Tensor, " b"]
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""], Float64[Tensor, ""]]:
    """The last three of ``TripletStatistics``, without any distance being taken.

    Σ_ij |e_i - e_j|² over n rows is 2n Σ|e|² - 2|Σe|², and so it is within each identity.
    """
    embeddings = embeddings.detach().double()
    _, place, sizes = labels.unique(return_inverse=True, return_counts=True)
    squares = embeddings.square().sum(1)
    rows = len(embeddings)
    total = 2 * (rows * squares.sum() - embeddings.sum(0).square().sum())
    sums = embeddings.new_zeros(len(sizes), embeddings.shape[1]).index_add_(0, place, embeddings)
    same = 2 * ((sizes[place] * squares).sum() - sums.square().sum())
    same_pairs = (sizes * (sizes - 1)).sum()
    other_pairs = rows**2 - (sizes**2).sum()
    return (
        same.clamp(min=0) / same_pairs.clamp(min=1),
        (total - same).clamp(min=0) / other_pairs.clamp(min=1),
        total.clamp(min=0) / (2 * max(rows, 1) ** 2),
    )


@dataclass(frozen=True)
class DistanceHistograms:
    """How far apart two rows of a batch are, each pair counted once."""

    edges: Float[Tensor, " edges"]
    """Of the bins, as squared distances; a bin holds its lower edge, the last one all that is beyond."""
    same: Int64[Tensor, " bins"]
    """Pairs of one identity."""
    other: Int64[Tensor, " bins"]
    """Pairs of different identities."""


@torch.no_grad()
def distance_histograms(
    embeddings: Float[Tensor, "b d"], labels: Shaped[Tensor, " b"], bins: int = 40, largest: float = 4.0
) -> DistanceHistograms:
    """Count squared distances from 0 to ``largest``, which for unit vectors is all there are."""
    counts = torch.zeros(2 * bins, dtype=torch.int64, device=embeddings.device)
    places = torch.arange(len(labels), device=labels.device)
    for rows in places.split(ROWS):
        distances = squared_distances(embeddings[rows], embeddings)
        bin_of = (distances * (bins / largest)).long().clamp(max=bins - 1)
        bin_of += bins * (labels[rows, None] != labels)
        counts += torch.bincount(bin_of[rows[:, None] < places], minlength=2 * bins)
    edges = torch.linspace(0, largest, bins + 1, dtype=full_precision(embeddings).dtype, device=embeddings.device)
    return DistanceHistograms(edges, counts[:bins], counts[bins:])


class CollapseWatch:
    """Stops a run whose embeddings have become one, instead of letting it go on for hours.

    Fresh deep networks begin near there and leave it, so it takes many steps in a row.

    Args:
        margin: of the loss. Two embeddings are as one where the mean D of all is below a hundredth of it: then every
            triplet's loss is the margin, to a percent.
        mining: of the loss, for the advice.
        patience: steps in a row.
    """

    def __init__(self, margin: float, mining: Mining, patience: int = 200) -> None:
        self.margin, self.mining, self.patience = margin, mining, patience
        self.steps = 0

    def look(self, statistics: TripletStatistics) -> None:
        """Take in a step; waits for the device.

        Raises:
            CollapseError: this was the last step of patience.
        """
        mean = 2 * float(statistics.variance)
        self.steps = self.steps + 1 if mean < self.margin / 100 else 0
        if self.steps >= self.patience:
            advice = (
                f"mine semi-hard triplets in place of {self.mining}"
                if self.mining in ("hard", "hardest")
                else "use a lower learning rate, a warm-up, or more identities in a batch"
            )
            raise CollapseError(
                f"The network embeds every face in the same place: in the last {self.patience} steps the mean squared "
                f"distance of two was below {self.margin / 100:g} (now {mean:.2g}) and the margin is {self.margin:g}; "
                f"{advice}, and begin anew or from a checkpoint before this."
            )
