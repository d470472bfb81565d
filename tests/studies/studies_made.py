"""Studies that take no time: put among the real ones' modules, and listed in their place."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from vitrail.recipes.events import Report
from vitrail.studies.terms import Axes, Curve, Finding, Study, StudyRecipe

Run = Callable[[StudyRecipe, Report], Finding]

FINDING = Finding(
    ("width", "accuracy, %", "what it is"),
    (("128", "71.5 ± 1.2", "narrow"), ("256", "73.0 ± 1.1", "wide")),
    (
        "256 beside 128: +1.5 points (+0.2 to +2.8)",
        "this shows that wider is better",
        "it can't show how wide is enough",
    ),
    (Curve("ours", (128.0, 256.0), (0.715, 0.73), (0.69, 0.71), (0.74, 0.75)),),
    {"seeds": 3},
)


def answer(recipe: StudyRecipe, report: Report) -> Finding:
    """What the usual one finds."""
    return FINDING


def put_studies(patch: pytest.MonkeyPatch, **runs: Run) -> None:
    """Make these the only studies there are, in two chapters."""
    names = [name.replace("_", "-") for name in runs]
    for name, run in zip(names, runs.values(), strict=True):
        module = ModuleType(f"vitrail.studies.{name.replace('-', '_')}")
        module.STUDY = _study(name, run, name == names[0])  # type: ignore[attr-defined]
        patch.setitem(sys.modules, module.__name__, module)
    asked = {name: f"is {name} so? (somebody, table {place})" for place, name in enumerate(names, 1)}
    half = (len(names) + 1) // 2
    chapters = {"Beginnings": dict(list(asked.items())[:half]), "Ends": dict(list(asked.items())[half:])}
    patch.setattr("vitrail.studies.every.STUDIES", asked)
    patch.setattr("vitrail.studies.report_parts.CHAPTERS", chapters)


def _study(name: str, run: Run, seen: bool) -> Study:
    return Study(
        f"Is {name} so?",
        run,
        Axes("width"),
        lambda recipe: recipe.data or recipe.model or "made up",
        ("data", "model") if name.startswith("m") else ("seeds",),
        "percent, made up",
        (Curve("the paper", (128.0, 512.0), (0.8, 0.9)),),
        lambda recipe: ("some-model", "a text") if seen else None,
    )


def times(folder: Path) -> dict[str, int]:
    """When each file of results was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/results.json")}
