"""``vitrail train lm``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.languages import show_language
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_language
from vitrail.cli.screen import Screen
from vitrail.recipes.language import LanguageRecipe, run


def read(arguments: Sequence[str]) -> LanguageRecipe:
    """The recipe that the flags describe."""
    return parse(LanguageRecipe, "train lm", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Train a language model and show how well it knows test texts, beside a 5-gram."""
    summary = run(read(arguments), screen.report)
    folder = summary.folder
    if summary.evaluation:
        show_language(summary.evaluation, screen)
    return Ending((folder, folder / "samples.md", *summary.pictures), after_language(folder), summary.finished)
