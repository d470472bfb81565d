"""The trainings of ``triplets`` and ``mining``: one network, one recipe, and several ways to choose triplets.

As every face study's network is trained (``networks.py``), but looked at on the way: on a few batches, drawn from the
training images as training draws its own, the triplets are counted before the first step and every few steps after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from vitrail.data import ImageBatch, ImageSet, in_order, require_identities
from vitrail.faces.batches import IdentitySampler
from vitrail.faces.caching import EmbeddingObjective
from vitrail.faces.mining import count_triplets
from vitrail.faces.statistics import TripletStatistics
from vitrail.faces.triplets import triplet_loss
from vitrail.nn.randomness import derive_seed
from vitrail.recipes import faces
from vitrail.recipes.curves import read_figures
from vitrail.recipes.events import Note, Report
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.inference import inferring
from vitrail.recipes.runs import describe, open_run
from vitrail.studies.networks import options, short_name
from vitrail.studies.terms import Stopped, StudyRecipe
from vitrail.studies.triplet_counts import Counts, count, losses_of, mean, random_triplets
from vitrail.train import train
from vitrail.train.journal import METRICS

if TYPE_CHECKING:
    from vitrail.recipes.runs import Run

Way = Literal["semi-hard", "random", "hard", "hardest"]
"""As ``vitrail.faces.mining.Mining``; "random" is one negative for each pair, whoever it is."""
WAYS: tuple[Way, ...] = get_args(Way)

Looks: TypeAlias = Mapping[str, Sequence[float]]
"""Figures by name, each with a value for every step in "step"."""

EPOCHS = 3
"""Half of other face studies': what is to be seen here happens early on."""
LOOKS = 20
"""Times that a training is looked at, if it has as many steps."""
BATCHES = 2
"""Batches that it is looked at on."""
FOREVER = 10**9
"""Steps that a network may stay collapsed: here that is what is to be seen."""


def usual_options(recipe: StudyRecipe) -> FacesRecipe:
    """How all of these networks are trained."""
    usual = options(replace(recipe, epochs=recipe.epochs or EPOCHS))
    return replace(usual, patience=FOREVER, harmonic_with=None)


def trained(recipe: StudyRecipe, way: Way, seed: int, report: Report) -> tuple["Run", Looks, Looks]:
    """A network whose triplets were chosen in this way: its run, what was counted on the way, and its losses.

    Found, where it was trained before.

    Raises:
        Stopped: the training was interrupted.
        VitrailError: what training raises.
    """
    usual = usual_options(recipe)
    folder = recipe.work / short_name(usual.data) / f"triplets-{way}-seed-{seed}{'-quick' * recipe.quick}"
    mining = usual.mining if way == "random" else way
    wanted = replace(usual, mining=mining, seed=seed, run=folder)
    start = None if wanted.init is None else open_run(wanted.init)
    wanted = faces.settle(wanted, start)
    images = faces.open_people(wanted, start, report)
    torch.manual_seed(derive_seed(seed, "start"))
    config = faces.configure(wanted, images.train, start)
    model = faces.build(config, start)
    job = faces.plan(wanted, config, model, images)
    if way == "random":
        job = replace(job, objective=random_objective(model, wanted.margin), facts={"negatives": "random"})
    assert job.batches is not None
    batches = job.batches(0, 1)
    loop = wanted.train_config(batches.steps_per_epoch)
    loop = replace(loop, log_every=1, evaluate_every=max(1, loop.steps // LOOKS))
    looked_at = batches_looked_at(job.images, wanted)

    def look(module: nn.Module) -> Mapping[str, float]:
        return counted(module, looked_at, wanted.margin).figures()

    report(Note(f"network {folder.name}"))
    with inferring(model, wanted.device, wanted.precision):
        before = look(model)
    known = {**describe(job.kind, job.config, job.images, asdict(wanted)), **job.facts}
    if not train(job.objective, batches, loop, folder, evaluate=look, report=report, describe=known).finished:
        raise Stopped
    found = read_figures(folder / METRICS)
    steps = found["triplets"]["evaluation"][0]
    looks = {name: [value, *found[name]["evaluation"][1]] for name, value in before.items()}
    taken, losses = found["loss"]["train"]
    return open_run(folder), {"step": [0, *steps], **looks}, {"step": taken, "loss": losses}


def counted(module: nn.Module, batches: Sequence[ImageBatch], margin: float) -> Counts:
    """The counts of a network's embeddings of these batches, their mean; in evaluation mode."""
    random = torch.Generator().manual_seed(derive_seed("drawn triplets"))
    found = []
    for batch in batches:
        device = next(module.parameters()).device
        assert batch.labels is not None
        found.append(count(module(batch.images.to(device)).float(), batch.labels.to(device), margin, random))
    return mean(found)


def batches_looked_at(images: ImageSet, wanted: FacesRecipe) -> list[ImageBatch]:
    """As training draws its own, but not among them; the same for every seed and way."""
    return [drawn(images, wanted.batch_size, wanted.per_person, place) for place in range(BATCHES)]


def drawn(images: ImageSet, size: int, each: int, place: int = 0) -> ImageBatch:
    """A batch of so many images, so many of each identity, as they are."""
    choose = IdentitySampler(require_identities(images), size, each=each, seed=derive_seed("looked at"))
    return next(in_order(images.subset(choose(place).numpy()), size))


def whole(labels: NDArray[np.int64]) -> int:
    """The triplets of a whole set."""
    return count_triplets(torch.from_numpy(labels))


def random_objective(module: nn.Module, margin: float) -> EmbeddingObjective:
    """Trains by one random negative for each pair of anchor and positive, whether it teaches anything or not.

    The mean is over triplets with positive loss, as for all other ways.
    """

    def loss(
        embeddings: Tensor, labels: Tensor, fixed: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, TripletStatistics]:
        triplets: Int64[Tensor, "3 pairs"] = random_triplets(labels, generator)
        losses = losses_of(embeddings, triplets, margin)
        active = (losses > 0).sum()
        _, known = triplet_loss(embeddings.detach(), labels, margin, "all")
        statistics = replace(known, chosen=known.pairs, active=active)
        return losses.sum() / active.clamp(min=1), statistics

    return EmbeddingObjective(module, loss, chunk=FOREVER)


def by_step(looks: Sequence[Looks], name: str) -> tuple[list[float], list[list[float]]]:
    """Steps, and for each of them the figure of every training."""
    return list(looks[0]["step"]), [list(values) for values in zip(*(one[name] for one in looks), strict=True)]


def rounded(looks: Looks) -> dict[str, Any]:
    """For ``results.json``."""
    return {name: [float(f"{value:.6g}") for value in values] for name, values in looks.items()}
