"""Can a new network's embeddings be compared with an old one's? (FaceNet, appendix: harmonic embeddings)

v1 was trained on a quarter of the people. v2 was trained by itself on all of them; then it is made harmonic with v1, as
``recipes/harmonic.py`` does. What is asked: v1-v1 < v1-v2 < v2-v2 in VAL at a FAR. Beside them stands v2 as it was, by
itself, against v1: two networks that were trained apart have nothing in common, so it should fail. v1 and v2 of a pair
have different seeds, so that they did not even begin alike.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float64

from vitrail.faces.pairs import AllPairs
from vitrail.recipes.events import Report
from vitrail.studies.measuring import FARS, UNTOLD, Vals, compare, embed, people_tested, vals
from vitrail.studies.networks import data_of, face_study, network, options, short_name, without_shape
from vitrail.studies.tables import MAIN
from vitrail.studies.terms import Axes, Curve, Finding, StudyRecipe

OLD_SHARE = 1 / 4
"""Of the people, for v1."""
NAMES = ("v1-v1", "v1-v2", "v2-v2", "v1-v2, apart", "v2-v2, apart")
GRID = np.logspace(-5, 0, 101)
"""The rates at which curves are drawn."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train the three networks of each seed and compare their embeddings with each other."""
    repeated = recipe.repetitions(3)
    compared: dict[str, list[AllPairs]] = {name: [] for name in NAMES}
    for place, seed in enumerate(repeated):
        another = repeated[place - 1] if len(repeated) > 1 else seed + 1
        old = network(recipe, another, report, people_share=OLD_SHARE)
        plain = network(recipe, seed, report)
        new = network(
            recipe,
            seed,
            report,
            name=f"harmonic-with-{another}",
            **without_shape(),
            init=plain.folder,
            harmonic_with=old.folder,
            head_epochs=max(1, options(recipe).epochs // 2),
        )
        images = [people_tested(trained, recipe, report) for trained in (old, plain, new)]
        first, apart, harmonic = (
            embed(trained, own, recipe) for trained, own in zip((old, plain, new), images, strict=True)
        )
        for name, own, other in (
            ("v1-v1", first, None),
            ("v1-v2", first, harmonic),
            ("v2-v2", harmonic, None),
            ("v1-v2, apart", first, apart),
            ("v2-v2, apart", apart, None),
        ):
            compared[name].append(compare(own, images[0], other))
    found = {name: {far: vals(pairs, far) for far in FARS} for name, pairs in compared.items()}
    rows = [(name, *(found[name][far].interval().cell() for far in FARS)) for name in NAMES]
    return Finding(
        ("compared", *(f"VAL at FAR {far:g}" for far in FARS)),
        tuple(rows),
        _words(found),
        tuple(_curve(name, compared[name]) for name in NAMES[:-1]),
        {
            "data": short_name(data_of(recipe)),
            "seeds": len(repeated),
            "test_images": len(images[0]),
            "compared": {
                name: {
                    f"{far:g}": {**of.interval().figures(), "seeds": of.values.tolist()} for far, of in by_far.items()
                }
                for name, by_far in found.items()
            },
        },
    )


def _words(found: Mapping[str, Mapping[float, Vals]]) -> tuple[str, ...]:
    words = []
    for more, less in (("v1-v2", "v1-v1"), ("v2-v2", "v1-v2"), ("v2-v2", "v2-v2, apart")):
        for far in FARS:
            gain = found[more][far].minus(found[less][far])
            words.append(f"{more} beside {less} at FAR {far:g}: {gain.points()}")
    ordered = [
        far
        for far in FARS
        if all(
            (gain := found[more][far].minus(found[less][far])).told and gain.value > 0
            for more, less in (("v1-v2", "v1-v1"), ("v2-v2", "v1-v2"))
        )
    ]
    rates = " and ".join(f"{far:g}" for far in ordered)
    words.append(f"v1-v1 < v1-v2 < v2-v2 at FAR {rates}" if ordered else f"the order v1-v1 < v1-v2 < v2-v2: {UNTOLD}")
    chance = found["v1-v2, apart"][MAIN].interval()
    words.append(f"trained apart, v1-v2 has a VAL of {chance.cell()}% at FAR {MAIN:g}; chance is {MAIN:.1%}")
    words += [
        "this shows that a new network's embeddings can be compared with an old one's where it was trained to be "
        "harmonic with it, and not where both were trained apart"
        if ordered
        else "this shows no order of old, mixed and new that can be told",
        "it can't show how far this goes: a third network harmonic with the second, or one of another size",
    ]
    return tuple(words)


def _curve(name: str, compared: list[AllPairs]) -> Curve:
    """The mean over seeds of VAL at each rate; between the lowest and the highest seed lies its band."""
    vals_of: list[Float64[torch.Tensor, " rates"]] = []
    for pairs in compared:
        curve = pairs.roc()
        vals_of.append(curve.val[torch.searchsorted(curve.far, torch.from_numpy(GRID), right=True) - 1])
    each = torch.stack(vals_of)
    lines = (each.mean(0), each.amin(0), each.amax(0))
    y, low, high = (tuple(round(value, 5) for value in line.tolist()) for line in lines)
    return Curve(name, tuple(round(rate, 9) for rate in GRID.tolist()), y, low, high)


STUDY = face_study(
    "Can a new network's embeddings be compared with an old one's?",
    run,
    Axes("FAR: different people accepted", "VAL: pairs of one person accepted", panels=True),
)
