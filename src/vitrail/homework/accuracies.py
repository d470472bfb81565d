"""The three accuracies of the Masked Autoencoder exercise, each with how it came about.

What is handed in is the test accuracy after the *last* epoch. The course keeps that of the best epoch, which is chosen
on the test images and so flatters; where training looked at them each epoch (``train``), it stands beside.

The linear probe is a linear map on BatchNorm'd features, fitted to the end (MAE, appendix A.1); the course's is trained
for 20 epochs behind a LayerNorm. It has no epochs to choose from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.errors import ModelError
from vitrail.homework.terms import MAEHomework
from vitrail.recipes.events import Note, Report

if TYPE_CHECKING:
    from vitrail.recipes.vit import ViTRecipe

METHOD = "linear, BatchNorm"
"""The probe whose figure is handed in."""

NAMES: Mapping[str, str] = {"vit_acc": "--vit", "mae_linear_acc": "--linear", "mae_finetune_acc": "--finetune"}
"""The accuracies, and the options that name a run for each."""


@dataclass(frozen=True)
class Accuracy:
    """One accuracy.

    Attributes:
        name: as in autograder.pt.
        value: share of the test images that were right, 0 to 1, after the last epoch.
        best_epoch: the course's statistic, where it is known.
        how: the run and its data, in words.
    """

    name: str
    value: float
    best_epoch: float | None
    how: str


def given(homework: MAEHomework, report: Report) -> list[Accuracy]:
    """The accuracies of the runs that were named.

    Raises:
        VitrailError: a run is none, or of another kind than it is named for.
    """
    found = []
    if homework.vit is not None:
        found.append(_classifier("vit_acc", homework.vit, homework, report))
    if homework.linear is not None:
        found.append(_probe(homework.linear, homework, report))
    if homework.finetune is not None:
        found.append(_classifier("mae_finetune_acc", homework.finetune, homework, report))
    return found


def trained(homework: MAEHomework, report: Report) -> list[Accuracy] | None:
    """Train all that is needed and measure it; None where it was interrupted after a clean save.

    Raises:
        VitrailError: the data or an option can't be used.
    """
    from vitrail.recipes.mae import MAERecipe
    from vitrail.recipes.mae import run as pretrain
    from vitrail.recipes.vit import ViTRecipe

    data = homework.data or ""
    vit = ViTRecipe(
        data=data,
        run=homework.run / "vit",
        preset=homework.preset,
        epochs=homework.epochs,
        batch_size=homework.batch_size,
        seed=homework.seed,
        device=homework.device,
    )
    first = _train_classifier("vit_acc", vit, report)
    if first is None:
        return None
    mae = MAERecipe(
        data=data,
        run=homework.run / "mae",
        preset=homework.preset,
        epochs=homework.pretrain_epochs,
        batch_size=homework.batch_size,
        seed=homework.seed,
        device=homework.device,
    )
    if not pretrain(mae, report).finished:
        return None
    second = _probe(homework.run / "mae", homework, report)
    tuned = replace(
        vit, run=homework.run / "finetune", preset=None, init=homework.run / "mae", epochs=homework.finetune_epochs
    )
    third = _train_classifier("mae_finetune_acc", replace(tuned, layer_decay=0.75), report)
    return None if third is None else [first, second, third]


def _train_classifier(name: str, recipe: "ViTRecipe", report: Report) -> Accuracy | None:
    """Train with a look at the *test* images after each epoch, as the course does; nothing is chosen by it here."""
    import torch

    from vitrail.data import load_images
    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.curves import read_figures
    from vitrail.recipes.evaluate import accuracy_and_loss
    from vitrail.recipes.runs import open_run
    from vitrail.recipes.training import TrainingImages, carry_out
    from vitrail.recipes.vit import build, open_labelled, plan
    from vitrail.train.journal import METRICS

    start = None if recipe.init is None else open_run(recipe.init)
    train = open_labelled(recipe, start, report).train
    height, width = train.image_size
    test = load_images(
        recipe.data, "test", image_size=height if height == width else None, channels=3 if train.channels == 3 else 1
    )
    test = replace(test, mean=train.mean, std=train.std)
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    model = build(recipe, train, start)
    job = plan(recipe, model, TrainingImages(train, test))
    finished, _, _ = carry_out(job, recipe, report)
    if not finished:
        return None
    value = accuracy_and_loss(model, test, recipe.device, recipe.precision)["accuracy"]
    looks = read_figures(job.folder / METRICS).get("accuracy", {}).get("evaluation", ([], []))[1]
    return Accuracy(name, value, max([value, *looks]), _how(job.folder, test.name, recipe.epochs, len(test)))


def _classifier(name: str, folder: Path, homework: MAEHomework, report: Report) -> Accuracy:
    """Of a run of kind vit: from scratch for ``vit_acc``, from an encoder for ``mae_finetune_acc``."""
    from vitrail.recipes.evaluate import EvaluateRecipe, run
    from vitrail.recipes.runs import KINDS, open_run

    opened = open_run(folder)
    asked = "from scratch" if name == "vit_acc" else "from a masked autoencoder"
    command = "vitrail train vit" if name == "vit_acc" else "vitrail train vit --init RUN"
    if opened.kind != "vit":
        raise ModelError(
            f"{folder} holds {KINDS[opened.kind]}, and {NAMES[name]} takes a classifier trained {asked}: name the "
            f"folder of a '{command}'."
        )
    started = opened.options.get("init") is not None
    if started != (name == "mae_finetune_acc"):
        found = "from a masked autoencoder" if started else "from scratch"
        raise ModelError(
            f"{folder} was trained {found}, and {NAMES[name]} takes one trained {asked}: name the folder of a "
            f"'{command}'."
        )
    figures = run(EvaluateRecipe(folder, device=homework.device), report).figures
    how = _how(folder, figures["data"], opened.options.get("epochs"), figures["images"])
    return Accuracy(name, figures["accuracy"], None, how)


def _probe(folder: Path, homework: MAEHomework, report: Report) -> Accuracy:
    from vitrail.recipes.probe import run
    from vitrail.recipes.runs import KINDS, open_run
    from vitrail.recipes.terms import ProbeRecipe

    opened = open_run(folder)
    if opened.kind != "mae":
        raise ModelError(
            f"{folder} holds {KINDS[opened.kind]}, and --linear takes a masked autoencoder: name the folder of a "
            "'vitrail train mae'."
        )
    report(Note(f"fitting a linear probe on {folder}"))
    summary = run(ProbeRecipe(folder, kind="linear", seeds=1, seed=homework.seed, device=homework.device), report)
    score = next(score for score in summary.scores if score.probe == METHOD)
    epochs = opened.options.get("epochs")
    return Accuracy("mae_linear_acc", score.mean, None, f"probe of {_how(folder, opened.data, epochs, score.images)}")


def _how(folder: Path, data: str, epochs: Any, images: int) -> str:
    return f"{folder}: {epochs} epochs of {data}, {images:,} test images"
