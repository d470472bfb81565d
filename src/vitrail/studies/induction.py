"""Does a second layer learn to look up what came next before? (Olsson et al. 2022, on induction heads)

Models of attention alone (Elhage et al. 2021) are trained on random blocks and pieces of them (``blocks.py``). An
induction head looks at what followed the token at hand when it stood there before. It needs a head below it that tells
each position which token stands before it, and so two layers. The measure is the induction score: on a block of T
different tokens twice, the mean of A[i, i - (T - 1)] over the second time.

Where we differ from the paper: its models learn this from books, in hours; ours from nothing else, in a minute.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from vitrail.recipes.events import Report
from vitrail.studies.blocks import LENGTH, LONGEST, VOCABULARY
from vitrail.studies.drawing import in_parts
from vitrail.studies.induction_figure import draw
from vitrail.studies.induction_models import Scored, score, trained
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe

DEPTHS = (2, 1)
TESTED = 256
"""Fresh blocks that scores are taken on."""
ENOUGH = 0.8
"""A score that makes a head an induction head here."""
UNIFORM = float(np.mean([1 / (place + 1) for place in range(LONGEST, LENGTH)]))
"""The score of attending everywhere alike."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train models of two layers and of one with each seed, and score their heads on fresh blocks."""
    seeds = recipe.repetitions(3)
    found: dict[int, list[Scored]] = {depth: [] for depth in DEPTHS}
    losses: dict[int, list[Mapping[str, Any]]] = {depth: [] for depth in DEPTHS}
    for seed in seeds:
        for depth in DEPTHS:
            model, curve = trained(recipe, depth, seed, report)
            found[depth].append(score(model, TESTED))
            losses[depth].append(curve)
    best = {depth: [float(one.induction.max()) for one in of] for depth, of in found.items()}
    rows = [
        (
            f"{depth} layer{'s' * (depth > 1)}",
            over_seeds([one.loss for one in of], 3),
            over_seeds([one.pieces for one in of], 3),
            over_seeds(best[depth]),
            over_seeds([float(one.previous[0].max()) for one in of]),
        )
        for depth, of in found.items()
    ]
    return Finding(
        ("model", "loss, block twice", "loss, pieces", "best induction head", "best previous-token head, layer 0"),
        tuple(rows),
        _words(found, best),
        (),
        {
            "seeds": len(seeds),
            "block": LONGEST,
            "tested": TESTED,
            "uniform": UNIFORM,
            "models": {
                str(depth): [
                    {
                        "loss": round(one.loss, 4),
                        "loss on pieces": round(one.pieces, 4),
                        "induction": _rounded(one.induction),
                        "previous": _rounded(one.previous),
                        "curve": curve,
                    }
                    for one, curve in zip(found[depth], losses[depth], strict=True)
                ]
                for depth in DEPTHS
            },
            "shown": _shown(found[2][0]),
        },
    )


def _words(found: Mapping[int, Sequence[Scored]], best: Mapping[int, Sequence[float]]) -> tuple[str, ...]:
    reached, alone = (sum(value >= ENOUGH for value in best[depth]) for depth in DEPTHS)
    heads = sum(int((one.induction >= ENOUGH).sum()) for one in found[2])
    every = sum(one.induction.numel() for one in found[2])
    shown = reached == len(best[2]) and not alone
    return (
        f"models with a head of induction score {ENOUGH} or more: {reached} of {len(best[2])} of 2 layers ({heads} of "
        f"{every} heads) and {alone} of {len(best[1])} of 1 layer, whose best has {max(best[1]):.2f}; attending "
        f"everywhere alike has {UNIFORM:.2f}",
        f"the loss over the second time is {over_seeds([one.loss for one in found[2]], 3)} nats with 2 layers and "
        f"{over_seeds([one.loss for one in found[1]], 3)} with 1; naming any token of the block has "
        f"{np.log(LONGEST):.2f}, naming any token at all {np.log(VOCABULARY):.2f}",
        "this shows that two layers of attention alone learn to look up what came next, and that one layer, with the "
        "same data and steps, doesn't"
        if shown
        else "this shows nothing: the trainings were too short to tell",
        "it can't show that heads of large language models do the same for the same reason: these models are tiny, "
        "their tokens mean nothing, and there was nothing else to learn",
    )


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in values.tolist()]


def _shown(one: Scored) -> dict[str, Any]:
    """The best induction head and the best previous-token head of layer 0, on one block; weights in percent."""
    heads = one.induction.shape[1]
    layer, head = divmod(int(one.induction.argmax()), heads)
    previous = int(one.previous[0].argmax())
    return {
        name: {
            "layer": layer,
            "head": head,
            "score": round(float(value), 4),
            "percent": [
                " ".join(f"{round(100 * weight)}" for weight in row) for row in one.weights[layer, head].tolist()
            ],
        }
        for name, layer, head, value in (
            ("induction", layer, head, one.induction.max()),
            ("previous token", 0, previous, one.previous[0].max()),
        )
    }


STUDY = Study(
    "Does a second layer learn to look up what came next before?",
    run,
    in_parts(draw, (10.5, 7.6)),
    lambda _: "random blocks",
    ("seeds",),
    "means over seeds with 95% intervals on fresh blocks; losses in nats a token, of heads the share of attention",
)
