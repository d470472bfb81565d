"""How many numbers does an embedding need? (FaceNet, section 5.3, table 5)

The same network is trained with embeddings of 64, 128, 256 and 512 numbers. The paper finds no difference that its
errors could tell, and settles on 128.
"""

from vitrail.recipes.events import Report
from vitrail.studies import paper, tables
from vitrail.studies.measuring import FARS, compare, embed, people_tested, vals
from vitrail.studies.networks import data_of, face_study, network, short_name
from vitrail.studies.tables import MAIN, Setting
from vitrail.studies.terms import Axes, Finding, StudyRecipe

DIMENSIONS = (64, 128, 256, 512)
USUAL = 128


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train the networks and measure them on the same test people."""
    settings, repeated = [], recipe.repetitions(2)
    for dimension in DIMENSIONS:
        compared = []
        for seed in repeated:
            trained = network(recipe, seed, report, embedding_dim=dimension)
            images = people_tested(trained, recipe, report)
            compared.append(compare(embed(trained, images, recipe), images))
        found = {far: vals(compared, far) for far in FARS}
        settings.append(Setting(str(dimension), dimension, found, {}))
    usual = next(setting for setting in settings if setting.x == USUAL)
    gaps = {setting.name: setting.vals[MAIN].minus(usual.vals[MAIN]) for setting in settings if setting is not usual}
    told = " and ".join(name for name, gap in gaps.items() if gap.told)
    words = [
        *(f"{name} numbers beside {USUAL}: {gap.points()}" for name, gap in gaps.items()),
        f"this shows that embeddings of {told} numbers do otherwise than those of {USUAL}"
        if told
        else f"this shows no difference between {settings[0].name} and {settings[-1].name} numbers that can be told, "
        "and the paper tells none either",
        "it can't show how many numbers other identities, or a larger network, would need",
    ]
    return Finding(
        tables.heads("numbers in an embedding"),
        tables.rows(settings, paper.DIMENSION),
        tuple(words),
        (tables.curve(short_name(data_of(recipe)), settings),),
        {"seeds": len(repeated), "test_images": len(images), "settings": tables.facts(settings)},
    )


STUDY = face_study(
    "How many numbers does an embedding need?",
    run,
    Axes("numbers in an embedding", ticks=DIMENSIONS),
    (paper.DIMENSION,),
)
