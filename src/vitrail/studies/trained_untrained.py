"""What sets trained attention apart from untrained, however that was drawn?

A trained BERT reads sentences, and so do its untrained twins: drawn as its library draws a new model (every matrix from
N(0, 0.02)), and as PyTorch does (``reset_parameters`` of every module: uniform, and wider). By layer: the entropy of
attention as a share of what attending everywhere alike has; of each role the head that has most of it (Clark et al.
2019; ``vitrail.trace.roles``); and how far apart two models' maps of one input are, as the Jensen-Shannon divergence of
their rows (Lin 1991), the mean over queries and over heads of the same number. Two twins of one kind, drawn with two
seeds, tell how far apart maps are that differ by chance alone.

Where we differ from Clark et al.: their model is BERT base, and they compare with no untrained one.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from vitrail.capture.twins import Drawn
from vitrail.recipes.events import Note, Report
from vitrail.studies.bert import Bert, model_name, open_bert, seen
from vitrail.studies.drawing import in_parts
from vitrail.studies.over_inputs import Scored, by_layer, cell, joined, over, plain, scored_map, told
from vitrail.studies.seeing import see
from vitrail.studies.sentences import fingerprint, pairs_of_sentences
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.studies.trained_untrained_figure import draw
from vitrail.trace import jensen_shannon
from vitrail.trace.roles import ROLES, SHARE

INPUTS, QUICK_INPUTS = 200, 16
TRAINED = "trained"
WAYS: tuple[Drawn, ...] = ("library", "pytorch")
FARTHEST = float(np.log(2))
"""Two maps with no key in common."""


class Read(NamedTuple):
    """What all models made of the inputs.

    Attributes:
        scores: of each kind of model ("trained", "library", "pytorch"), one for every seed.
        apart: of two kinds, the distance of their maps, the mean over pairs of seeds.
    """

    scores: Mapping[str, Sequence[Scored]]
    apart: Mapping[str, Float64[np.ndarray, "inputs l"]]


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Read the same sentences with the model and with its twins."""
    seeds = recipe.repetitions(2)
    if recipe.quick and recipe.seeds is None:
        seeds = range(recipe.seed, recipe.seed + 2)  # with one there are no two twins to compare
    bert = open_bert(recipe)
    inputs = QUICK_INPUTS if recipe.quick else INPUTS
    pairs = pairs_of_sentences(inputs, 0)
    models = {TRAINED: [bert]}
    for how in WAYS:
        models[how] = list(bert.twins(how, seeds))
    report(Note(f"{model_name(recipe)} and {len(seeds)} twins of each kind on {inputs} inputs"))
    found = read_all(models, pairs)
    facts = {
        "inputs": inputs,
        "sentences": fingerprint(pairs),
        "seeds": len(seeds),
        "entropy": {kind: _entropy(of) for kind, of in found.scores.items()},
        "roles": {
            kind: {role: plain(_role(of, role)) for role in ROLES if _known(of, role)}
            for kind, of in found.scores.items()
        },
        "apart": {name: plain(by_layer(values)) for name, values in found.apart.items()},
    }
    heads = ("layer", "weights", "entropy, of uniform", "strongest role, its best head", "maps from the trained one's")
    return Finding(heads, tuple(_rows(found)), _words(found, inputs), (), facts)


def read_all(models: Mapping[str, Sequence[Bert]], pairs: Sequence[tuple[str, str]]) -> Read:
    """The second sentence of each even pair alone, both of each odd pair together, with every model."""
    scores: dict[str, list[list[Scored]]] = {kind: [[] for _ in of] for kind, of in models.items()}
    apart: dict[str, list[Float64[np.ndarray, " l"]]] = {}
    for place, pair in enumerate(pairs):
        texts = pair if place % 2 else pair[1:]
        maps: dict[str, list[np.ndarray]] = {}
        for kind, of in models.items():
            for number, model in enumerate(of):
                (seen,) = see(model, [texts])
                scores[kind][number].append(scored_map(seen.maps, seen.axis))
                maps.setdefault(kind, []).append(seen.maps)
        for name, compared in _compared(maps).items():
            apart.setdefault(name, []).append(np.mean([distances(*two) for two in compared], axis=0))
    return Read(
        {kind: [joined(parts) for parts in of] for kind, of in scores.items()},
        {name: np.stack(values) for name, values in apart.items()},
    )


def distances(first: Float[np.ndarray, "l h q k"], second: Float[np.ndarray, "l h q k"]) -> Float64[np.ndarray, " l"]:
    """How far apart two models' maps of one input are, in nats, layer by layer; from 0 to ln 2."""
    return np.asarray(jensen_shannon(first, second).mean((1, 2)))


def _compared(maps: Mapping[str, Sequence[Any]]) -> dict[str, list[tuple[Any, Any]]]:
    """Which maps of an input are compared: those of any two kinds, and of any two twins of a kind."""
    found = {
        f"{one} and {other}": [(first, second) for first in maps[one] for second in maps[other]]
        for one, other in combinations(maps, 2)
    }
    for kind, of in maps.items():
        if len(of) > 1:
            found[f"two of {kind}"] = list(combinations(of, 2))
    return found


def _mean(of: Sequence[Scored], name: str) -> Float64[np.ndarray, "inputs l"]:
    return np.asarray(np.mean([one.layers(name) for one in of], axis=0))


def _known(of: Sequence[Scored], role: str) -> bool:
    """Whether the inputs say something about a role in every layer."""
    return bool(np.isfinite(of[0].heads(ROLES[role][0])).any(0).all())


def _role(of: Sequence[Scored], role: str) -> list[Any]:
    """A role's share of attention in each layer's best head, the mean over seeds."""
    return by_layer(np.asarray(np.mean([one.best(ROLES[role][0]) for one in of], axis=0)))


def _entropy(of: Sequence[Scored]) -> dict[str, Any]:
    return {
        **plain(by_layer(_mean(of, "entropy"))),
        "seeds": [[round(float(value), 4) for value in one.layers("entropy").mean(0)] for one in of],
    }


def _rows(found: Read) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    entropies = {kind: by_layer(_mean(of, "entropy")) for kind, of in found.scores.items()}
    roles = {kind: {role: _role(of, role) for role in ROLES if _known(of, role)} for kind, of in found.scores.items()}
    for layer in range(len(entropies[TRAINED])):
        for kind in found.scores:
            _, best = max((by[layer].value, role) for role, by in roles[kind].items())
            apart = found.apart.get(f"{TRAINED} and {kind}")
            rows.append(
                (
                    str(layer),
                    kind,
                    cell(entropies[kind][layer]),
                    f"{best} {cell(roles[kind][best][layer])}",
                    "-" if apart is None else cell(over(apart[:, layer]), 3),
                )
            )
    return rows


def _words(found: Read, inputs: int) -> tuple[str, ...]:
    entropy = {kind: _mean(of, "entropy").mean(1) for kind, of in found.scores.items()}
    apart = {name: values.mean(1) for name, values in found.apart.items()}
    highest = {
        kind: max(_role(of, role)[layer].value for role in ROLES if _known(of, role) for layer in range(_depth(of)))
        for kind, of in found.scores.items()
    }
    library, pytorch = WAYS
    chance = max(over(apart[name]).value for name in apart if name.startswith("two of"))
    gaps = {how: over(entropy[TRAINED] - entropy[how]) for how in WAYS}
    shown = all(gap.told for gap in gaps.values())
    times = over(apart[f"{TRAINED} and {library}"]).value / over(apart[f"{library} and {pytorch}"]).value
    with_role = [how for how in WAYS if highest[how] >= SHARE]
    roleless = f"and that {' and '.join(with_role) or 'neither'} gives a head half of its attention for any role"
    return (
        "entropy of attention as a share of uniform, over all layers: "
        + ", ".join(f"{kind} {cell(over(values), 3)}" for kind, values in entropy.items()),
        f"trained less untrained: as its library draws it {told(gaps[library], 3)}, as PyTorch does "
        f"{told(gaps[pytorch], 3)}; library less PyTorch {told(over(entropy[library] - entropy[pytorch]), 4)}",
        "the largest share of attention that any head has for any role: "
        + ", ".join(f"{kind} {share:.2f}" for kind, share in highest.items()),
        f"maps are {cell(over(apart[f'{TRAINED} and {library}']), 3)} nats apart between trained and library, "
        f"{cell(over(apart[f'{TRAINED} and {pytorch}']), 3)} between trained and PyTorch, "
        f"{cell(over(apart[f'{library} and {pytorch}']), 3)} between the two ways, and at most {chance:.3f} between "
        f"two twins of a way; {FARTHEST:.3f} is the farthest there is",
        f"this shows, on {inputs} inputs, that trained attention is far from both ways to draw weights, {times:.0f} "
        f"times as far as these are from each other, {roleless}: what training brought is the same beside either"
        if shown
        else "this shows no difference between trained and untrained attention: too small to tell",
        "it can't show what a wider model would have: how far from uniform untrained attention is depends on the width "
        "(entropy-gap); and heads of two models are compared by their numbers, which mean nothing to an untrained one",
    )


def _depth(of: Sequence[Scored]) -> int:
    return int(of[0].values.shape[1])


STUDY = Study(
    "What sets trained attention apart from untrained, however that was drawn?",
    run,
    in_parts(draw, (11.5, 7.2)),
    model_name,
    ("model", "seeds"),
    "means over inputs with 95% intervals, of twins the mean over seeds; distances in nats, 0 to 0.693",
    view=seen("I wanted to have a party", "I like Thanksgiving dinner"),
)
