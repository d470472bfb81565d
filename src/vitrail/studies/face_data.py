"""What do more training people, and more images of each, bring? (FaceNet, section 5.4, table 6)

The same network is trained for the same number of steps on shares of the training set: some of the people with all of
their images, or all people with some of the images of each. A smaller share lies within a larger one. The paper cuts
its set by images, after 700 hours of training each.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from vitrail.recipes.events import Report
from vitrail.studies import paper, tables
from vitrail.studies.measuring import FARS, compare, embed, people_tested, vals
from vitrail.studies.networks import data_of, face_study, network, options, short_name, training_images
from vitrail.studies.tables import MAIN, Setting
from vitrail.studies.terms import Axes, Finding, StudyRecipe

SHARES = {1 / 8: "an eighth", 1 / 4: "a quarter", 1 / 2: "half"}
QUICK_SHARES = (1 / 4, 1 / 2)
CUTS = {"people_share": "the people", "images_share": "each person's images"}


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train on each share and measure on the same test people."""
    repeated = recipe.repetitions(2)
    whole = _setting(recipe, "people_share", 1.0, repeated, report)
    shares = QUICK_SHARES if recipe.quick else tuple(SHARES)
    lines = {cut: [*(_setting(recipe, cut, share, repeated, report) for share in shares), whole] for cut in CUTS}
    words, last = [], {}
    for cut, line in lines.items():
        for less, more in pairwise(line):
            last[cut] = gain = more.vals[MAIN].minus(less.vals[MAIN])
            words.append(f"{_part(more, cut)} instead of {_part(less, cut)}: {gain.points()}")
    few_people, few_images = (line[0] for line in lines.values())
    gain = few_images.vals[MAIN].minus(few_people.vals[MAIN])
    words.append(f"{few_images.name} instead of {few_people.name}: {gain.points()}")
    pays = [CUTS[cut] for cut, gain in last.items() if gain.told and gain.value > 0]
    words += [
        f"this shows that the last doubling, of {' and of '.join(pays)}, still pays"
        if pays
        else "this shows no gain of the last doubling, of people or of images of each, that can be told",
        "it can't show where more stops paying: the paper's curve levels off at sizes that nothing here comes near",
    ]
    name, settings = short_name(data_of(recipe)), [*lines["people_share"], *lines["images_share"][:-1]]
    return Finding(
        tables.heads("training set"),
        tables.rows(settings, paper.DATA, " images"),
        tuple(words),
        tuple(tables.curve(f"{name}, shares of {CUTS[cut]}", line) for cut, line in lines.items()),
        {"seeds": len(repeated), "settings": tables.facts(settings)},
    )


def _setting(recipe: StudyRecipe, cut: str, share: float, repeated: range, report: Report) -> Setting:
    compared, sizes = [], []
    for seed in repeated:
        change: dict[str, Any] = {cut: share}
        trained = network(recipe, seed, report, **change)
        used = training_images(replace(options(recipe), seed=seed, **change))
        assert used.labels is not None
        sizes.append((len(used), len(set(used.labels.tolist()))))
        tested = people_tested(trained, recipe, report)
        compared.append(compare(embed(trained, tested, recipe), tested))
    # Where people have unequal numbers of images, each seed's share has another size.
    images, people = (round(sum(counts) / len(repeated)) for counts in zip(*sizes, strict=True))
    facts = {"cut": cut, "share": share, "images": images, "people": people, "test_images": len(tested)}
    name = f"{images:,} images of {people:,} people"
    return Setting(name, images, {far: vals(compared, far) for far in FARS}, facts)


def _part(setting: Setting, cut: str) -> str:
    share = SHARES.get(setting.facts["share"])
    return f"{share} of {CUTS[cut]}" if share else "all"


STUDY = face_study(
    "What do more training people, and more images of each, bring?",
    run,
    Axes("training images", shared=False),
    (paper.DATA,),
)
