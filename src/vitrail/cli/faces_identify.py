"""``vitrail faces identify RUN PHOTOGRAPH...``: who of the people enrolled is it, if anybody?"""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import at, counted, say_limits, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import IdentifyRecipe, identify


def read(arguments: Sequence[str]) -> IdentifyRecipe:
    """The recipe that the flags describe."""
    return parse(IdentifyRecipe, "faces identify", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Name people, or say that they are unknown, and what that is worth."""
    recipe = read(arguments)
    answers = identify(recipe, screen.report)
    rows = [
        [str(path), answer.name or "unknown", f"{answer.distance:.3f}", f"{answer.point.threshold:.3f}"]
        for path, answer in answers
    ]
    screen.table(["photograph", "who", "distance", "threshold"], rows, left=2)
    last = answers[-1][1]
    screen.say(
        f"(with {counted(last.faces, 'face')} enrolled, somebody who isn't is given a name with a chance of about "
        f"{last.stranger_risk:.0%}; 'unknown' may be somebody enrolled whom the network misses)"
    )
    say_limits(screen, last.point, last.measured_on)
    return Ending((), typed("people", *at(recipe.gallery)))
