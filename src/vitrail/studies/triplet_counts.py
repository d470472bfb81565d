"""How many triplets there are, of which kind, and how many of those drawn by chance teach anything.

Counted by the library's own mining (``vitrail.faces.mining``), which never writes a triplet down. A triplet is *active*
where its loss is positive: D(a,n) < D(a,p) + margin. Of these it is *hard* where D(a,n) < D(a,p), else *semi-hard*.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from vitrail.faces.triplets import triplet_loss


@dataclass(frozen=True)
class Counts:
    """What the triplets of a batch are, as numbers.

    Attributes:
        triplets: all there are.
        active: those whose loss is positive.
        semi_hard: of these, those whose negative is farther than the positive.
        hard: those whose negative is nearer.
        pairs: ordered pairs of anchor and positive.
        skipped: pairs that no semi-hard negative belongs to.
        drawn: of as many triplets drawn by chance as there are pairs, one for each, those whose loss is positive.
        distance: mean squared distance of two embeddings; of unit vectors 0 (all are one) to 2 (they balance).
    """

    triplets: float
    active: float
    semi_hard: float
    hard: float
    pairs: float
    skipped: float
    drawn: float
    distance: float

    def figures(self) -> Mapping[str, float]:
        """As plain values."""
        return asdict(self)


def of_identities(people: int, each: int) -> int:
    """Triplets of so many people with so many images each: P(P-1)K²(K-1)."""
    return people * (people - 1) * each**2 * (each - 1)


def pairs_of(people: int, each: int) -> int:
    """Ordered pairs of anchor and positive: PK(K-1)."""
    return people * each * (each - 1)


@torch.no_grad()
def count(
    embeddings: Float[Tensor, "b d"], labels: Shaped[Tensor, " b"], margin: float, generator: torch.Generator
) -> Counts:
    """Count the triplets of a batch.

    Args:
        embeddings: unit vectors.
        labels: whose each is.
        margin: of the loss.
        generator: on the CPU, for the triplets that are drawn by chance.
    """
    _, semi_hard = triplet_loss(embeddings, labels, margin, "semi-hard")
    _, hard = triplet_loss(embeddings, labels, margin, "hard")
    losses = losses_of(embeddings, random_triplets(labels, generator), margin)
    return Counts(
        float(semi_hard.triplets),
        float(semi_hard.violating),
        float(semi_hard.chosen),
        float(hard.chosen),
        float(semi_hard.pairs),
        float(semi_hard.skipped),
        float((losses > 0).sum()),
        2 * float(semi_hard.variance),
    )


def mean(counts: list[Counts]) -> Counts:
    """Each number's mean over batches."""
    return Counts(**{name: sum(asdict(one)[name] for one in counts) / len(counts) for name in asdict(counts[0])})


def random_triplets(labels: Shaped[Tensor, " b"], generator: torch.Generator) -> Int64[Tensor, "3 pairs"]:
    """One for each ordered pair of one identity, its negative drawn among all others: anchors, positives, negatives."""
    labels = labels.cpu()
    same = labels[:, None] == labels
    anchors, positives = (same & ~torch.eye(len(labels), dtype=torch.bool)).nonzero().unbind(1)
    if same.all() or not len(anchors):
        return torch.empty(3, 0, dtype=torch.int64)
    negatives = torch.multinomial((~same).float()[anchors], 1, generator=generator)[:, 0]
    return torch.stack([anchors, positives, negatives])


def losses_of(
    embeddings: Float[Tensor, "b d"], triplets: Int64[Tensor, "3 pairs"], margin: float
) -> Float[Tensor, " pairs"]:
    """[D(a,p) - D(a,n) + margin]+ of each triplet (FaceNet, section 3.1)."""
    a, p, n = embeddings[triplets.to(embeddings.device)]
    losses: Tensor = ((a - p).square().sum(1) - (a - n).square().sum(1) + margin).relu()
    return losses
