"""The demo's part on images: pretrain a masked autoencoder on digits, without labels, and probe it four ways.

The probes read ``LABELS`` labels per class. Beside fine-tuning stands the same net trained from scratch on the same
labels for the same steps, beside the others the same probe on the untrained encoder and on raw pixels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.recipes.demo_view import Show, show_vision, showing
from vitrail.recipes.events import Note, Report
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.mae import run as pretrain
from vitrail.recipes.probe import run as probe
from vitrail.recipes.terms import ProbeRecipe, Score

if TYPE_CHECKING:
    from vitrail.recipes.demo import DemoRecipe

LABELS = 10
"""Labels per class that the probes may read: few, since that is where pretraining pays."""

TRACE_EVERY = 120
"""Steps of pretraining between two traces: the first picture of a model of one's own is there in seconds."""


@dataclass(frozen=True)
class VisionPart:
    """What was found on digits.

    Attributes:
        picture: original | masked | reconstruction of test digits.
        errors: squared error on hidden pixels of the model, the mean image, and bilinear filling.
        scores: of all probes, in the order of the table.
        labels_per_class: how many labels the probes read.
    """

    picture: Path
    errors: dict[str, float]
    scores: tuple[Score, ...]
    labels_per_class: int = LABELS


def run(recipe: "DemoRecipe", report: Report, show: Show) -> VisionPart | None:
    """Do this part, or what is left of it; None where it was interrupted."""
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
            trace_every=TRACE_EVERY,
            precision=recipe.precision,
            device=recipe.device,
        ),
        showing(report, show),
    )
    if not trained.finished:
        return None
    show_vision(recipe, report, show)
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
    if not probed.finished:
        return None
    return VisionPart(recipe.run / "reconstruction.png", trained.evaluation["masked_patch_error"], probed.scores)
