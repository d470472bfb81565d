"""``vitrail homework pack``: what is handed in, in one zip, and a table of what is there and what is missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.errors import DataError
from vitrail.homework.pack_terms import PackHomework

if TYPE_CHECKING:
    from vitrail.homework.pack import Packed


def read(arguments: Sequence[str]) -> PackHomework:
    """The job that the flags describe."""
    return parse(PackHomework, "homework pack", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Pack, and show what is in the zip."""
    homework = read(arguments)
    from vitrail.homework.pack import run

    packed = run(homework, screen.report)
    show(packed, screen)
    missing, open_ = packed.count("missing"), packed.count("yours")
    said = f"{missing} missing, {open_} yours to write, {packed.count('there')} of {len(packed.rows)} there"
    screen.say(said)
    if homework.strict and missing + open_:
        raise DataError(
            f"{homework.output} was written, but it isn't whole ({said}): run the commands of the table's last column, "
            f"and write in {packed.files[-1]}."
        )
    commands = [row.piece.command for row in packed.rows if row.piece.state == "missing"]
    return Ending(packed.files, commands[0] if commands else "vitrail homework pack --strict")


def show(packed: "Packed", screen: Screen) -> None:
    """A row a piece: what the exercise asks, the file in the zip, whether it is there, and what makes it if not."""
    from vitrail.homework.pack import STATES

    rows = []
    for row in packed.rows:
        letter, bracket, _ = row.question.title.partition(")")
        name = f"{row.exercise.name} {letter})" if bracket else row.exercise.name
        asked = (name, row.question.asks) if row.first else ("", "")
        todo = "" if row.piece.state == "there" else row.piece.command
        rows.append((*asked, row.piece.what, row.piece.file or "-", STATES[row.piece.state], todo))
    screen.table(["exercise", "what it asks", "answered by", "file in the zip", "state", "to make it"], rows, left=6)
    for remark in packed.remarks:
        screen.say(remark)
