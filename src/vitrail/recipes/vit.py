"""Train a Vision Transformer on labelled images, from scratch or from a masked autoencoder's encoder.

The objective is cross-entropy, with label smoothing (Szegedy et al. 2015), mixup (Zhang et al. 2017) and cutmix (Yun et
al. 2019) where asked for. One step is read in three files: this one, ``vision/vit.py`` and ``train/loop.py``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.errors import ConfigError, ModelError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.options import AugmentationOptions, ShapeOptions, TraceOptions, TrainingOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitrail.data import ImageBatch, ImageSet
    from vitrail.nn.randomness import RowRandom
    from vitrail.recipes.runs import Run
    from vitrail.recipes.training import Job, RunSummary, TrainingImages
    from vitrail.train.objective import LossSums
    from vitrail.vision import ViT


@dataclass(frozen=True)
class ViTRecipe(ShapeOptions, AugmentationOptions, TraceOptions, TrainingOptions):  # --help begins with the last base
    """Train a Vision Transformer on labelled images."""

    preset: str | None = None
    """Shape: digits, fast, course, tiny, small, base or large
    (default: digits for images under 16 pixels, fast under 128, else small)."""
    init: Path | None = None
    """Start from the encoder of this masked autoencoder's run; shape and normalisation come from there."""
    labels_per_class: int | None = None
    """Train on only so many images of each class, drawn by the seed (default: all)."""
    label_smoothing: float = 0.0
    """Share of each label that is spread evenly over all classes."""
    mixup: float = 0.0
    """Blend images and labels of a batch pairwise, by a weight from Beta(this, this) (0: off)."""
    cutmix: float = 0.0
    """Paste a box of another image and mix labels by its area, from Beta(this, this) (0: off)."""
    dropout: float = 0.0
    """Dropout inside the blocks while training."""
    layer_decay: float = 1.0
    """Factor on the learning rate per layer, from the last towards the first (1: off; for --init, 0.65 to 0.85)."""


class Classification:
    """What a classifier is trained for: cross-entropy with the (smoothed, mixed) labels; reports accuracy."""

    def __init__(self, module: "nn.Module", label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"a label smoothing of {label_smoothing} can't be meant: give a share from 0 to below 1.")
        self.module = module
        self.label_smoothing = label_smoothing

    def loss(self, batch: "ImageBatch", random: "RowRandom") -> "LossSums":
        """Sums over the images; an image mixed from two counts as right by the share of the class that was guessed."""
        import torch

        logits = self.module(batch.images).float()
        assert batch.labels is not None  # open_labelled has seen to it
        loss, right = self._compare(logits, batch.labels)
        if batch.mixed is not None:
            others, weight = batch.mixed
            other_loss, other_right = self._compare(logits, others)
            loss, right = torch.lerp(other_loss, loss, weight), torch.lerp(other_right, right, weight)
        return loss.sum(), torch.tensor(len(loss), device=loss.device), {"accuracy": right.sum()}

    def _compare(self, logits: "Tensor", labels: "Tensor") -> tuple["Tensor", "Tensor"]:
        from torch.nn import functional as F

        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, reduction="none")
        return loss, (logits.detach().argmax(1) == labels).to(loss.dtype)


def run(recipe: ViTRecipe, report: Report = ignore) -> "RunSummary":
    """Train, or go on with the run in the recipe's folder; test once at the end.

    Raises:
        VitrailError: an option, the data, the folder or the start can't be used; the text says what to do.
    """
    import torch

    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.evaluate import run as evaluate
    from vitrail.recipes.runs import open_run
    from vitrail.recipes.training import RunSummary, carry_out, count_parameters

    start = None if recipe.init is None else open_run(recipe.init)
    images = open_labelled(recipe, start, report)
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    model = build(recipe, images.train, start)
    job = plan(recipe, model, images)
    finished, seconds, metrics = carry_out(job, recipe, report)
    parameters = count_parameters(model)
    if not finished:
        return RunSummary(job.folder, "vit", parameters, False, seconds, metrics, {}, ())
    tested = evaluate(EvaluateRecipe(job.folder, device=recipe.device, precision=recipe.precision), report)
    return RunSummary(job.folder, "vit", parameters, True, seconds, metrics, tested.figures, tested.files)


def open_labelled(recipe: ViTRecipe, start: "Run | None", report: Report) -> "TrainingImages":
    """The recipe's images; with a run to start from, of its size and normalised as there."""
    from vitrail.data import require_labels
    from vitrail.recipes.labels import labelled_rows
    from vitrail.recipes.training import TrainingImages, open_images

    if start is not None:
        height, width = start.image_size
        recipe = replace(
            recipe,
            channels=recipe.channels or start.channels,
            image_size=recipe.image_size or (height if height == width else None),
        )
    images = open_images(recipe, report)
    require_labels(images.train)
    train, validation = images.train, images.validation
    if start is not None:
        train, validation = start.feed(train), None if validation is None else start.feed(validation)
    if recipe.labels_per_class is not None:
        train = train.subset(labelled_rows(train, recipe.labels_per_class, recipe.seed))
        report(Note(f"training on {len(train)} labelled images, {recipe.labels_per_class} of each class"))
    return TrainingImages(train, validation)


def build(recipe: ViTRecipe, images: "ImageSet", start: "Run | None") -> "ViT":
    """The model before its first step."""
    from vitrail.recipes.presets import vit_config
    from vitrail.vision import ViT

    if start is None:
        shape = vit_config(recipe.preset, images.image_size, images.channels, len(images.classes), recipe)
        return ViT(replace(shape, dropout=recipe.dropout))
    if recipe.preset is not None or recipe.shape():
        raise ModelError(
            f"a shape was asked for, but with --init it is that of {start.folder}: leave --preset and its changes out."
        )
    return classifier_from(start.encoder, len(images.classes), drop_path=recipe.drop_path, dropout=recipe.dropout)


def classifier_from(
    encoder: "ViT", classes: int, *, drop_path: float = 0.0, dropout: float = 0.0, weights: bool = True
) -> "ViT":
    """A ViT of an encoder's shape with a fresh classifier; ``weights`` = False leaves the rest fresh too.

    An encoder without a final norm (the course's) gets a fresh one: its classifier begins with a norm.
    """
    from vitrail.vision import ViT

    config = replace(encoder.config, classes=classes, final_norm=True, drop_path=drop_path, dropout=dropout)
    model = ViT(config)
    if weights:
        learned = {name: value for name, value in encoder.state_dict().items() if not name.startswith("head.")}
        model.load_state_dict({**model.state_dict(), **learned})
    return model


def plan(recipe: ViTRecipe, model: "ViT", images: "TrainingImages", folder: Path | None = None) -> "Job":
    """What is trained on what, and how it is looked at."""
    from vitrail.recipes.traces import traces_of_images
    from vitrail.recipes.training import Job

    validation = images.validation
    place = folder or recipe.folder("vit")

    def look(module: "nn.Module") -> dict[str, float]:
        from vitrail.recipes.evaluate import accuracy_and_loss

        assert validation is not None
        return accuracy_and_loss(module, validation, recipe.device, recipe.precision)

    return Job(
        "vit",
        model.config,
        Classification(model, recipe.label_smoothing),
        images.train,
        recipe.augmentation(recipe.mixup, recipe.cutmix),
        place,
        evaluate=None if validation is None else look,
        traces=traces_of_images(recipe, "vit", model.config, images, place, recipe.seed),
        layer_decay=recipe.layer_decay,
    )
