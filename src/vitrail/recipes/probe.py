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
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.intervals import Interval, mean_interval, wilson_interval
from vitrail.recipes.options import AugmentationOptions

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
class ProbeOptions:
    """What is asked of which run; a base of its own, so that it stands before augmentation."""

    run: Path
    """Folder of the run."""
    kind: Literal["linear", "attentive", "knn", "finetune", "all"] = "all"
    """How to ask: a linear map, learned queries over the patches, nearest neighbours, or training everything on."""
    data: str | None = None
    """Labelled images (default: what the run was trained on)."""
    seeds: int = 3
    """Repetitions, with seeds 0, 1, …; they draw labels, folds and starts."""
    labels_per_class: int | None = None
    """Read only so many labels of each class, drawn by the seed (default: all)."""
    baselines: bool = False
    """Also the same probe on the untrained encoder and on raw pixels; for finetune the same net from scratch."""
    epochs: int = 20
    """Fine-tuning: passes over the labelled images."""
    batch_size: int = 128
    """Fine-tuning: images in one step, at most."""
    lr: float = 1e-3
    """Fine-tuning: highest learning rate of AdamW."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """Fine-tuning: "muon" trains the matrices inside blocks, AdamW everything else."""
    muon_lr: float | None = None
    """Fine-tuning: highest learning rate of Muon (default: the same as lr)."""
    weight_decay: float = 0.05
    """Fine-tuning: decoupled weight decay of matrices."""
    warmup_epochs: float = 1.0
    """Fine-tuning: epochs over which the learning rate rises."""
    layer_decay: float = 0.75
    """Fine-tuning: factor on the learning rate per layer, from the last towards the first; off from scratch."""
    drop_path: float = 0.0
    """Fine-tuning: stochastic depth of the last block."""
    label_smoothing: float = 0.0
    """Fine-tuning: share of each label that is spread evenly."""
    mixup: float = 0.0
    """Fine-tuning: blend images and labels, by a weight from Beta(this, this) (0: off)."""
    cutmix: float = 0.0
    """Fine-tuning: paste a box of another image, its area from Beta(this, this) (0: off)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""


@dataclass(frozen=True)
class ProbeRecipe(AugmentationOptions, ProbeOptions):
    """Ask what a trained encoder knows.

    Augmentation is for fine-tuning; of it, the other probes heed only --flip (mirrored images join the training set).
    """


@dataclass(frozen=True)
class Score:
    """Test accuracies of one probe on one subject.

    Attributes:
        probe: "linear, BatchNorm", "linear, raw", "attentive", "kNN" or "finetune".
        subject: "trained encoder", "untrained encoder", "raw pixels" or "from scratch".
        accuracies: on the test images, one a seed.
        chosen: what was chosen on held-out labels, one a seed: penalty, weight decay, number of neighbours.
        images: test images.
    """

    probe: str
    subject: str
    accuracies: tuple[float, ...]
    chosen: tuple[float, ...]
    images: int

    @property
    def mean(self) -> float:
        """Over seeds."""
        return sum(self.accuracies) / len(self.accuracies)

    @property
    def interval(self) -> Interval | None:
        """Student's 95% interval for the mean over seeds: what another draw of labels, folds and starts would give."""
        return mean_interval(self.accuracies)[1]

    @property
    def images_interval(self) -> Interval:
        """Wilson's 95% interval for the mean as a share of the test images: what other test images would give."""
        return wilson_interval(self.mean, self.images)

    def figures(self) -> dict[str, Any]:
        """As plain values."""
        return {
            **dataclasses.asdict(self),
            "mean": self.mean,
            "interval": self.interval,
            "images_interval": self.images_interval,
        }


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
            "seeds": list(range(recipe.seeds)),
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

    drawn = [torch.from_numpy(labelled_rows(train, recipe.labels_per_class, seed)) for seed in range(recipe.seeds)]
    scores = []
    for subject, features in _subjects(opened, kind, train, test, recipe):
        for method in KINDS[kind]:
            found = [probe_accuracy(method, features, rows, seed) for seed, rows in enumerate(drawn)]
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

    yield "trained encoder", _features(opened.encoder, kind, train, test, recipe)
    if recipe.baselines:
        torch.manual_seed(derive_seed(0, "untrained"))
        yield "untrained encoder", _features(ViT(opened.encoder.config), kind, train, test, recipe)
        if kind != "attentive":
            yield "raw pixels", _features(None, kind, train, test, recipe)


def _features(encoder: "ViT | None", kind: str, train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe) -> "Features":
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
