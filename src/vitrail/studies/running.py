"""One study from its name to ``results.json`` and ``figure.png``, beside what it found on other data before."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from vitrail.errors import DataError
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.results import write_bytes, write_json
from vitrail.studies.drawing import figure_png
from vitrail.studies.networks import data_of, short_name
from vitrail.studies.terms import Curve, Finding, Stopped, Study, StudyRecipe


@dataclass(frozen=True)
class Outcome:
    """What a study came to.

    Attributes:
        folder: where it is written, or where the trainings are, if it was interrupted.
        finding: None if it was interrupted.
        files: the figure and the figures.
    """

    folder: Path
    finding: Finding | None
    files: tuple[Path, ...] = ()


def run(recipe: StudyRecipe, report: Report = ignore) -> Outcome:
    """Do a study, or what is left of it.

    Raises:
        VitrailError: data, a run or an option can't be used, or the results can't be written.
    """
    study: Study = import_module(f"vitrail.studies.{recipe.name.replace('-', '_')}").STUDY
    folder = _results(recipe) / recipe.name
    found = _before(folder / "results.json")
    try:
        finding = study.run(recipe, report)
    except Stopped:
        return Outcome(recipe.work, None)
    found[short_name(data_of(recipe))] = {"quick": recipe.quick, **asdict(finding)}
    written = {"study": recipe.name, "question": study.question, "paper": [asdict(curve) for curve in study.paper]}
    curves = {name: [_curve(fields) for fields in one["curves"]] for name, one in found.items()}
    picture = write_bytes(folder / "figure.png", figure_png(study, curves))
    return Outcome(folder, finding, (picture, write_json(folder / "results.json", {**written, "found": found})))


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


def _curve(fields: Mapping[str, Any]) -> Curve:
    return Curve(fields["label"], *(tuple(fields[name]) for name in ("x", "y", "low", "high")))
