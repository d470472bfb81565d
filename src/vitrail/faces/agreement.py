"""How well clusters agree with the people they should be, by three measures that need no names for clusters.

B-cubed (Bagga and Baldwin 1998) asks each face: which share of my cluster is my person (precision), which share of my
person is in my cluster (recall)? Pairwise measures ask each pair of faces, so that big clusters weigh most. Normalised
mutual information is scikit-learn's, over the arithmetic mean of the two entropies.
"""

from typing import NamedTuple

from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from vitrail.errors import ConfigError, DataError


class Agreement(NamedTuple):
    """From 0 to 1, which is perfect."""

    precision: float
    """Low where people are mixed up."""
    recall: float
    """Low where a person is in pieces."""
    f: float
    """The harmonic mean of both."""


def bcubed(clusters: Shaped[Tensor, " faces"], people: Shaped[Tensor, " faces"]) -> Agreement:
    """B-cubed precision, recall and F: the mean over faces, F from these means.

    Args:
        clusters: which cluster each face was put into.
        people: whose face it is.

    Raises:
        ConfigError: clusters of other faces than the people's.
        DataError: no face.
    """
    both, cluster, person = _sizes(clusters, people)
    return _agreement(float((both / cluster).mean()), float((both / person).mean()))


def pairwise_f(clusters: Shaped[Tensor, " faces"], people: Shaped[Tensor, " faces"]) -> Agreement:
    """Precision, recall and F of "these two are of one person", over all pairs of faces.

    Where no pair is claimed, no claim is wrong: precision 1; where there is no pair to be found, recall is 1. Arguments
    and errors as ``bcubed``.
    """
    both, cluster, person = _sizes(clusters, people)
    # A face has size - 1 partners, so each pair is counted from both sides.
    found, claimed, there = (float((size - 1).sum()) for size in (both, cluster, person))
    return _agreement(found / claimed if claimed else 1.0, found / there if there else 1.0)


def nmi(clusters: Shaped[Tensor, " faces"], people: Shaped[Tensor, " faces"]) -> float:
    """Normalised mutual information, from 0 to 1. Arguments and errors as ``bcubed``.

    Many small clusters raise it by chance alone, so it stands beside B-cubed and not in its place.
    """
    from sklearn.metrics import normalized_mutual_info_score

    _require_same_faces(clusters, people)
    return float(normalized_mutual_info_score(people.cpu().numpy(), clusters.cpu().numpy()))


def _sizes(
    clusters: Shaped[Tensor, " _"], people: Shaped[Tensor, " _"]
) -> tuple[Float64[Tensor, " faces"], Float64[Tensor, " faces"], Float64[Tensor, " faces"]]:
    """For each face, how many share its cluster and person, its cluster, its person; itself among them."""
    _require_same_faces(clusters, people)
    cluster, person = clusters.unique(return_inverse=True)[1], people.unique(return_inverse=True)[1]
    both = (cluster * (int(person.max()) + 1) + person).unique(return_inverse=True)[1]
    return _size_of_own(both), _size_of_own(cluster), _size_of_own(person)


def _size_of_own(groups: Int64[Tensor, " faces"]) -> Float64[Tensor, " faces"]:
    return groups.bincount()[groups].double()


def _agreement(precision: float, recall: float) -> Agreement:
    total = precision + recall
    return Agreement(precision, recall, 2 * precision * recall / total if total else 0.0)


def _require_same_faces(clusters: Shaped[Tensor, " _"], people: Shaped[Tensor, " _"]) -> None:
    if len(clusters) != len(people):
        raise ConfigError(
            f"there are clusters of {len(clusters)} faces and people of {len(people)}; give the same faces."
        )
    if len(people) == 0:
        raise DataError("there is no face to measure clusters on; give at least one.")
