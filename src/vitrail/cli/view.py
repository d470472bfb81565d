"""``vitrail view [RUN|TRACE|MODEL]... [TEXT]``: every head in the browser."""

import shlex
import threading
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.view import ViewRecipe, serve, write_html
from vitrail.viewer.browsers import open_browser


def read(arguments: Sequence[str]) -> ViewRecipe:
    """The recipe that the flags describe."""
    return parse(ViewRecipe, "view", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Serve until Ctrl-C, or write one file."""
    recipe = read(arguments)
    if recipe.html is not None:
        written = write_html(recipe, recipe.html, screen.report)
        return Ending((written.path,), shlex.join(["vitrail", "view", *recipe.things]))
    with serve(recipe, screen.report) as opened:
        screen.say(f"open {opened.url}  (Ctrl-C stops)")
        if not recipe.no_open:
            open_browser(opened.url)
        wait()
    return Ending((), 'vitrail attend MODEL "a text"')


def wait() -> None:
    """Until somebody asks to stop."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
