"""One study from its name to ``results.json`` and ``figure.png``, beside what it found of other data before.

Beside what was found stands how: the command, the date, the seconds, versions, and a fingerprint of the code. The same
command with the same versions and code needn't be repeated (``is_there``). Files that were written before these were
kept are still read.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from vitrail.errors import ConfigError, DataError
from vitrail.recipes.events import Event, Report, ignore
from vitrail.recipes.results import write_bytes, write_json
from vitrail.studies import STUDIES
from vitrail.studies.code import code_fingerprint
from vitrail.studies.drawing import figure_png
from vitrail.studies.terms import Curve, Finding, Stopped, Study, StudyRecipe
from vitrail.train.events import Started

GENERAL = ("name", "seed", "quick", "results", "work")
"""Options that every study reads."""
PACKAGES = ("vitrail", "torch", "transformers", "numpy")
"""Whose versions are kept beside what was found."""
RESULTS, FIGURE = "results.json", "figure.png"


@dataclass(frozen=True)
class Outcome:
    """What a study came to.

    Attributes:
        study: which it was.
        folder: where it is written, or where the trainings are, if it was interrupted.
        finding: None if it was interrupted.
        files: the figure and the figures.
        seconds: that it took; trainings that were done before took none.
    """

    study: Study
    folder: Path
    finding: Finding | None
    files: tuple[Path, ...] = ()
    seconds: float = 0.0


class _Watched:
    """Passes on what a study tells, and remembers whether it found trainings that were begun before."""

    def __init__(self, report: Report) -> None:
        self._report, self.found = report, False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started) and event.step:
            self.found = True
        self._report(event)


def run(recipe: StudyRecipe, report: Report = ignore) -> Outcome:
    """Do a study, or what is left of it.

    Raises:
        VitrailError: data, a run or an option can't be used, or the results can't be written.
    """
    study = study_of(recipe.name)
    refuse_unread(recipe, study.reads)
    folder = results_folder(recipe) / recipe.name
    found = dict(_before(folder))
    made_by, watched = _made_by(recipe), _Watched(report)
    began = perf_counter()
    try:
        finding = study.run(recipe, watched)
    except Stopped:
        return Outcome(study, recipe.work, None, (), perf_counter() - began)
    seconds = perf_counter() - began
    looked_at = study.view(recipe)
    written = {
        "quick": recipe.quick,
        "date": date.today().isoformat(),
        "seconds": round(seconds, 1),
        # Whether these seconds are all that it takes.
        "anew": not watched.found,
        **made_by,
        "view": None if looked_at is None else shlex.join(["vitrail", "view", *looked_at]),
        **asdict(finding),
    }
    found[study.about(recipe)] = json.loads(json.dumps(written))
    picture = write_bytes(folder / FIGURE, figure_png(study, {name: read_finding(one) for name, one in found.items()}))
    about = {
        "study": recipe.name,
        "question": study.question,
        "note": study.note,
        "paper": [asdict(curve) for curve in study.paper],
    }
    figures = write_json(folder / RESULTS, {**about, "found": found})
    return Outcome(study, folder, finding, (picture, figures), seconds)


def is_there(recipe: StudyRecipe) -> bool:
    """Whether the same command, with the same versions and code, has written its results before.

    Raises:
        VitrailError: data or a run can't be used, or the results can't be read.
    """
    folder = results_folder(recipe) / recipe.name
    one = _before(folder).get(study_of(recipe.name).about(recipe), {})
    made = {**_made_by(recipe), "quick": recipe.quick}
    return (folder / FIGURE).is_file() and all(one.get(name) == value for name, value in made.items())


def study_of(name: str) -> Study:
    """A study by its name.

    Raises:
        ConfigError: it isn't one study.
    """
    if name in ("all", "report"):
        raise ConfigError(f"{name!r} is no study: name one of {', '.join(STUDIES)}.")
    study: Study = import_module(_module(name)).STUDY
    return study


def command_of(recipe: StudyRecipe) -> str:
    """What to type for it."""
    words = ["vitrail", "study", recipe.name]
    for field in fields(recipe)[1:]:
        value = getattr(recipe, field.name)
        if value != field.default:
            words += [f"--{field.name}"] if value is True else [f"--{field.name}", str(value)]
    return shlex.join(words)


def results_folder(recipe: StudyRecipe) -> Path:
    """Where results go, in a folder of its own for each study."""
    return recipe.results or (recipe.work / "quick" if recipe.quick else Path("results"))


def refuse_unread(recipe: StudyRecipe, reads: Sequence[str]) -> None:
    """An option that would change nothing is a misunderstanding.

    Raises:
        ConfigError: one is given that is neither among ``reads`` nor general.
    """
    for field in fields(recipe):
        if field.name in (*GENERAL, *reads) or getattr(recipe, field.name) == field.default:
            continue
        others = ", ".join(f"--{name}" for name in (*reads, *GENERAL[1:]))
        raise ConfigError(f"{recipe.name} reads no --{field.name}: leave it out (it reads {others}).")


@cache
def versions() -> Mapping[str, str]:
    """Of what computes the figures."""
    return {package: version(package) for package in PACKAGES}


def read_results(path: Path) -> Mapping[str, Any]:
    """A study's file; under "found" what was found, by what it was found of.

    Raises:
        DataError: the file can't be read.
    """
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for one in results["found"].values():
            read_finding(one)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} can't be read ({error}): put back a copy, or remove it.") from error
    return results


def read_finding(one: Mapping[str, Any]) -> Finding:
    """What was found, from its lines in the file."""
    curves = [
        Curve(curve["label"], *(tuple(curve[name]) for name in ("x", "y", "low", "high"))) for curve in one["curves"]
    ]
    rows = tuple(tuple(row) for row in one["rows"])
    return Finding(tuple(one["heads"]), rows, tuple(one["words"]), tuple(curves), one["facts"])


def _module(name: str) -> str:
    return f"vitrail.studies.{name.replace('-', '_')}"


def _made_by(recipe: StudyRecipe) -> dict[str, Any]:
    return {
        "command": command_of(recipe),
        "versions": dict(versions()),
        "code": code_fingerprint(_module(recipe.name)),
    }


def _before(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """What was found before, by what it was found of.

    Raises:
        DataError: the file can't be read.
    """
    path = folder / RESULTS
    found: Mapping[str, Mapping[str, Any]] = read_results(path)["found"] if path.exists() else {}
    return found
