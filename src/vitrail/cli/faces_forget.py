"""``vitrail faces forget NAME``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import at, counted, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import ForgetRecipe, forget


def read(arguments: Sequence[str]) -> ForgetRecipe:
    """The recipe that the flags describe."""
    return parse(ForgetRecipe, "faces forget", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Remove every trace of a person."""
    recipe = read(arguments)
    faces = forget(recipe)
    screen.say(f"nothing is left of {recipe.name} in the gallery ({counted(faces, 'face')} removed)")
    if "://" in recipe.gallery:
        screen.say("(the server's write-ahead log, backups, replicas and logs are in its administrator's hands)")
    return Ending((), typed("people", *at(recipe.gallery)))
