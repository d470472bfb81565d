"""The terms of a probe: what is asked of a run (``ProbeRecipe``), and one answer (``Score``)."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vitrail.recipes.intervals import Interval, mean_interval, wilson_interval
from vitrail.recipes.options import AugmentationOptions


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
    """Repetitions, each with a seed of its own, which draws labels, folds and starts."""
    seed: int = 0
    """The first of these seeds; the others follow it."""
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

    @property
    def all_seeds(self) -> range:
        """The seed of each repetition."""
        return range(self.seed, self.seed + self.seeds)


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
