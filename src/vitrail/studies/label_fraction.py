"""What is a masked autoencoder worth where labels are few? (He et al. 2021, section 4: all labels of ImageNet-1k)

The same net is trained with the same labels, for the same number of steps, once from scratch and once from the encoder
of a masked autoencoder that has seen all training images without labels. Each seed has a masked autoencoder, a draw of
labels and a start of its own. The paper trains ViT-L longer from scratch (200 epochs) than it fine-tunes (50).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from vitrail.data import require_labels
from vitrail.recipes.events import Note, Report
from vitrail.studies.mask_ratio import DATA, about
from vitrail.studies.masked import accuracy, gain, open_pictures, pretrained, tuned_accuracies
from vitrail.studies.networks import short_name
from vitrail.studies.terms import Axes, Curve, Finding, Study, StudyRecipe

SHARES = (0.01, 0.05, 0.2, 1.0)
STARTS = ("from scratch", "from the masked autoencoder")
PAPER = (0.825, 0.849)
"""Section 4: ViT-L, all labels of ImageNet-1k, 1.28 million."""

Found = Mapping[str, Sequence[float]]
"""By start, an accuracy a seed."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train with each share of the labels from both starts, with each seed."""
    seeds = recipe.repetitions(5)
    pictures = open_pictures(recipe, DATA, report)
    counts = np.bincount(require_labels(pictures.train), minlength=len(pictures.train.classes))
    found: dict[int, dict[str, list[float]]] = {}
    for seed in seeds:
        trained = pretrained(recipe, pictures, seed, report)
        for per_class in amounts(counts):
            labels = int(counts.sum()) if per_class is None else per_class * len(counts)
            report(Note(f"{labels:,} labels, seed {seed}"))
            tuned, scratch = tuned_accuracies(trained, pictures, recipe, seed, report, per_class, scratch=True)
            for start, value in zip(STARTS, (scratch, tuned), strict=True):
                found.setdefault(labels, {start: [] for start in STARTS})[start].append(value)
    images, name = len(pictures.test), short_name(pictures.train.name)
    gains = {labels: gain(of[STARTS[1]], of[STARTS[0]], images) for labels, of in found.items()}
    rows = [
        (
            f"{labels:,}",
            f"{labels / len(pictures.train):.1%}",
            *(accuracy(of[start], images).cell() for start in STARTS),
            gains[labels].points(),
        )
        for labels, of in found.items()
    ]
    paper = ("the paper: 1.28 million", "100.0%", *(f"{100 * value:.1f}" for value in PAPER), "+2.4 points")
    return Finding(
        ("labels", "of all", *STARTS, "difference"),
        (*rows, paper),
        _words(found, images, name, recipe.quick),
        tuple(_curve(start, found, images) for start in STARTS),
        {
            "data": name,
            "seeds": len(seeds),
            **pictures.facts,
            "settings": {str(labels): of for labels, of in found.items()},
            "gains": {str(labels): one.figures() for labels, one in gains.items()},
        },
    )


def amounts(counts: Int64[np.ndarray, " c"]) -> list[int | None]:
    """Labels a class for each share: None for all of them, also where classes have unequal numbers of images.

    Shares of few images that come to the same number are one.
    """
    return list(dict.fromkeys(None if share == 1 else max(1, round(share * int(counts.min()))) for share in SHARES))


def _words(found: Mapping[int, Found], images: int, name: str, quick: bool) -> tuple[str, ...]:
    scratch, masked = STARTS
    words = [
        f"{labels:,} labels: {gain(of[masked], of[scratch], images).points()} from the masked autoencoder"
        for labels, of in found.items()
    ]
    for (few, less), (many, more) in pairwise(found.items()):
        apart = gain(less[masked], more[scratch], images)
        words.append(f"{few:,} labels from the masked autoencoder beside {many:,} from scratch: {apart.points()}")
    told = [
        labels for labels, of in found.items() if (one := gain(of[masked], of[scratch], images)).told and one.low > 0
    ]
    numbers = " and ".join(f"{labels:,}" for labels in told)
    shows = f"this shows no gain from images without labels on {name}"
    if quick:
        shows = "this shows nothing: the trainings were too short to tell"
    elif told:
        shows = (
            f"this shows that images without labels help on {name} with {numbers} labels, at the same number of "
            "labelled steps"
        )
    return (
        *words,
        shows,
        "it can't show what a net from scratch would reach with as much computing in all (pretraining is not counted), "
        "with stronger augmentation, or with options chosen for each share",
    )


def _curve(start: str, found: Mapping[int, Found], images: int) -> Curve:
    ordered = [accuracy(of[start], images) for _, of in sorted(found.items())]
    return Curve(
        start,
        tuple(float(labels) for labels in sorted(found)),
        tuple(one.value for one in ordered),
        tuple(max(0.0, one.low) for one in ordered),
        tuple(min(1.0, one.high) for one in ordered),
    )


STUDY = Study(
    "What is a masked autoencoder worth where labels are few?",
    run,
    Axes("labels", "test accuracy", panels=True),
    about,
    ("data", "epochs", "seeds", "device", "precision"),
    "percent, ± standard error over test images and seeds; differences with 95% intervals",
)
