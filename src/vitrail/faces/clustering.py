"""Which faces are of one person, when nobody is named? Agglomerative clustering at a threshold (FaceNet, section 5.8).

Every face begins as a cluster of its own; the two nearest clusters become one, again and again, until no two are within
the threshold. The paper doesn't say what the distance of two clusters is. Single linkage takes that of their nearest
faces, and one blurred face between two people joins them; complete linkage takes that of their farthest faces, and one
bad picture splits a person. Ours is average linkage: the mean of D, the squared distance, over all pairs across, and so
a threshold of the same kind as verification's.

A mean of squared distances needs no pairs: over A x B it is mean|a|² + mean|b|² - 2 mean(a)·mean(b). So clusters are
compared by d + 1 numbers each, and memory grows with the number of faces, not with its square as in scipy and
scikit-learn (10,000 faces: 1-2 GB there). Nor do those know "these two are of different people", as two faces in one
photograph are: such clusters are infinitely far apart here. How they are joined: ``linkage``.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.faces.agreement import Agreement, bcubed
from vitrail.faces.linkage import Clusters, Pairs, pairs_of
from vitrail.faces.verification import require_finite

CUTS = 200  # that choose_threshold tries


@dataclass(frozen=True)
class Dendrogram:
    """Which clusters were joined, and how far apart they were."""

    faces: int
    """How many there are."""
    joined: Int64[Tensor, "joins 2"]
    """A face of each of the two clusters; nearest clusters first."""
    heights: Float64[Tensor, " joins"]
    """The mean squared distance between the two, ascending."""

    def cut(self, threshold: float) -> Int64[Tensor, " faces"]:
        """Each face's cluster where those up to ``threshold`` apart are joined.

        Clusters are numbered from 0, in the order of their first faces.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if self.faces == 0:
            return torch.zeros(0, dtype=torch.int64)
        first, second = self.joined[self.heights <= threshold].T.numpy()
        links = coo_array(([True] * len(first), (first, second)), shape=(self.faces, self.faces))
        return _in_order(torch.from_numpy(connected_components(links, directed=False)[1]).long())


def cluster(embeddings: Float[Tensor, "faces d"], threshold: float, cannot_link: Pairs = ()) -> Int64[Tensor, " faces"]:
    """Put faces together that are of one person.

    Args:
        embeddings: one a face, usually unit vectors.
        threshold: the mean squared distance up to which two clusters are joined, of ``choose_threshold`` for instance;
            for unit vectors between 0 and 4, and two random ones are 2 apart.
        cannot_link: faces that are of different people, two by two (``different_within`` photographs); they never share
            a cluster, however near they are.

    Returns:
        Each face's cluster, numbered from 0 in the order of their first faces.

    Raises:
        ConfigError: a threshold that isn't a number, or a pair of faces that aren't there or are one.
        DataError: an embedding that isn't finite.
    """
    return agglomerate(embeddings, threshold, cannot_link).cut(threshold)


def agglomerate(embeddings: Float[Tensor, "faces d"], limit: float, cannot_link: Pairs = ()) -> Dendrogram:
    """As ``cluster``, with every step on the way: one run gives the clusters at all thresholds up to ``limit``."""
    if not limit >= 0:
        raise ConfigError(f"a threshold of {limit} can't be meant; give a squared distance, 0 or more.")
    require_finite(embeddings)
    apart = pairs_of(cannot_link, len(embeddings))
    clusters = Clusters(embeddings.detach().double().cpu(), apart)
    joined, heights = [apart.new_zeros(0, 2)], [torch.zeros(0, dtype=torch.float64)]
    while clusters.find_joins(limit):
        faces, apart_by = clusters.join()
        joined.append(faces)
        heights.append(apart_by)
    ordered, order = torch.cat(heights).sort(stable=True)
    return Dendrogram(len(embeddings), torch.cat(joined)[order], ordered)


def different_within(photographs: Shaped[Tensor, " faces"]) -> Int64[Tensor, "pairs 2"]:
    """All pairs of faces in one photograph: they are of different people.

    Args:
        photographs: which photograph each face is in.
    """
    numbers, order = photographs.unique(return_inverse=True)[1].sort(stable=True)
    groups = order.split(numbers.bincount().tolist())
    return torch.cat([order.new_zeros(0, 2), *(torch.combinations(group, 2) for group in groups if len(group) > 1)])


@dataclass(frozen=True)
class Choice:
    """A threshold, and how well it clusters the faces that it was chosen on."""

    threshold: float
    agreement: Agreement


def choose_threshold(
    embeddings: Float[Tensor, "faces d"], labels: Shaped[Tensor, " faces"], cannot_link: Pairs = (), limit: float = 2.0
) -> Choice:
    """The threshold with the best B-cubed F on faces of known people: other people than those to be clustered.

    It depends on how many faces there are: the more people, the nearer is the nearest stranger. Choose on as many.

    Args:
        limit: no threshold beyond it is tried.

    Raises:
        ConfigError: as many labels as there aren't embeddings, or what ``cluster`` refuses.
        DataError: no face, or an embedding that isn't finite.
    """
    tree = agglomerate(embeddings, limit, cannot_link)
    # F changes only where clusters join: cuts between joins, evenly among them, and where nothing is joined yet.
    ends = torch.cat([tree.heights.new_zeros(1), tree.heights, tree.heights.new_tensor([limit])])
    places = torch.linspace(0, len(tree.heights), min(CUTS, len(tree.heights) + 1)).long()
    cuts = ((ends[places] + ends[places + 1]) / 2).tolist()
    return max((Choice(cut, bcubed(tree.cut(cut), labels)) for cut in cuts), key=lambda choice: choice.agreement.f)


def _in_order(labels: Int64[Tensor, " faces"]) -> Int64[Tensor, " faces"]:
    """The same clusters, numbered in the order of their first faces."""
    names, place = labels.unique(return_inverse=True)
    first = torch.full_like(names, len(labels)).scatter_reduce(0, place, torch.arange(len(labels)), "amin")
    return first.argsort().argsort()[place]
