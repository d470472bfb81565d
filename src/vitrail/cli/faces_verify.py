"""``vitrail faces verify RUN FIRST SECOND``: one person, or two?"""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import as_whole, say_limits, typed
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
    found = "one person, as far as the network can tell" if verdict.same else "not recognised as one person"
    screen.say(
        f"{found}: distance {verdict.distance:.3f}, and up to {verdict.point.threshold:.3f} counts as one person"
    )
    if not verdict.same:
        screen.say(f"(that doesn't make them two: {1 - verdict.point.val:.1%} of pairs of one person are missed, too)")
    say_limits(screen, verdict.point, verdict.measured_on)
    return Ending((), typed("enroll", recipe.run, "NAME", recipe.first, *as_whole(recipe.whole)))
