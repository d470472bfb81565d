"""The masked autoencoders of studies: trained once, each in a folder that says how it differs, and what is asked of it.

A network small enough for one processor core, with the paper's decoder (self-attention over all places) and its plain
pixels as targets (He et al. 2021, table 1, defaults). It is trained on a bounded part of a data set, without labels;
then a linear map reads its encoder, or the encoder is trained on with labels, beside the same net from scratch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vitrail.data import ImageSet, load_images
from vitrail.nn.randomness import derive_seed
from vitrail.recipes import mae, probe
from vitrail.recipes.events import Note, Report
from vitrail.recipes.finetune import finetune
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.probing import probe_accuracy
from vitrail.recipes.runs import open_run
from vitrail.recipes.terms import ProbeRecipe
from vitrail.recipes.training import TrainingImages, carry_out
from vitrail.studies.measuring import Interval, over_seeds_and_examples
from vitrail.studies.networks import short_name
from vitrail.studies.terms import Stopped, StudyRecipe

if TYPE_CHECKING:
    from vitrail.recipes.runs import Run
    from vitrail.vision import ViT

USUAL = 0.75
"""The share of patches that the paper hides."""
LIMIT, QUICK_LIMIT = 10_000, 300
"""Images of each part that are used, at most."""
BATCH = 128
PARTS: tuple[Literal["train", "test"], ...] = ("train", "test")
STEPS, QUICK_STEPS = 500, 40
"""Of a masked autoencoder's training, about."""
TUNED, QUICK_TUNED = 150, 24
"""Steps with labels, about: as many for every share of them."""
SMALL = 16
"""Images of fewer pixels than this on a side are digits' like."""
SHAPE: dict[str, Any] = {"preset": "fast", "dim": 128, "depth": 4, "heads": 4, "mlp_dim": 512}
DECODER: dict[str, Any] = {"decoder": "self", "decoder_dim": 64, "decoder_depth": 2, "norm_pix": False}
MUON: dict[str, Any] = {"optimizer": "muon", "lr": 2e-3}
LIGHT: dict[str, Any] = {"crop_padding": 4, "flip": True}
"""For images in colour: those in grey may be letters, which mirrored are others."""


@dataclass(frozen=True)
class Pictures:
    """The images of a study; labels are read by probes and fine-tuning only."""

    train: ImageSet
    test: ImageSet

    @property
    def facts(self) -> dict[str, Any]:
        """What is kept of them."""
        return {
            "train_images": len(self.train),
            "test_images": len(self.test),
            "fingerprints": [self.train.fingerprint, self.test.fingerprint],
        }


def open_pictures(recipe: StudyRecipe, usual: str, report: Report) -> Pictures:
    """Both parts of the study's data, as much of each as it uses.

    Raises:
        DataError: the data can't be used.
    """
    limit = QUICK_LIMIT if recipe.quick else LIMIT
    train, test = (
        bounded(load_images(recipe.data or usual, part, report=lambda line: report(Note(line))), limit)
        for part in PARTS
    )
    return Pictures(train, test)


def bounded(images: ImageSet, limit: int) -> ImageSet:
    """So many images at most, spread evenly over the set, and over each of its classes."""
    if len(images) <= limit:
        return images
    order = np.arange(len(images)) if images.labels is None else np.argsort(images.labels, kind="stable")
    return images.subset(np.sort(order[np.arange(limit) * len(images) // limit]))


def pretrained(recipe: StudyRecipe, pictures: Pictures, seed: int, report: Report, mask_ratio: float = USUAL) -> "Run":
    """A masked autoencoder of these images: trained, or found.

    Raises:
        Stopped: the training was interrupted.
        VitrailError: what training raises.
    """
    name = f"mae-hides-{mask_ratio:g}-seed-{seed}{'-quick' * recipe.quick}"
    options = _options(recipe, pictures.train, seed, mask_ratio, recipe.work / short_name(pictures.train.name) / name)
    report(Note(f"masked autoencoder {name}"))
    torch.manual_seed(derive_seed(seed, "start"))
    model = mae.build(options, pictures.train)
    job = replace(mae.plan(options, model, TrainingImages(pictures.train, None)), picture=None)
    if not carry_out(job, options, report)[0]:
        raise Stopped
    return open_run(job.folder)


def _options(recipe: StudyRecipe, images: ImageSet, seed: int, mask_ratio: float, folder: Path) -> MAERecipe:
    """How it is trained: small images by ``digits`` as it is, others by a narrow ``fast``."""
    shape: dict[str, Any] = {"preset": "digits"} if min(images.image_size) < SMALL else SHAPE
    steps = QUICK_STEPS if recipe.quick else STEPS
    batch_size = min(BATCH, len(images))
    epochs = recipe.epochs or max(1, round(steps / (len(images) // batch_size)))
    return MAERecipe(
        **shape,
        **DECODER,
        **MUON,
        **_light(images),
        muon_lr=1e-2,
        data=images.name,
        run=folder,
        mask_ratio=mask_ratio,
        epochs=epochs,
        batch_size=batch_size,
        warmup_epochs=epochs / 20,
        evaluate_every=0,
        seed=seed,
        device=recipe.device,
        precision=recipe.precision,
    )


def _light(images: ImageSet) -> dict[str, Any]:
    return LIGHT if images.channels == 3 else {}


def linear_accuracy(encoder: "ViT | None", pictures: Pictures, recipe: StudyRecipe, seed: int) -> float:
    """Test accuracy of a linear map on an encoder's features, or on the pixels; it reads all labels."""
    asked = ProbeRecipe(Path(), kind="linear", device=recipe.device, precision=recipe.precision)
    features = probe.features(encoder, "linear", pictures.train, pictures.test, asked)
    return probe_accuracy("linear, BatchNorm", features, torch.arange(len(pictures.train)), seed)[0]


def tuned_accuracies(
    run: "Run",
    pictures: Pictures,
    recipe: StudyRecipe,
    seed: int,
    report: Report,
    labels_per_class: int | None = None,
    scratch: bool = False,
) -> list[float]:
    """Test accuracy of a run's encoder trained on with labels; if asked for, behind it that of the net from scratch.

    Args:
        run: the masked autoencoder's.
        pictures: its images, with labels.
        recipe: the study.
        seed: draws labels, start and order.
        report: told what happens.
        labels_per_class: how many labels are read (None: all); the steps are as many.
        scratch: whether the same net is trained from scratch, too, with the same labels and steps.

    Raises:
        Stopped: a training was interrupted.
    """
    labels = len(pictures.train) if labels_per_class is None else labels_per_class * len(pictures.train.classes)
    epochs = max(1, round((QUICK_TUNED if recipe.quick else TUNED) / max(1, labels // BATCH)))
    asked = ProbeRecipe(
        run.folder,
        kind="finetune",
        seeds=1,
        seed=seed,
        labels_per_class=labels_per_class,
        baselines=scratch,
        epochs=epochs,
        batch_size=BATCH,
        warmup_epochs=epochs / 10,
        layer_decay=0.9,
        label_smoothing=0.1,
        muon_lr=5e-3,
        device=recipe.device,
        precision=recipe.precision,
        **MUON,
        **_light(pictures.train),
    )
    scores = finetune(run, pictures.train, pictures.test, asked, report)
    if scores is None:
        raise Stopped
    return [score.accuracies[0] for score in scores]


def accuracy(values: Sequence[float], images: int) -> Interval:
    """An accuracy, one a seed, over so many test images: how far it would stray with others, and with other seeds."""
    mean = float(np.mean(values))
    return over_seeds_and_examples(values, mean * (1 - mean) / images)


def gain(more: Sequence[float], less: Sequence[float], images: int) -> Interval:
    """What sets two accuracies apart, seed by seed.

    The test images are the same ones, but which of them each has right isn't kept: as if they were others, which makes
    the interval wider than it need be.
    """
    variance = sum(float(np.mean(of)) * (1 - float(np.mean(of))) / images for of in (more, less))
    return over_seeds_and_examples([one - other for one, other in zip(more, less, strict=True)], variance)
