"""What the commands of ``vitrail homework`` share: their table of checks, and how they end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.cli.ending import Ending
from vitrail.cli.screen import Screen
from vitrail.errors import ModelError
from vitrail.homework.answers import Answers

if TYPE_CHECKING:
    from vitrail.homework.checking import Result


def end(answers: Answers, screen: Screen, following: str, checked: Path | None) -> Ending:
    """Show what came of an exercise.

    Args:
        answers: what came of it.
        screen: where to show it.
        following: the next useful command.
        checked: a student's file, if it was that.

    Raises:
        ModelError: a check failed; what was asked for is written all the same.
    """
    if answers.results:
        show(answers.results, screen)
    for remark in answers.remarks:
        screen.say(remark)
    failed = [result for result in answers.results if not result.passed]
    if failed:
        written = f" ({', '.join(map(str, answers.files))} written all the same)" if answers.files else ""
        remedy = f"mend {failed[0].name} first, for others may build on it."
        if checked is None:
            remedy = "see whether the files are this exercise's and whole, and report it if they are."
        raise ModelError(
            f"{len(failed)} of {len(answers.results)} checks of {checked or 'our functions'} failed{written}: {remedy}"
        )
    return Ending(answers.files, following, answers.finished)


def show(results: Sequence["Result"], screen: Screen) -> None:
    """A row a check, what is wrong with those that failed, and how many passed."""
    rows = [
        [
            result.name,
            "-" if result.error is None else f"{result.error:.1e}",
            f"{result.tolerance:.0e}",
            "yes" if result.passed else "no",
        ]
        for result in results
    ]
    screen.table(["check", "error", "tolerance", "pass"], rows)
    for result in results:
        if not result.passed:
            screen.say(f"{result.name}: {result.why}")
    screen.say(f"{sum(result.passed for result in results)} of {len(results)} checks pass")
