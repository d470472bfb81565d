"""One study from its name to ``results.json`` and ``figure.png``, beside what it found of other data before."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vitrail.errors import ConfigError, DataError
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.results import write_bytes, write_json
from vitrail.studies.drawing import figure_png
from vitrail.studies.terms import Curve, Finding, Stopped, Study, StudyRecipe

GENERAL = ("name", "seed", "quick", "results", "work")
"""Options that every study reads."""
PACKAGES = ("vitrail", "torch", "transformers", "numpy")
"""Whose versions are kept beside what was found."""


@dataclass(frozen=True)
class Outcome:
    """What a study came to.

    Attributes:
        study: which it was.
        folder: where it is written, or where the trainings are, if it was interrupted.
        finding: None if it was interrupted.
        files: the figure and the figures.
    """

    study: Study
    folder: Path
    finding: Finding | None
    files: tuple[Path, ...] = ()


def run(recipe: StudyRecipe, report: Report = ignore) -> Outcome:
    """Do a study, or what is left of it.

    Raises:
        VitrailError: data, a run or an option can't be used, or the results can't be written.
    """
    study: Study = import_module(f"vitrail.studies.{recipe.name.replace('-', '_')}").STUDY
    _refuse_unread(study, recipe)
    folder = _results(recipe) / recipe.name
    found = _before(folder / "results.json")
    try:
        finding = study.run(recipe, report)
    except Stopped:
        return Outcome(study, recipe.work, None)
    written = {
        "quick": recipe.quick,
        "date": date.today().isoformat(),
        "versions": {package: version(package) for package in PACKAGES},
        **asdict(finding),
    }
    found[study.about(recipe)] = json.loads(json.dumps(written))
    picture = write_bytes(
        folder / "figure.png", figure_png(study, {name: read_finding(one) for name, one in found.items()})
    )
    about = {"study": recipe.name, "question": study.question, "paper": [asdict(curve) for curve in study.paper]}
    return Outcome(study, folder, finding, (picture, write_json(folder / "results.json", {**about, "found": found})))


def _refuse_unread(study: Study, recipe: StudyRecipe) -> None:
    """An option that would change nothing is a misunderstanding."""
    for field in fields(recipe):
        if field.name in (*GENERAL, *study.reads) or getattr(recipe, field.name) == field.default:
            continue
        others = ", ".join(f"--{name}" for name in (*study.reads, *GENERAL[1:]))
        raise ConfigError(f"{recipe.name} reads no --{field.name}: leave it out (it reads {others}).")


def _results(recipe: StudyRecipe) -> Path:
    return recipe.results or (recipe.work / "quick" if recipe.quick else Path("results"))


def _before(path: Path) -> dict[str, Any]:
    """What was found before, by data.

    Raises:
        DataError: the file can't be read.
    """
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["found"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} can't be read ({error}): put back a copy, or remove it.") from error
    return found


def read_finding(one: Mapping[str, Any]) -> Finding:
    """What was found, from its lines in the file."""
    curves = [
        Curve(curve["label"], *(tuple(curve[name]) for name in ("x", "y", "low", "high"))) for curve in one["curves"]
    ]
    rows = tuple(tuple(row) for row in one["rows"])
    return Finding(tuple(one["heads"]), rows, tuple(one["words"]), tuple(curves), one["facts"])
