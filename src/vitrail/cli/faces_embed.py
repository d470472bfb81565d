"""``vitrail faces embed RUN PHOTOGRAPH...``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.faces import as_whole, counted, typed
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.galleries import EmbedRecipe, embed


def read(arguments: Sequence[str]) -> EmbedRecipe:
    """The recipe that the flags describe."""
    return parse(EmbedRecipe, "faces embed", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Write the vectors of the faces in photographs."""
    recipe = read(arguments)
    path, faces = embed(recipe, screen.report)
    screen.say(f"embedded {counted(faces, 'face')}; read them with numpy.load")
    return Ending((path,), typed("cluster", recipe.run, *recipe.photographs[:3], *as_whole(recipe.whole)))
