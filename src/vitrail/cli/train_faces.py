"""``vitrail train faces``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.evaluate import show
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_faces
from vitrail.cli.screen import Screen
from vitrail.recipes.faces import FacesRecipe, run


def read(arguments: Sequence[str]) -> FacesRecipe:
    """The recipe that the flags describe."""
    return parse(FacesRecipe, "train faces", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Train a face network and show how well it tells people apart."""
    summary = run(read(arguments), screen.report)
    folder = summary.folder
    if summary.finished:
        show(summary.evaluation, screen)
    return Ending((folder, *summary.pictures), after_faces(folder), summary.finished)
