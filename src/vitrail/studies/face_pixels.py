"""How few pixels are enough? (FaceNet, section 5.1, table 4)

One trained network sees the test images shrunk to so many pixels and enlarged again to its own size. No row has more
pixels than the images are stored with.
"""

from functools import partial

from vitrail.recipes.events import Note, Report
from vitrail.studies import paper, tables
from vitrail.studies.networks import data_of, face_study, given_or_plain, short_name
from vitrail.studies.spoiling import as_it_is, measure, shrunk, stored_images
from vitrail.studies.tables import MAIN, Setting
from vitrail.studies.terms import Axes, Finding, StudyRecipe

PAPER_SIDES = (40, 80, 120, 160, 256)
SHARES = (1 / 4, 3 / 8, 1 / 2, 3 / 4)
"""Of the stored side, where it is too short for two of the paper's."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Measure one network on test images of each size."""
    trained = given_or_plain(recipe, report)
    images = stored_images(trained, recipe, report)
    full = min(images.image_size)
    report(Note(f"measuring {trained.folder} on {len(images):,} test images of {full * full:,} pixels, and of fewer"))
    whole = Setting(f"{full * full:,}", full * full, measure(trained, images, as_it_is, recipe), {"side": full})
    settings = [
        Setting(
            f"{side * side:,}",
            side * side,
            measure(trained, images, partial(shrunk, side=side), recipe),
            {"side": side},
        )
        for side in sides(full)
    ]
    costs = {setting.name: setting.vals[MAIN].minus(whole.vals[MAIN]) for setting in settings}
    words = [
        *(f"{name} pixels beside {whole.name}: {cost.points()}" for name, cost in costs.items()),
        tables.what_costs(costs, "with {} pixels"),
        "it can't show what a network trained on as few pixels would do: this one saw images of its own size alone",
    ]
    settings.append(whole)
    return Finding(
        tables.heads("pixels"),
        tables.rows(settings, paper.PIXELS, " pixels"),
        tuple(words),
        (tables.curve(short_name(data_of(recipe)), settings),),
        {
            "network": trained.model_fingerprint,
            "read_at": min(trained.image_size),
            "test_images": len(images),
            "settings": tables.facts(settings),
        },
    )


def sides(full: int) -> list[int]:
    """The sides to shrink to: the paper's, and two between, or shares of a short one."""
    known = [side for side in PAPER_SIDES if side < full]
    if len(known) < 2:
        return [round(share * full) for share in SHARES]
    return sorted({known[0] // 2, (known[0] + known[1]) // 2, *known})


STUDY = face_study("How few pixels are enough?", run, Axes("pixels of the test images"), (paper.PIXELS,))
