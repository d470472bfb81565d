"""What do layers attend to in a causal model, and what in a bidirectional one?

Two models of the same blocks are trained on the same texts from the same first weights; one may look back only, the
other both ways (``causal_bidirectional_models.py``). Both then read the beginnings of held-out texts, and so does a
trained BERT (Devlin et al. 2019). Six scores of their heads are averaged by layer (``vitrail.trace.scores``; Clark et
al. 2019, section 3). A query of a causal model has fewer keys, so that entropy and distance are told as shares of what
attending everywhere alike has on the same inputs, and beside every model stands its untrained twin: what the two have
in common is the mask's doing, not training's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from vitrail.capture import Wishes
from vitrail.recipes.attend_runs import attend_opened
from vitrail.recipes.events import Note, Report
from vitrail.recipes.language_runs import LanguageRun
from vitrail.studies.bert import model_name, open_bert
from vitrail.studies.causal_bidirectional_figure import draw
from vitrail.studies.causal_bidirectional_models import (
    KINDS,
    data_name,
    inputs_of,
    losses,
    passages,
    run_folder,
    trained,
    untrained,
)
from vitrail.studies.drawing import in_parts
from vitrail.studies.measuring import Interval
from vitrail.studies.over_inputs import Scored, by_layer, cell, over, plain, scored, told
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import Trace

INPUTS, QUICK_INPUTS = 120, 12
WORDS = 30
"""Of an input."""
MEASURES: Mapping[str, str] = {
    "entropy": "entropy, of uniform",
    "distance": "distance, of uniform",
    "first": "on the first token",
    "previous": "on the one before",
    "self": "on itself",
    "next": "on the one after",
}
"""Scores, and how a table calls them."""
LEARNT = 0.1
"""Nats below what frequencies alone give, from which on a model counts as trained."""


class Beside(NamedTuple):
    """A model's scores beside its untrained twin's, one of each for every seed."""

    trained: list[Scored]
    untrained: list[Scored]

    def layers(self, which: str, name: str) -> Float64[np.ndarray, "inputs l"]:
        """A score by layer, the mean over seeds."""
        found: list[Scored] = getattr(self, which)
        return np.asarray(np.mean([one.layers(name) for one in found], axis=0))

    def gain(self, name: str) -> Float64[np.ndarray, " inputs"]:
        """What training added to a score, over all layers."""
        return np.asarray((self.layers("trained", name) - self.layers("untrained", name)).mean(1))


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train the models, and score them, a BERT and their twins on the same texts."""
    seeds = recipe.repetitions(2)
    read = passages(recipe)
    texts = inputs_of(read, QUICK_INPUTS if recipe.quick else INPUTS, WORDS)
    found: dict[str, Beside] = {kind: Beside([], []) for kind in KINDS}
    nats: dict[str, dict[str, list[Mapping[str, float]]]] = {kind: {"trained": [], "untrained": []} for kind in KINDS}
    for seed in seeds:
        for kind in KINDS:
            model = trained(recipe, read, kind, seed, report)
            for which, one in (("trained", model), ("untrained", untrained(model, seed))):
                nats[kind][which].append(losses(one, read))
                getattr(found[kind], which).append(scored([look(one, text) for text in texts]))
    bert = open_bert(recipe)
    report(Note(f"{model_name(recipe)} and {len(seeds)} twins on {len(texts)} texts"))
    found[model_name(recipe)] = Beside(
        [scored([bert.read(text) for text in texts])],
        [scored([twin.read(text) for text in texts]) for twin in bert.twins("library", seeds)],
    )
    single = read.single()
    facts = {
        "inputs": len(texts),
        "words": WORDS,
        "seeds": len(seeds),
        "losses": nats,
        "frequencies": round(single, 4),
        "models": {model: _facts(beside) for model, beside in found.items()},
    }
    heads = ("model", "layer", *MEASURES.values())
    return Finding(heads, tuple(_rows(found)), _words(found, nats, single, len(texts)), (), facts)


def look(model: LanguageRun, text: str) -> Trace:
    """What a model of ours makes of a text: after the token that stands between texts, and before it if it fills in."""
    wishes = Wishes(values=False, check=False)
    return attend_opened(model, "", text, None, None, None, None, 0, wishes)


def _rows(found: Mapping[str, Beside]) -> list[tuple[str, ...]]:
    rows = []
    for model, beside in found.items():
        columns = {name: by_layer(beside.layers("trained", name)) for name in MEASURES}
        for layer in range(len(columns["entropy"])):
            rows.append((model, str(layer), *(cell(column[layer]) for column in columns.values())))
        every = (over(beside.layers("untrained", name).mean(1)) for name in MEASURES)
        rows.append((f"{model}, untrained", "all", *map(cell, every)))
    return rows


def _facts(beside: Beside) -> dict[str, Any]:
    """By score: the mean over inputs of each layer, with what each seed has; and uniform attention's."""
    facts: dict[str, Any] = {}
    for name in MEASURES:
        place = beside.trained[0].names.index(name)
        facts[name] = {
            which: {
                **plain(by_layer(beside.layers(which, name))),
                "seeds": [_rounded(one.layers(name).mean(0)) for one in getattr(beside, which)],
            }
            for which in Beside._fields
        }
        uniform = beside.trained[0].uniform[..., place].mean((0, 2))
        facts[name]["uniform"] = _rounded(uniform)
        facts[name]["gain"] = plain([over(beside.gain(name))])
    return facts


def _words(
    found: Mapping[str, Beside],
    nats: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]],
    single: float,
    inputs: int,
) -> tuple[str, ...]:
    causal, both = (found[kind] for kind in KINDS)
    reached = {kind: [one["nats_per_token"] for one in nats[kind]["trained"]] for kind in KINDS}
    learnt = all(max(of) < single - LEARNT for of in reached.values())
    losses_told = "; ".join(
        f"the {kind} model {' and '.join(f'{value:.2f}' for value in of)}" for kind, of in reached.items()
    )
    apart = {name: over(causal.gain(name) - both.gain(name)) for name in ("entropy", "first", "previous", "self")}
    return (
        f"nats a held-out token asked for: {losses_told}; {single:.2f} knowing how frequent each token is and nothing "
        "else (the two are asked for other things: their losses aren't to be compared)",
        *(
            f"{MEASURES[name]}, over all layers, trained less untrained: causal {told(over(causal.gain(name)))}, "
            f"bidirectional {told(over(both.gain(name)))}; causal less bidirectional {told(difference)}"
            for name, difference in apart.items()
        ),
        f"before and after: the bidirectional model has {_split(both)} of its attention on the two neighbours",
        _shown(apart, inputs)
        if learnt
        else "this shows nothing of training: these models know no more than how frequent tokens are",
        "it can't show what large models do: these are small, read little, and each has its own task, so that what "
        "sets the two apart may be the task as much as the mask; BERT differs from them in everything",
    )


def _split(both: Beside) -> str:
    before, after = (over(both.layers("trained", name).mean(1)) for name in ("previous", "next"))
    return f"{before.value:.2f} and {after.value:.2f}"


def _shown(apart: Mapping[str, Interval], inputs: int) -> str:
    differing = [MEASURES[name] for name, difference in apart.items() if difference.told]
    if not differing:
        return "this shows no difference in what training adds to the two models' attention: too small to tell"
    return (
        f"this shows, on {inputs} inputs, that training moves the two models' attention differently "
        f"({', '.join(differing)}), beyond what the mask alone does"
    )


def _rounded(values: Float64[np.ndarray, " l"]) -> list[float]:
    return [round(float(value), 4) for value in values]


STUDY = Study(
    "What do layers attend to in a causal model, and what in a bidirectional one?",
    run,
    in_parts(draw, (11.5, 6.6)),
    data_name,
    ("data", "model", "seeds", "precision"),
    "means over inputs and heads with 95% intervals; entropy and distance as shares of uniform attention's",
    view=lambda recipe: (str(run_folder(recipe, KINDS[1], recipe.seed)), "The boat goes home at night."),
)
