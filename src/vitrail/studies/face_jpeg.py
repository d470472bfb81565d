"""How much JPEG compression does a network stand? (FaceNet, section 5.1, table 4)

One trained network sees the test images through JPEG at each quality. Where the images are stored as JPEG this is
compressing twice, so that a row says what *another* compression costs, and not what images of that quality are worth.
"""

from functools import partial

from vitrail.recipes.events import Note, Report
from vitrail.studies import paper, tables
from vitrail.studies.networks import data_of, face_study, given_or_plain, short_name
from vitrail.studies.spoiling import as_it_is, compressed, is_jpeg, measure, stored_images
from vitrail.studies.tables import MAIN, Setting
from vitrail.studies.terms import Axes, Finding, StudyRecipe

QUALITIES = (10, 20, 30, 50, 70, 90)


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Measure one network on test images of each quality."""
    trained = given_or_plain(recipe, report)
    images = stored_images(trained, recipe, report)
    report(Note(f"measuring {trained.folder} on {len(images):,} test images, {len(QUALITIES)} times compressed"))
    twice = is_jpeg(recipe)
    whole = Setting(
        "not compressed again" if twice else "not compressed", 100, measure(trained, images, as_it_is, recipe), {}
    )
    settings = [
        Setting(f"{quality}", quality, measure(trained, images, partial(compressed, quality=quality), recipe), {})
        for quality in QUALITIES
    ]
    costs = {setting.name: setting.vals[MAIN].minus(whole.vals[MAIN]) for setting in settings}
    words = [f"quality {name}: {cost.points()} beside {whole.name}" for name, cost in costs.items()]
    if twice:
        words.append("the images are stored as JPEG, so each row is of images that were compressed twice")
    words += [
        tables.what_costs(costs, "at quality {}"),
        "it can't show what such images are worth to a network that was trained on them: this one saw none",
    ]
    name = short_name(data_of(recipe))
    return Finding(
        tables.heads("JPEG quality"),
        tables.rows([*settings, whole], paper.JPEG),
        tuple(words),
        (tables.curve(f"{name}, compressed twice" if twice else name, settings),),
        {
            "network": trained.model_fingerprint,
            "compressed_twice": twice,
            "test_images": len(images),
            "settings": tables.facts([*settings, whole]),
        },
    )


STUDY = face_study(
    "How much JPEG compression does a network stand?",
    run,
    Axes("JPEG quality of the test images", log=False, ticks=QUALITIES),
    (paper.JPEG,),
)
