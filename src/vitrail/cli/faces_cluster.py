"""``vitrail faces cluster RUN PHOTOGRAPH...``: all faces by person, each with a contact sheet."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import HINT, counted, people_counted, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import ClusterRecipe, cluster


def read(arguments: Sequence[str]) -> ClusterRecipe:
    """The recipe that the flags describe."""
    return parse(ClusterRecipe, "faces cluster", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Put faces together and draw a sheet of each person with several."""
    recipe = read(arguments)
    found = cluster(recipe, screen.report)
    faces = sum(map(len, found.groups))
    largest = ", ".join(str(len(group)) for group in found.groups[:5] if len(group) > 1)
    screen.say(
        f"{counted(faces, 'face')} of about {people_counted(len(found.groups))}"
        + (f"; the largest clusters have {largest}" if largest else "")
        + (f"; {counted(found.without_face, 'photograph')} without a face" if found.without_face else "")
    )
    screen.say(HINT)
    first = found.groups[0][0].source if found.groups else "PHOTOGRAPH"
    return Ending(
        (found.folder, *found.sheets[:1]),
        typed("enroll", recipe.run, "NAME", first, "--whole" if recipe.whole else "--largest"),
    )
