"""``vitrail homework mae``: the Masked Autoencoder exercise."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.homework import end
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.homework.autograder import run
from vitrail.homework.terms import MAEHomework


def read(arguments: Sequence[str]) -> MAEHomework:
    """The job that the flags describe."""
    return parse(MAEHomework, "homework mae", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do it and show what came of it."""
    homework = read(arguments)
    following = "vitrail homework summarization"
    if homework.blank is not None:
        following = f"vitrail homework mae --check {shlex.quote(str(homework.blank))}"
    return end(run(homework, screen.report), screen, following, homework.check)
