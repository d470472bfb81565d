"""What evaluation and studies of face networks share: the test people of a run, and the figures of all their pairs."""

from typing import TYPE_CHECKING, Any

from vitrail.data import ImageSet, load_images, stored_shape
from vitrail.errors import DataError
from vitrail.faces.calibration import RATES
from vitrail.faces.pairs import AllPairs
from vitrail.recipes.events import Note, Report

if TYPE_CHECKING:
    from vitrail.recipes.runs import Run


def people_of(opened: "Run", data: str | None, report: Report) -> ImageSet:
    """The test part of a face run's identities, or of others, fitted to its network."""
    name, side = data or opened.data, min(opened.image_size)
    images = load_images(
        name,
        "test",
        image_size=None if stored_shape(name)[1:] == opened.image_size else side,
        channels=opened.channels,
        corrupt=opened.options.get("corrupt", "refuse"),
        report=lambda line: report(Note(line)),
        identities=True,
    )
    return opened.feed(images)


def curve_figures(compared: AllPairs) -> dict[str, Any]:
    """AUC, equal error rate and VAL at each FAR, as ``evaluation.json`` has them."""
    curve = compared.roc()
    return {
        "same_pairs": len(compared.same.distances),
        "different_pairs": compared.different_pairs,
        "auc": curve.area(),
        "eer": curve.equal_error_rate(),
        "val_at_far": vals_at_far(compared),
    }


def vals_at_far(compared: AllPairs) -> dict[str, dict[str, Any]]:
    """VAL and threshold at each FAR that so many pairs can tell."""
    found = {}
    for far in RATES:
        try:
            at = compared.at_far(far)
        except DataError:  # too few different people for so small a rate
            continue
        found[f"{far:g}"] = {
            "val": at.val.value,
            "standard_error": at.val.standard_error,
            "interval": list(at.interval()),
            "threshold": at.threshold.value,
            "threshold_interval": [at.threshold.low, at.threshold.high],
        }
    return found
