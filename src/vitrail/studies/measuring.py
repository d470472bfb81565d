"""VAL at a FAR of one setting, and what sets two settings apart: with an error over test people and over seeds.

Draws of test people are the same for all networks, so differences are paired; where a setting was trained with several
seeds, the spread of these counts too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from vitrail.data import ImageSet, require_identities
from vitrail.faces.bootstrap import DRAWS
from vitrail.faces.pairs import KEEP, AllPairs, compare_all
from vitrail.recipes.events import Report
from vitrail.recipes.face_measures import people_of
from vitrail.recipes.inference import embeddings_of, inferring

if TYPE_CHECKING:
    from vitrail.recipes.runs import Run
    from vitrail.studies.terms import StudyRecipe

FARS = (1e-2, 1e-3)
"""The rates that studies tell; the second one is the paper's."""
QUICK = 50
"""Test people of a quick study, at most."""
UNTOLD = "too small to tell"


@dataclass(frozen=True)
class Interval:
    """A figure with its standard error and its 95% interval."""

    value: float
    error: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def cell(self) -> str:
        """For a table, in percent."""
        return f"{100 * self.value:.1f} ± {100 * self.error:.1f}"

    def points(self) -> str:
        """A difference in words."""
        ends = f"({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        return f"{100 * self.value:+.1f} points {ends}" if self.told else f"{UNTOLD} {ends}"

    def figures(self) -> dict[str, Any]:
        """As plain values."""
        return {"value": self.value, "standard_error": self.error, "interval": [self.low, self.high]}


def over_seeds_and_examples(values: Sequence[float], variance: float) -> Interval:
    """The mean over seeds, and how far it would stray with other test examples and other seeds.

    Student's t, with the degrees of freedom of Welch and Satterthwaite.

    Args:
        values: one a seed.
        variance: of the mean, were it taken on other test examples.
    """
    from scipy.special import stdtrit

    seeds, freedom = 0.0, np.inf
    if len(values) > 1:
        seeds = float(np.var(values, ddof=1)) / len(values)
    if seeds > 0:
        freedom = (variance + seeds) ** 2 / (seeds**2 / (len(values) - 1))
    mean, error = float(np.mean(values)), sqrt(variance + seeds)
    half = float(stdtrit(freedom, 0.975)) * error
    return Interval(mean, error, mean - half, mean + half)


@dataclass(frozen=True)
class Vals:
    """VAL at one FAR of one setting.

    Attributes:
        values: one a seed.
        draws: the same for each draw of people.
    """

    values: Float64[Tensor, " seeds"]
    draws: Float64[Tensor, "seeds draws"]

    def interval(self) -> Interval:
        """The mean over seeds, and how far it would stray with other test people and other seeds."""
        return over_seeds_and_examples(self.values.tolist(), float(self.draws.mean(0).var()))

    def minus(self, other: "Vals") -> Interval:
        """The difference of two settings, seed by seed and draw by draw."""
        return Vals(self.values - other.values, self.draws - other.draws).interval()


def people_tested(run: "Run", recipe: "StudyRecipe", report: Report) -> ImageSet:
    """The test part of the study's data, fitted to a network; some of it in a quick study."""
    return fewer(people_of(run, recipe.data, report), recipe)


def fewer(images: ImageSet, recipe: "StudyRecipe") -> ImageSet:
    """All images, or in a quick study those of the first people that have several."""
    if not recipe.quick:
        return images
    labels = require_identities(images)
    several = np.flatnonzero(np.bincount(labels) > 1)[:QUICK]
    return images.subset(np.flatnonzero(np.isin(labels, several)))


def embed(run: "Run", images: ImageSet, recipe: "StudyRecipe") -> Tensor:
    """A network's embeddings ``[n d]`` of images."""
    with inferring(run.model, recipe.device, "float32") as place:
        embeddings = embeddings_of(run.model, images, place)
    return embeddings.clone()


def compare(embeddings: Tensor, images: ImageSet, others: Tensor | None = None) -> AllPairs:
    """All pairs of the images, of the same embeddings or of two networks'."""
    keep = max(KEEP, int((1.5 if others is not None else 0.75) * max(FARS) * len(images) ** 2))
    return compare_all(embeddings, torch.from_numpy(require_identities(images)), others, keep)


def vals(compared: Sequence[AllPairs], far: float) -> Vals:
    """VAL at a FAR, of one setting's networks, one a seed.

    Raises:
        DataError: too few pairs of two people for so small a rate.
    """
    found = [pairs.at_far(far, DRAWS) for pairs in compared]
    return Vals(
        torch.tensor([at.val.value for at in found], dtype=torch.float64), torch.stack([at.draws for at in found])
    )
