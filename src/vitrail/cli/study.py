"""``vitrail study NAME``: one question's experiment, its table and what follows from it."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.studies.running import run
from vitrail.studies.terms import StudyRecipe


def read(arguments: Sequence[str]) -> StudyRecipe:
    """The recipe that the flags describe."""
    return parse(StudyRecipe, "study", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do the experiment and show what was found."""
    recipe = read(arguments)
    outcome = run(recipe, screen.report)
    if outcome.finding is None:
        return Ending((outcome.folder,), "", finished=False)
    screen.say("")
    screen.table(outcome.finding.heads, outcome.finding.rows)
    screen.say(f"({outcome.study.note})")
    for sentence in outcome.finding.words:
        screen.say(sentence)
    if recipe.quick:
        return Ending(outcome.files, f"vitrail study {shlex.quote(recipe.name)}")
    return Ending(outcome.files, "vitrail study --help")
