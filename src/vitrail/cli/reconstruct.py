"""``vitrail reconstruct RUN IMAGE...``."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.reconstruct import ReconstructRecipe, run


def read(arguments: Sequence[str]) -> ReconstructRecipe:
    """The recipe that the flags describe."""
    return parse(ReconstructRecipe, "reconstruct", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Draw original | masked | reconstruction | filled in, a row an image."""
    recipe = read(arguments)
    picture = run(recipe, screen.report)
    return Ending((picture,), f"vitrail evaluate {shlex.quote(str(recipe.run))}")
