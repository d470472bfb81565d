"""What do the hardest negatives do, and what random ones? (FaceNet, section 3.2)

"Selecting the hardest negatives can in practice lead to bad local minima early on in training, specifically it can
result in a collapsed model (i.e. f(x) = 0)", says the paper, and so takes semi-hard ones; it gives no figures. On the
unit sphere a collapse is all embeddings being one: every triplet's loss is then the margin, and no gradient leads out.
The same network is trained in the same steps with the same seeds on semi-hard triplets, on one random negative for each
pair of anchor and positive, on all hard negatives and on the hardest of each pair.
"""

from collections.abc import Mapping, Sequence

from vitrail.recipes.events import Report
from vitrail.studies.drawing import in_parts
from vitrail.studies.measuring import FARS, Vals, compare, embed, people_tested, vals
from vitrail.studies.mining_figure import draw
from vitrail.studies.networks import FACE_OPTIONS, data_of, short_name
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.studies.triplet_runs import WAYS, Looks, Way, rounded, trained, usual_options

USUAL: Way = "semi-hard"
QUICK_WAYS: tuple[Way, ...] = (USUAL, "random", "hardest")
AS_ONE = 0.01
"""Share of the margin below which the mean distance of two embeddings is none: collapsed."""
END = 10
"""Last steps, whose mean loss is told."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train in each way with each seed, and measure on the same test people."""
    seeds, margin = recipe.repetitions(3), usual_options(recipe).margin
    ways = QUICK_WAYS if recipe.quick else WAYS
    looks: dict[Way, list[Looks]] = {way: [] for way in ways}
    losses: dict[Way, list[Looks]] = {way: [] for way in ways}
    found: dict[Way, dict[float, Vals]] = {}
    for way in ways:
        compared = []
        for seed in seeds:
            network, seen, lost = trained(recipe, way, seed, report)
            looks[way].append(seen)
            losses[way].append(lost)
            tested = people_tested(network, recipe, report)
            compared.append(compare(embed(network, tested, recipe), tested))
        found[way] = {far: vals(compared, far) for far in FARS}
    ends = {way: [sum(one["loss"][-END:]) / len(one["loss"][-END:]) for one in of] for way, of in losses.items()}
    rows = [
        (
            way,
            *(found[way][far].interval().cell() for far in FARS),
            over_seeds(ends[way], 3),
            _apart([one["distance"][-1] for one in looks[way]]),
            f"{sum(collapsed(one, margin) for one in looks[way])} of {len(seeds)}",
        )
        for way in ways
    ]
    return Finding(
        (
            "negatives",
            *(f"VAL at FAR {far:g}" for far in FARS),
            "loss at the end",
            "distance of two at the end",
            "collapsed",
        ),
        tuple(rows),
        _words(found, looks, ends, margin),
        (),
        {
            "data": short_name(data_of(recipe)),
            "seeds": len(seeds),
            "margin": margin,
            "steps": int(looks[USUAL][0]["step"][-1]),
            "test_images": len(tested),
            "ways": {
                way: {
                    "val_at_far": {
                        f"{far:g}": {**of.interval().figures(), "seeds": of.values.tolist()}
                        for far, of in found[way].items()
                    },
                    "runs": [
                        {
                            "step": list(seen["step"]),
                            "distance": rounded(seen)["distance"],
                            "loss": rounded(lost)["loss"],
                        }
                        for seen, lost in zip(looks[way], losses[way], strict=True)
                    ],
                }
                for way in ways
            },
        },
    )


def collapsed(looks: Looks, margin: float) -> bool:
    """Whether all embeddings were one at the end of a training."""
    return looks["distance"][-1] < AS_ONE * margin


def _apart(distances: Sequence[float]) -> str:
    """Of each seed, in a form that also tells how little is left."""
    return ", ".join(f"{distance:.2g}" for distance in distances)


def _words(
    found: Mapping[Way, Mapping[float, Vals]],
    looks: Mapping[Way, Sequence[Looks]],
    ends: Mapping[Way, Sequence[float]],
    margin: float,
) -> tuple[str, ...]:
    words = []
    for way in found:
        if way != USUAL:
            gains = (f"{found[way][far].minus(found[USUAL][far]).points()} at FAR {far:g}" for far in FARS)
            words.append(f"{way} negatives beside {USUAL} ones: VAL {' and '.join(gains)}")
    fallen = {way: [collapsed(one, margin) for one in of] for way, of in looks.items()}
    for way, of in fallen.items():
        if any(of):
            words.append(
                f"with {way} negatives {sum(of)} of {len(of)} networks end with all embeddings in one place: two are "
                f"{_apart([one['distance'][-1] for one in looks[way]])} apart, and the loss stands at "
                f"{over_seeds(ends[way], 3)}, the margin being {margin:g}"
            )
    hardest = fallen["hardest"]
    spared = not any(fallen[USUAL])
    return (
        *words,
        "this shows the collapse that section 3.2 warns of, and that semi-hard negatives are spared it"
        if all(hardest) and spared
        else "the collapse that section 3.2 warns of is seen in some of these trainings only: this shows that it can "
        "happen, not that it must"
        if any(hardest) and spared
        else "this doesn't show the collapse that section 3.2 warns of",
        "it can't show what hard negatives do once a network has learned (the paper speaks of the beginning), nor with "
        "a hundred million faces, mistaken labels among them, AdaGrad and batches of 1,800",
    )


STUDY = Study(
    "What do the hardest negatives do, and what random ones?",
    run,
    in_parts(draw, (11.0, 4.2)),
    lambda recipe: short_name(data_of(recipe)),
    FACE_OPTIONS,
    "VAL in percent, ± standard error over test people and seeds, differences with 95% intervals; losses and squared "
    "distances of embeddings are means over seeds with 95% intervals, each loss of its own triplets",
)
