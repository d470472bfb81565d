"""The main job on embedded data, offline: pretrain a masked autoencoder on digits, look at it, probe it four ways.

The autoencoder sees the training images without labels; the probes then read ``LABELS`` labels per class. Beside
fine-tuning stands the same net trained from scratch on the same labels for the same steps, beside the others the same
probe on the untrained encoder and on raw pixels.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.mae import run as pretrain
from vitrail.recipes.probe import run as probe
from vitrail.recipes.terms import ProbeRecipe, Score

LABELS = 10
"""Labels per class that the probes may read: few, since that is where pretraining pays."""


@dataclass(frozen=True)
class DemoRecipe:
    """Pretrain a small masked autoencoder on digits, look at it, probe it four ways; offline."""

    run: Path = Path("runs/demo")
    """Folder for everything the demo makes."""
    epochs: int = 110
    """Passes over the 1,437 training digits."""
    finetune_epochs: int = 120
    """Passes over the labelled digits, when fine-tuning and from scratch; enough for both to level off."""
    seeds: int = 3
    """Repetitions of the probes."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""


@dataclass(frozen=True)
class DemoSummary:
    """What the demo found.

    Attributes:
        folder: where everything is.
        picture: original | masked | reconstruction of test digits.
        errors: squared error on hidden pixels of the model, the mean image, and bilinear filling.
        scores: of all probes, in the order of the table.
        labels_per_class: how many labels the probes read.
        seconds: all of it.
        finished: False where it was interrupted after a clean save; the same recipe then goes on.
    """

    folder: Path
    picture: Path
    errors: dict[str, float]
    scores: tuple[Score, ...]
    labels_per_class: int
    seconds: float
    finished: bool


def run(recipe: DemoRecipe, report: Report = ignore) -> DemoSummary:
    """Do all of it; the same recipe again finds what is trained and only repeats the probes.

    Raises:
        OutputError: the folder can't be written.
        ConfigError: the folder holds a demo with other options.
    """
    from vitrail.recipes.results import write_json

    began = time.monotonic()
    with _one_thread():
        errors, scores, finished = _pretrain_and_probe(recipe, report)
    seconds = time.monotonic() - began
    if finished:
        figures = {
            "masked_patch_error": errors,
            "labels_per_class": LABELS,
            "scores": [score.figures() for score in scores],
            "seconds": round(seconds, 1),
        }
        write_json(recipe.run / "demo.json", figures)
    return DemoSummary(recipe.run, recipe.run / "reconstruction.png", errors, scores, LABELS, seconds, finished)


def _pretrain_and_probe(recipe: DemoRecipe, report: Report) -> tuple[dict[str, float], tuple[Score, ...], bool]:
    """Errors on hidden pixels, scores, and whether all was done."""
    report(Note("pretraining a masked autoencoder on 1,437 handwritten digits, without their labels"))
    trained = pretrain(
        MAERecipe(
            data="digits",
            run=recipe.run,
            epochs=recipe.epochs,
            batch_size=128,
            optimizer="muon",
            lr=2e-3,
            muon_lr=1.5e-2,
            warmup_epochs=1,
            evaluate_every=0,
            precision=recipe.precision,
            device=recipe.device,
        ),
        report,
    )
    if not trained.finished:
        return {}, (), False
    report(Note(f"probing it with {LABELS} labels per class, {recipe.seeds} draws of them"))
    probed = probe(
        ProbeRecipe(
            recipe.run,
            seeds=recipe.seeds,
            labels_per_class=LABELS,
            baselines=True,
            epochs=recipe.finetune_epochs,
            batch_size=50,
            lr=1e-3,
            warmup_epochs=5,
            precision=recipe.precision,
            device=recipe.device,
        ),
        report,
    )
    return trained.evaluation["masked_patch_error"], probed.scores, probed.finished


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread.

    Operations as small as the demo's gain a quarter from a second thread when the machine is idle, and take forty
    times as long when another program wants that core: the threads wait for each other in a busy loop.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
