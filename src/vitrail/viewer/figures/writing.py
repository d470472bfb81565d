"""A figure as a file: PNG or SVG by its suffix, whole or not there, the same bytes for the same figure."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.errors import OutputError
from vitrail.files import written_beside
from vitrail.viewer.figures.sheet import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": "Vitrail"}}
"""Kinds of files, and what each says about itself: nothing that differs from day to day."""


def save_figure(figure: "Figure", path: str | PathLike[str]) -> Path:
    """Write a figure as ``.png`` or ``.svg``, by its suffix.

    Raises:
        OutputError: another suffix, or the file can't be written; whatever stood there is untouched.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        raise OutputError(f"{target} is no name of a figure: let it end in .png or .svg.")
    with styled(), written_beside(target) as file:
        figure.savefig(file, format=kind, metadata=METADATA[kind])
    return target
