"""``vitrail study NAME``: one question's experiment, its table and what follows; or all of them, and their page."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen, duration
from vitrail.errors import StudyError
from vitrail.studies.every import Everything, failures, run_all
from vitrail.studies.report import write_page
from vitrail.studies.running import command_of, run
from vitrail.studies.terms import StudyRecipe


def read(arguments: Sequence[str]) -> StudyRecipe:
    """The recipe that the flags describe."""
    return parse(StudyRecipe, "study", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Do the experiment and show what was found."""
    recipe = read(arguments)
    if recipe.name == "report":
        return Ending((write_page(recipe),), f"vitrail study all{' --quick' * recipe.quick}")
    if recipe.name == "all":
        return _end(recipe, run_all(recipe, screen.report), screen)
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
    return Ending(outcome.files, "vitrail study report")


def _end(recipe: StudyRecipe, everything: Everything, screen: Screen) -> Ending:
    """A row a study; then where to read of them.

    Raises:
        StudyError: some failed; the page is written all the same.
    """
    told = {"done": "done", "there": "there from before", "missing": "missing", "failed": "failed"}
    screen.say("")
    screen.table(
        ["study", "now", "seconds"],
        [(one.name, told[one.state], f"{one.seconds:.1f}" if one.seconds else "-") for one in everything.studies],
        left=2,
    )
    took = duration(sum(one.seconds for one in everything.studies))
    screen.say(f"all of it took {took}" if everything.finished else f"this took {took}")
    for one in everything.studies:
        if one.state == "missing":
            screen.say(f"{one.name} isn't there: {one.trouble}")
    if not everything.finished:
        return Ending((everything.page,), "", finished=False)
    if failed := failures(everything.studies):
        first = failed[0]
        why = f"{first.name} first ({first.trouble.rstrip('.')})"
        raise StudyError(
            f"{len(failed)} of {len(everything.studies)} studies failed, {why}, and {everything.page} tells of all: "
            f"mend that, and {command_of(recipe)} does only what is left."
        )
    following = "vitrail study all" if recipe.quick else "vitrail study report"
    return Ending((everything.page,), following)
