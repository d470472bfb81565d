"""``vitrail homework attention``: the questions on attention, as traces and one page."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.homework import end
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.homework.attention import AttentionHomework, run


def read(arguments: Sequence[str]) -> AttentionHomework:
    """The job that the flags describe."""
    return parse(AttentionHomework, "homework attention", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do it and show what came of it."""
    homework = read(arguments)
    following = shlex.join(["vitrail", "view", str(homework.output / "traces"), "--port", "8765"])
    return end(run(homework, screen.report), screen, following, None)
