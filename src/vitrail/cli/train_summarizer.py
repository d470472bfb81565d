"""``vitrail train summarizer``."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_summarizer
from vitrail.cli.screen import Screen
from vitrail.cli.summaries import show_summaries
from vitrail.recipes.summarizer import SummarizerRecipe, run


def read(arguments: Sequence[str]) -> SummarizerRecipe:
    """The recipe that the flags describe."""
    return parse(SummarizerRecipe, "train summarizer", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Train a summarizer and show what its summaries are worth."""
    summary = run(read(arguments), screen.report)
    folder = summary.folder
    if summary.evaluation:
        show_summaries(summary.evaluation, screen)
    return Ending((folder, *summary.pictures), after_summarizer(folder), summary.finished)
