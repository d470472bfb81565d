"""What an encoder has learned, asked in four ways: linear, attentive, kNN, fine-tuned; each over seeds, with intervals.

The first three read features that are computed once (``recipes/probing.py`` says how their regularisation is chosen);
fine-tuning is a training run of its own for each seed (``recipes/finetune.py``). Beside them, where asked for, the same
probe on the untrained encoder and on raw pixels, and for fine-tuning the same net from scratch.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.terms import ProbeRecipe, Score

if TYPE_CHECKING:
    from torch import Tensor

    from vitrail.data import ImageSet
    from vitrail.recipes.probing import Features, Method
    from vitrail.recipes.runs import Run
    from vitrail.vision import ViT

KINDS: dict[str, tuple["Method", ...]] = {
    "linear": ("linear, BatchNorm", "linear, raw"),
    "attentive": ("attentive",),
    "knn": ("kNN",),
    "finetune": (),
}
"""The kinds of probe, and the methods of those that read features."""


@dataclass(frozen=True)
class ProbeSummary:
    """What the probes found.

    Attributes:
        folder: the run.
        scores: in the order of the table.
        files: a JSON file a kind.
        finished: False where fine-tuning was interrupted after a clean save; the same recipe then goes on.
    """

    folder: Path
    scores: tuple[Score, ...]
    files: tuple[Path, ...]
    finished: bool


def run(recipe: ProbeRecipe, report: Report = ignore) -> ProbeSummary:
    """Probe a run and write ``probes/KIND.json`` into it.

    Raises:
        VitrailError: the run, the data or an option can't be used.
    """
    from vitrail.recipes.evaluate import images_of
    from vitrail.recipes.finetune import finetune
    from vitrail.recipes.results import write_json
    from vitrail.recipes.runs import open_run

    if recipe.seeds < 1:
        raise ConfigError(f"{recipe.seeds} seeds measure nothing: give --seeds 1 or more.")
    if recipe.kind not in (*KINDS, "all"):
        raise ConfigError(f"there is no probe of kind {recipe.kind!r}: choose {', '.join(KINDS)} or all.")
    opened = open_run(recipe.run)
    train = images_of(opened, recipe.data, "train", report)
    test = images_of(opened, recipe.data, "test", report)
    scores: list[Score] = []
    files: list[Path] = []
    for kind in KINDS if recipe.kind == "all" else (recipe.kind,):
        began = time.monotonic()
        if kind == "finetune":
            found = finetune(opened, train, test, recipe, report)
        else:
            found = _measure(opened, kind, train, test, recipe, report)
        if found is None:
            return ProbeSummary(opened.folder, tuple(scores), tuple(files), finished=False)
        figures = {
            "kind": kind,
            "run": str(opened.folder),
            "data": train.name,
            "fingerprint": {"train": train.fingerprint, "test": test.fingerprint},
            "labels_per_class": recipe.labels_per_class,
            "seeds": list(recipe.all_seeds),
            "options": {name: value for name, value in dataclasses.asdict(recipe).items() if name != "run"},
            "scores": [score.figures() for score in found],
            "seconds": round(time.monotonic() - began, 1),
        }
        files.append(write_json(opened.folder / "probes" / f"{kind}.json", figures))
        scores += found
    return ProbeSummary(opened.folder, tuple(scores), tuple(files), finished=True)


def _measure(
    opened: "Run", kind: str, train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe, report: Report
) -> list[Score]:
    """The probes of one kind that read features, on each subject."""
    import torch

    from vitrail.recipes.labels import labelled_rows
    from vitrail.recipes.probing import probe_accuracy

    drawn = {seed: torch.from_numpy(labelled_rows(train, recipe.labels_per_class, seed)) for seed in recipe.all_seeds}
    scores = []
    for subject, features in _subjects(opened, kind, train, test, recipe):
        for method in KINDS[kind]:
            found = [probe_accuracy(method, features, rows, seed) for seed, rows in drawn.items()]
            accuracies, chosen = zip(*found, strict=True)
            scores.append(Score(method, subject, accuracies, chosen, len(test)))
            report(Note(f"{method} on {subject}: {scores[-1].mean:.1%}"))
    return scores


def _subjects(
    opened: "Run", kind: str, train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe
) -> Iterator[tuple[str, "Features"]]:
    """What is probed: the trained encoder; for comparison the untrained one, and the pixels."""
    import torch

    from vitrail.nn.randomness import derive_seed
    from vitrail.vision import ViT

    yield "trained encoder", features(opened.encoder, kind, train, test, recipe)
    if recipe.baselines:
        torch.manual_seed(derive_seed(recipe.seed, "untrained"))
        yield "untrained encoder", features(ViT(opened.encoder.config), kind, train, test, recipe)
        if kind != "attentive":
            yield "raw pixels", features(None, kind, train, test, recipe)


def features(encoder: "ViT | None", kind: str, train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe) -> "Features":
    """What an encoder makes of the images; the normalised pixels themselves without one."""
    import torch

    from vitrail.data import in_order, require_labels
    from vitrail.recipes.inference import BATCH, features_of, inferring, tokens_of
    from vitrail.recipes.probing import Features

    def of(images: "ImageSet", flipped: bool) -> "Tensor":
        if encoder is None:
            parts = (batch.images for batch in in_order(images, BATCH, labels=False))
            return torch.cat([(part.flip(-1) if flipped else part).flatten(1) for part in parts])
        with inferring(encoder, recipe.device, recipe.precision) as place:
            read = tokens_of if kind == "attentive" else features_of
            return read(encoder, images, place, flipped=flipped)

    views = (False, True) if recipe.flip else (False,)
    return Features(
        tuple(of(train, flipped).clone() for flipped in views),
        of(test, False).clone(),
        torch.from_numpy(require_labels(train)).long(),
        torch.from_numpy(require_labels(test)).long(),
        len(train.classes),
    )
