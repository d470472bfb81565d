"""The main job on embedded data, offline: a masked autoencoder on digits, a face network on characters, and
a summarizer of docstrings; and what they attend to.

One file a part: ``demo_vision.py``, ``demo_faces.py``, ``demo_texts.py``, ``demo_view.py``.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitrail.recipes import demo_faces, demo_texts, demo_view, demo_vision
from vitrail.recipes.demo_faces import FacesPart
from vitrail.recipes.demo_texts import TextsPart
from vitrail.recipes.demo_view import Show
from vitrail.recipes.demo_vision import VisionPart
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.threads import one_thread


@dataclass(frozen=True)
class DemoRecipe:
    """Pretrain a small masked autoencoder on digits and probe it; train a network to tell characters apart; train a
    Transformer to summarize docstrings; offline.
    """

    run: Path = Path("runs/demo")
    """Folder for everything the demo makes."""
    epochs: int = 110
    """Passes over the 1,437 training digits."""
    finetune_epochs: int = 120
    """Passes over the labelled digits, when fine-tuning and from scratch; enough for both to level off."""
    seeds: int = 3
    """Repetitions of the probes."""
    face_epochs: int = 8
    """Passes over the 7,920 pictures of training characters."""
    text_epochs: int = 3
    """Passes over the 5,859 training docstrings."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    no_open: bool = False
    """Don't open the browser, only say the address."""


@dataclass(frozen=True)
class DemoSummary:
    """What the demo found.

    Attributes:
        folder: where everything is.
        vision: on digits; None where it was interrupted after a clean save, and the same recipe then goes on.
        faces: on characters; likewise.
        texts: on docstrings; likewise.
        seconds: all of it.
    """

    folder: Path
    vision: VisionPart | None
    faces: FacesPart | None
    texts: TextsPart | None
    seconds: float


def run(recipe: DemoRecipe, report: Report = ignore, show: Show = lambda name, path: None) -> DemoSummary:
    """Do all of it; the same recipe again finds what is trained and only repeats the measurements.

    Args:
        recipe: what to do.
        report: hears how it goes.
        show: gets the traces of each trained model when it is done.

    Raises:
        OutputError: the folder can't be written.
        ConfigError: the folder holds a demo with other options.
    """
    from vitrail.recipes.results import write_json

    began = time.monotonic()
    with one_thread():
        vision = demo_vision.run(recipe, report, show)
        faces = None if vision is None else demo_faces.run(recipe, report)
        if faces is not None:
            demo_view.show_faces(recipe, report, show)
        texts = None if faces is None else demo_texts.run(recipe, report)
        if texts is not None:
            demo_view.show_texts(recipe, report, show)
    seconds = time.monotonic() - began
    if vision is not None and faces is not None and texts is not None:
        figures = {
            "masked_patch_error": vision.errors,
            "labels_per_class": vision.labels_per_class,
            "scores": [score.figures() for score in vision.scores],
            "faces": faces.figures,
            "clusters": {"found": faces.clusters, "characters": faces.characters, "bcubed_f": faces.agreement},
            "texts": texts.figures,
            "seconds": round(seconds, 1),
        }
        write_json(recipe.run / "demo.json", figures)
    return DemoSummary(recipe.run, vision, faces, texts, seconds)
