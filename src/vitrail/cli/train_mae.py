"""``vitrail train mae``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.evaluate import show
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_pretraining
from vitrail.cli.screen import Screen
from vitrail.recipes.mae import MAERecipe, run


def read(arguments: Sequence[str]) -> MAERecipe:
    """The recipe that the flags describe."""
    return parse(MAERecipe, "train mae", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Pretrain a masked autoencoder and show how well it fills in."""
    summary = run(read(arguments), screen.report)
    folder = summary.folder
    if summary.finished:
        show(summary.evaluation, screen)
    return Ending((folder, *summary.pictures), after_pretraining(folder), summary.finished)
