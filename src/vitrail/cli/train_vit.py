"""``vitrail train vit``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.evaluate import show
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_training
from vitrail.cli.screen import Screen
from vitrail.recipes.vit import ViTRecipe, run


def read(arguments: Sequence[str]) -> ViTRecipe:
    """The recipe that the flags describe."""
    return parse(ViTRecipe, "train vit", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Train a Vision Transformer and show how well it does."""
    summary = run(read(arguments), screen.report)
    folder = summary.folder
    if summary.finished:
        show(summary.evaluation, screen)
    return Ending((folder, *summary.pictures), after_training(folder), summary.finished)
