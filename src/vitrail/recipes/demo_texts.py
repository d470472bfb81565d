"""The demo's part on texts: a summarizer of docstrings, from a description to its first line, by its author and by us.

The docstrings are those of the installed packages, so that nothing is downloaded; a twentieth of them is kept to test
on, chosen by a hash of their text.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.recipes.events import Note, Report
from vitrail.recipes.summarizer import SummarizerRecipe
from vitrail.recipes.summarizer import run as train

if TYPE_CHECKING:
    from vitrail.recipes.demo import DemoRecipe

SHOWN = 3
"""Summaries that are shown."""


@dataclass(frozen=True)
class Example:
    """A document of the test part with two summaries."""

    document: str
    written: str
    author: str


@dataclass(frozen=True)
class TextsPart:
    """What was found on docstrings.

    Attributes:
        folder: the run.
        figures: as ``vitrail evaluate`` gives them.
        examples: some test documents, drawn by chance, with their summaries.
    """

    folder: Path
    figures: Mapping[str, Any]
    examples: tuple[Example, ...]


def run(recipe: "DemoRecipe", report: Report) -> TextsPart | None:
    """Do this part, or what is left of it; None where it was interrupted."""
    report(Note("training a Transformer to write the first line of a docstring, on those of the installed packages"))
    folder = recipe.run / "summarizer"
    trained = train(
        SummarizerRecipe(
            data="docstrings",
            run=folder,
            preset="tiny",
            vocabulary=3000,
            longest_document=64,
            longest_summary=24,
            epochs=recipe.text_epochs,
            batch_size=2500,
            dropout=0.0,
            optimizer="muon",
            lr=2e-3,
            muon_lr=6e-3,
            warmup_epochs=0.3,
            evaluate_every=0,
            test=200,
            precision=recipe.precision,
            device=recipe.device,
        ),
        report,
    )
    if not trained.finished:
        return None
    rows = [json.loads(line) for line in (folder / "summaries.jsonl").read_text().splitlines()]
    drawn = random.Random(0).sample(rows, min(SHOWN, len(rows)))
    examples = tuple(Example(row["document"], row["summary"], row["reference"]) for row in drawn)
    return TextsPart(folder, trained.evaluation, examples)
