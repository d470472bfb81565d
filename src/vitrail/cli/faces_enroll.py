"""``vitrail faces enroll RUN NAME PHOTOGRAPH...``."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import as_whole, at, counted, results_in, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import EnrollRecipe, enroll


def read(arguments: Sequence[str]) -> EnrollRecipe:
    """The recipe that the flags describe."""
    return parse(EnrollRecipe, "faces enroll", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Keep a person's faces."""
    recipe = read(arguments)
    enrolled, calibrated = enroll(recipe)
    known = f"; {counted(enrolled.known, 'photograph')} known before" if enrolled.known else ""
    screen.say(f"{enrolled.name}: {counted(enrolled.added, 'face')} added{known}")
    screen.say(
        f"whoever asks for it is removed without a trace:  {typed('forget', enrolled.name, *at(recipe.gallery))}"
    )
    if not calibrated:
        screen.say(f"nobody can be identified yet: {recipe.run} has no calibration.json")
        return Ending(results_in(recipe.gallery), shlex.join(["vitrail", "evaluate", str(recipe.run)]))
    following = ["identify", str(recipe.run), "PHOTOGRAPH", *as_whole(recipe.whole), *at(recipe.gallery)]
    return Ending(results_in(recipe.gallery), typed(*following))
