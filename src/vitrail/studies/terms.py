"""What is asked of a study (``StudyRecipe``), and what it gives: a table, words, and curves for a figure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitrail.recipes.events import Report

Name = Literal["face-dimension", "face-data", "face-jpeg", "face-pixels", "harmonic"]
"""As the keys of ``vitrail.studies.STUDIES``."""


@dataclass(frozen=True)
class StudyRecipe:
    """Rerun one question's experiment; networks that it has trained before are not trained again.

    face-dimension: how many numbers does an embedding need?

    face-data: what do more training people, and more images of each, bring?

    face-jpeg: how much JPEG compression does a network stand?

    face-pixels: how few pixels are enough?

    harmonic: can a new network's embeddings be compared with an old one's?
    """

    name: Name
    """Which question."""
    data: str | None = None
    """Identities, as for 'vitrail train faces' (default: those of --run, else glyphs)."""
    run: Path | None = None
    """A face network's run: face-jpeg and face-pixels measure it, the others train with its options
    (default: a small vit)."""
    epochs: int | None = None
    """Length of each training (default: that of --run, else 6); smaller sets take as many steps."""
    seeds: int | None = None
    """Repetitions of each training, with a seed of its own each (default: 2, for harmonic 3, with --quick 1)."""
    seed: int = 0
    """The first of these seeds; the others follow it."""
    quick: bool = False
    """An eighth of the training and 50 test people at most: enough to see that it works."""
    results: Path | None = None
    """Folder to write NAME/results.json and NAME/figure.png in, beside what was found on other data
    (default: results, with --quick runs/studies/quick)."""
    work: Path = Path("runs/studies")
    """Folder of the trainings."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Of trainings. "auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""


@dataclass(frozen=True)
class Curve:
    """Points of a figure, in the order of x."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    """Lower ends of 95% intervals, if there are any."""
    high: tuple[float, ...] = ()
    """Upper ends."""


@dataclass(frozen=True)
class Finding:
    """What a study gave on one set of data.

    Attributes:
        heads: of the table.
        rows: likewise.
        words: what follows from them, a sentence each.
        curves: for the figure; those of the same label have the same colour in every study of these data.
        facts: the figures in full, and what they are of, as plain values.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    curves: tuple[Curve, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Axes:
    """How a study's figure is drawn.

    Attributes:
        x: what is along the figure, and in which unit.
        y: what is up it.
        log: whether x is.
        ticks: where x has its numbers, if not where it likes.
        panels: a panel for each set of data, instead of one for all beside the paper.
        shared: whether the paper's curve stands along the same x as ours.
    """

    x: str
    y: str = "VAL at FAR 0.001"
    log: bool = True
    ticks: tuple[float, ...] = ()
    panels: bool = False
    shared: bool = True


@dataclass(frozen=True)
class Study:
    """One question.

    Attributes:
        question: in a few words, for the figure's title.
        run: does the experiment.
        axes: of its figure.
        paper: the paper's own curves.
    """

    question: str
    run: Callable[[StudyRecipe, Report], Finding]
    axes: Axes
    paper: tuple[Curve, ...] = field(default=())


class Stopped(Exception):
    """A training of the study was interrupted after a clean save; the same study goes on there. No error."""
