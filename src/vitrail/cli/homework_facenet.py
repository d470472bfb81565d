"""``vitrail homework facenet``: the questions on FaceNet, what can be computed of them computed."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.homework import end
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.homework.facenet import FaceNetHomework, run


def read(arguments: Sequence[str]) -> FaceNetHomework:
    """The job that the flags describe."""
    return parse(FaceNetHomework, "homework facenet", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do it and show what came of it."""
    return end(run(read(arguments), screen.report), screen, "vitrail homework attention", None)
