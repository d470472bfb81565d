"""``vitrail study all``: one study after the other, those left out whose results are there, and the page of them all.

A study that fails is told in its place, and the others go on. One whose data or model isn't here is no failure, unless
it was asked for by name. Whatever happens, the page is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, cast

from vitrail.errors import MissingDataError, MissingModelError, VitrailError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.studies import STUDIES
from vitrail.studies.report import write_page
from vitrail.studies.report_parts import lasted
from vitrail.studies.running import GENERAL, is_there, run, study_of
from vitrail.studies.terms import Asked, Study, StudyRecipe

State = Literal["done", "there", "missing", "failed"]


@dataclass(frozen=True)
class Done:
    """What came of one study.

    Attributes:
        name: which.
        state: "done" now, "there" from before, its data or model "missing", or "failed".
        seconds: that it took now.
        trouble: why it is missing or failed, in one sentence.
    """

    name: str
    state: State
    seconds: float = 0.0
    trouble: str = ""


@dataclass(frozen=True)
class Everything:
    """What came of all of them.

    Attributes:
        studies: in their order; without those that were left when it was interrupted.
        page: where to read of them.
        finished: False if it was interrupted.
    """

    studies: tuple[Done, ...]
    page: Path
    finished: bool


def run_all(recipe: StudyRecipe, report: Report = ignore) -> Everything:
    """Run every study that hasn't been run; an option goes to those that read it.

    Raises:
        OutputError: the page can't be written.
    """
    done = {name: Done(name, "there") for name in STUDIES if _is_there(recipe, name)}
    waiting = [name for name in STUDIES if name not in done]
    if done:
        report(Note(f"the results of {len(done)} of {len(STUDIES)} studies are there already"))
    finished, took = True, 0.0
    for place, name in enumerate(waiting):
        report(Note(f"[{place + 1}/{len(waiting)}] {name}: {STUDIES[name]}"))
        one = _attempt(recipe, name, report)
        if one is None:
            finished = False
            break
        done[name] = one
        took += one.seconds
        report(Note(_progress(one, len(waiting) - place - 1, took / (place + 1))))
    studies = tuple(done[name] for name in STUDIES if name in done)
    troubles = {one.name: one.trouble for one in studies if one.trouble}
    return Everything(studies, write_page(recipe, troubles), finished)


def own_recipe(recipe: StudyRecipe, name: str, study: Study) -> StudyRecipe:
    """What is asked of one of them: of the options, those that it reads."""
    others: dict[str, Any] = {
        field.name: field.default for field in fields(recipe) if field.name not in (*GENERAL, *study.reads)
    }
    return replace(recipe, name=cast(Asked, name), **others)


def _is_there(recipe: StudyRecipe, name: str) -> bool:
    """Whether its results are; what is wrong with it is told when its turn comes."""
    try:
        return is_there(own_recipe(recipe, name, study_of(name)))
    except Exception:
        return False


def _attempt(recipe: StudyRecipe, name: str, report: Report) -> Done | None:
    """One study; None if it was interrupted."""
    began = perf_counter()
    own = None
    try:
        own = own_recipe(recipe, name, study_of(name))
        outcome = run(own, report)
    except KeyboardInterrupt:
        return None
    except Exception as error:  # a fault in one question's code is no reason to leave the others unanswered
        named = own is not None and (own.data, own.model, own.run) != (None, None, None)
        state: State = "missing" if _is_missing(error) and not named else "failed"
        return Done(name, state, perf_counter() - began, _sentence(error))
    return None if outcome.finding is None else Done(name, "done", outcome.seconds)


def _is_missing(error: Exception) -> bool:
    if isinstance(error, ModuleNotFoundError):
        return (error.name or "").partition(".")[0] != "vitrail"
    return isinstance(error, MissingDataError | MissingModelError)


def _sentence(error: Exception) -> str:
    if isinstance(error, VitrailError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and _is_missing(error):
        return f"the package {error.name} isn't installed: install it."
    what = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {what}".rstrip(": ")


def _progress(one: Done, left: int, usual: float) -> str:
    """How it went, and for how long the others may go on."""
    told = f"{one.name}: done in {lasted(one.seconds)}" if not one.trouble else f"{one.name} {one.state}: {one.trouble}"
    return f"{told} ({left} left, about {lasted(left * usual)})" if left else told


def failures(studies: Sequence[Done]) -> tuple[Done, ...]:
    """Those that failed."""
    return tuple(one for one in studies if one.state == "failed")
