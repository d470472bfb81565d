"""What every training recipe does around the loop: data in, folder out."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from vitrail.data import Augmentation, ImageBatches, ImageSet, hold_out, load_images
from vitrail.recipes.events import Note, Report
from vitrail.recipes.options import TrainingOptions
from vitrail.recipes.runs import Kind, ModelConfig, describe
from vitrail.train import Objective, Traces, train
from vitrail.train.precision import pick_device


@dataclass(frozen=True)
class RunSummary:
    """What a training recipe gives back.

    Attributes:
        folder: the run.
        kind: "vit", "mae", "faces", "summarizer" or "lm".
        parameters: of the model.
        finished: False where it was interrupted after a clean save; the same recipe then goes on.
        seconds: of this session's training.
        metrics: the last figures on the training and validation data.
        evaluation: the figures on the test data, once finished (``vitrail evaluate`` gives the same).
        pictures: what was drawn of the finished model.
    """

    folder: Path
    kind: str
    parameters: int
    finished: bool
    seconds: float
    metrics: Mapping[str, float]
    evaluation: Mapping[str, Any]
    pictures: tuple[Path, ...]


@dataclass(frozen=True)
class TrainingImages:
    """The images of a run: to train on, and (where some are held out) to look at while training."""

    train: ImageSet
    validation: ImageSet | None


def open_images(options: TrainingOptions, report: Report) -> TrainingImages:
    """Load what ``--data`` names and hold out the validation share."""
    images = load_images(
        options.data,
        image_size=options.image_size,
        channels=options.channels,
        corrupt=options.corrupt,
        report=lambda line: report(Note(line)),
    )
    if images.skipped:
        report(Note(f"left out {len(images.skipped)} damaged images: {', '.join(images.skipped[:5])}"))
    if not options.validation:
        return TrainingImages(images, None)
    return TrainingImages(*hold_out(images, options.validation, options.seed))


@dataclass(frozen=True)
class Job:
    """One model to be trained on one set of images, into one folder."""

    kind: Kind
    config: ModelConfig
    objective: Objective[Any]
    images: ImageSet
    augmentation: Augmentation
    folder: Path
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None
    picture: Callable[[nn.Module, Path], None] | None = None
    traces: Traces | None = None
    layer_decay: float = 1.0
    labels: bool = True
    batches: Callable[[int, int], ImageBatches] | None = None
    """(rank, processes) → batches of another kind than epochs of the images."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else decides what is learned, for ``config.json``."""


def carry_out(job: Job, options: TrainingOptions, report: Report) -> tuple[bool, float, Mapping[str, float]]:
    """Train, or go on with what the folder holds; returns whether it is finished, seconds, and the last figures."""
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if job.batches is not None:
        batches = job.batches(rank, processes)
    else:
        batches = ImageBatches(
            job.images,
            options.batch_size,
            seed=options.seed,
            augmentation=job.augmentation,
            micro_batches=options.micro_batches,
            rank=rank,
            world_size=processes,
            device=pick_device(options.device),
            labels=job.labels,
        )
    result = train(
        job.objective,
        batches,
        options.train_config(batches.steps_per_epoch, job.layer_decay),
        job.folder,
        evaluate=job.evaluate,
        picture=job.picture,
        traces=job.traces,
        report=report,
        describe={**describe(job.kind, job.config, job.images, asdict(options)), **job.facts},
    )
    return result.finished, result.seconds, result.metrics


def count_parameters(model: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
