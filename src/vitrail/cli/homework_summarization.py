"""``vitrail homework summarization``: the summarization exercise."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.homework import end
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.homework.summary_answers import run
from vitrail.homework.terms import SummarizationHomework


def read(arguments: Sequence[str]) -> SummarizationHomework:
    """The job that the flags describe."""
    return parse(SummarizationHomework, "homework summarization", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do it and show what came of it."""
    homework = read(arguments)
    following = "vitrail homework mae --help"
    if homework.blank is not None:
        following = f"vitrail homework summarization --check {shlex.quote(str(homework.blank))}"
    return end(run(homework), screen, following, homework.check)
