"""The page of all questions as a file: ``report.html`` beside the results that it tells of."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from vitrail.recipes.results import write_bytes
from vitrail.studies.report_page import page
from vitrail.studies.report_parts import gather
from vitrail.studies.running import command_of, refuse_unread, results_folder, versions
from vitrail.studies.terms import StudyRecipe


def write_page(recipe: StudyRecipe, troubles: Mapping[str, str] | None = None) -> Path:
    """Write the page of everything that is in the folder of results.

    Args:
        recipe: says which folder; its command is told.
        troubles: of studies that failed, or could not be run, why.

    Raises:
        ConfigError: an option is given that no page has.
        OutputError: it can't be written.
    """
    if recipe.name == "report":
        refuse_unread(recipe, ())
    folder = results_folder(recipe)
    chapters = gather(folder, troubles or {})
    written = page(chapters, recipe.quick, command_of(recipe), versions(), date.today(), str(folder))
    return write_bytes(folder / "report.html", written.encode())
