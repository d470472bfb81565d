"""``vitrail summarize RUN [FILE...]``: summaries on standard output, all else on standard error."""

import shlex
import sys
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.summarize import SummarizeRecipe, run


def read(arguments: Sequence[str]) -> SummarizeRecipe:
    """The recipe that the flags describe."""
    return parse(SummarizeRecipe, "summarize", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Write a line a document, in their order, as soon as they are summarized."""
    recipe = read(arguments)
    if (not recipe.files or "-" in recipe.files) and sys.stdin.isatty():
        screen.say("type documents, one a line; Ctrl-D ends them")
    run(recipe, _put, sys.stdin.buffer, screen.report)
    results = () if recipe.output is None else (recipe.output,)
    return Ending(results, f"vitrail evaluate {shlex.quote(recipe.run)}")


def _put(text: str) -> None:
    print(text, end="", flush=True)
