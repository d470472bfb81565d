"""``vitrail faces people``: who is in a gallery."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import at, counted, people_counted, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import PeopleRecipe, people


def read(arguments: Sequence[str]) -> PeopleRecipe:
    """The recipe that the flags describe."""
    return parse(PeopleRecipe, "faces people", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """List who is in a gallery."""
    recipe = read(arguments)
    everybody = people(recipe)
    if everybody:
        screen.table(["name", "faces"], [[person.name, str(person.faces)] for person in everybody])
    screen.say(f"({people_counted(len(everybody))}, {counted(sum(person.faces for person in everybody), 'face')})")
    following = ["identify", "RUN", "PHOTOGRAPH"] if everybody else ["enroll", "RUN", "NAME", "PHOTOGRAPH"]
    return Ending((), typed(*following, *at(recipe.gallery)))
