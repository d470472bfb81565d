"""``vitrail faces verify RUN FIRST SECOND``: one person, or two?"""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import say_limits, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import VerifyRecipe, verify


def read(arguments: Sequence[str]) -> VerifyRecipe:
    """The recipe that the flags describe."""
    return parse(VerifyRecipe, "faces verify", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Compare two photographs and say what that is worth."""
    recipe = read(arguments)
    verdict = verify(recipe)
    near = "the same person" if verdict.same else "different people"
    screen.say(
        f"{near}, as far as the network can tell: distance {verdict.distance:.3f}, and up to "
        f"{verdict.point.threshold:.3f} counts as one person"
    )
    say_limits(screen, verdict.point, verdict.measured_on)
    return Ending((), typed("enroll", recipe.run, "NAME", recipe.first))
