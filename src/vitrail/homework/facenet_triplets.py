"""How many triplets a set has, and what each way of choosing leaves of a batch's: counted by the library's own loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.data import ImageSet, in_order, load_images, require_identities
from vitrail.faces.batches import IdentitySampler
from vitrail.faces.mining import Mining, count_triplets, squared_distances
from vitrail.faces.statistics import TripletStatistics
from vitrail.faces.triplets import triplet_loss
from vitrail.recipes.events import Note, Report
from vitrail.recipes.galleries import require_faces
from vitrail.recipes.inference import embeddings_of, inferring

if TYPE_CHECKING:
    from vitrail.homework.facenet import FaceNetHomework

ROWS, EACH = 1800, 40
"""Faces of a batch, and of one person in it (FaceNet, section 3.2)."""
MARGIN = 0.2
"""Alpha of section 3.1."""
WAYS: dict[Mining, str] = {
    "all": "every negative",
    "semi-hard": "every one farther than the positive, within the margin",
    "hardest-semi-hard": "of these the nearest",
    "hard": "every one nearer than the positive",
    "hardest": "the nearest of all",
}
"""Ways to choose the negatives of a pair, and which they take."""


@dataclass(frozen=True)
class Batch:
    """A batch as FaceNet draws one.

    Attributes:
        data: what it was drawn from, in words.
        space: what distances are taken in.
        people: how many identities are in it.
        images: how many there are of these in the set.
        all_triplets: of the whole set.
        labels: of the batch.
        embeddings: of the batch, unit vectors.
        mined: by way: the loss, and what it was made of.
    """

    data: str
    space: str
    people: int
    images: int
    all_triplets: int
    labels: Int64[Tensor, " b"]
    embeddings: Float[Tensor, "b d"]
    mined: dict[Mining, tuple[float, TripletStatistics]]

    @property
    def triplets(self) -> int:
        """Of the batch."""
        return count_triplets(self.labels)

    def example(self) -> tuple[float, float]:
        """D(a,p) and D(a,n) of one triplet: a row with a positive, its farthest positive and its nearest negative."""
        distances = squared_distances(self.embeddings, self.embeddings)
        same = self.labels[:, None] == self.labels
        same.fill_diagonal_(False)
        anchor = int(same.any(1).nonzero()[0, 0])
        others = self.labels != self.labels[anchor]
        return float(distances[anchor][same[anchor]].max()), float(distances[anchor][others].min())


def draw_batch(homework: "FaceNetHomework", report: Report) -> Batch:
    """Draw a batch of the test part of a set, and mine it in each way.

    Raises:
        VitrailError: the data or the run can't be used.
    """
    opened = None if homework.run is None else require_faces(homework.run)
    if opened is None:
        images = load_images(homework.data, "test", report=lambda line: report(Note(line)), identities=True)
    else:
        from vitrail.recipes.face_measures import people_of

        images = people_of(opened, homework.data, report)
    labels = torch.from_numpy(require_identities(images))
    rows = min(ROWS, len(images))
    sampler = IdentitySampler(labels.numpy(), rows, each=min(EACH, rows // 2), seed=homework.seed)
    part = images.subset(sampler(0).numpy())
    if opened is None:
        embeddings, space = _pixels(part), "pixels, scaled to unit length"
    else:
        with inferring(opened.model, "cpu", "float32") as place:
            embeddings = embeddings_of(opened.model, part, place).clone()
        space = f"embeddings of {opened.folder}"
    drawn = torch.from_numpy(require_identities(part))
    mined = {}
    for way in WAYS:
        loss, statistics = triplet_loss(embeddings, drawn, MARGIN, way)
        mined[way] = float(loss), statistics
    return Batch(
        f"{len(images):,} test images of {len(labels.unique()):,} identities of {homework.data}",
        space,
        len(drawn.unique()),
        len(images),
        count_triplets(labels),
        drawn,
        embeddings,
        mined,
    )


def _pixels(images: ImageSet) -> Float[Tensor, "b d"]:
    """An image's pixels less their mean as a unit vector: what a network begins with."""
    pixels = torch.cat([batch.images.flatten(1).float() for batch in in_order(images, 500, labels=False)])
    return torch.nn.functional.normalize(pixels - pixels.mean(1, keepdim=True), dim=1)
