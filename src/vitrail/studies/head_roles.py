"""What is each head of a trained BERT for? (Clark et al. 2019, "What Does BERT Look At?")

Every head's scores are averaged over many inputs, half of them a sentence alone and half two sentences read together,
and each head is named by where most of its attention goes (``vitrail.trace.roles``). Beside it stand untrained twins,
drawn as the library draws them and as PyTorch does: a role counts where its share of attention is a half or more, and
five times that of the best head of any twin.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vitrail.capture.twins import Drawn
from vitrail.recipes.events import Note, Report
from vitrail.studies.bert import Bert, model_name, open_bert, seen
from vitrail.studies.sentences import fingerprint, pairs_of_sentences
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import label_heads
from vitrail.trace.roles import ROLES
from vitrail.trace.tables import HeadScores, gather_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUTS, QUICK_INPUTS = 240, 24
SHARE, TIMES = 0.5, 5.0
"""What a role takes: of all attention, and of what an untrained head has."""
TWINS: tuple[Drawn, ...] = ("library", "pytorch")
ATLAS = ("stream", "layer", "head", "role", "score", "nearest")
"""Columns of ``label_heads`` that are kept."""


class Named(NamedTuple):
    """A head with a role that counts."""

    layer: int
    head: int
    role: str
    score: float
    low: float
    high: float
    uniform: float
    untrained: float
    """The highest share that any head of any twin has."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Score every head of the model and of its twins on the same sentences."""
    seeds = recipe.repetitions(3)
    bert = open_bert(recipe)
    inputs = QUICK_INPUTS if recipe.quick else INPUTS
    pairs = pairs_of_sentences(inputs, 0)
    report(Note(f"{model_name(recipe)} on {inputs} inputs"))
    trained, atlas = scored(bert, pairs)
    twins: list[HeadScores] = []
    atlases = {"trained": atlas}
    for how in TWINS:
        for seed, twin in zip(seeds, bert.twins(how, seeds), strict=True):
            report(Note(f"an untrained twin as {how} draws it, seed {seed}"))
            found, labelled = scored(twin, pairs)
            twins.append(found)
            atlases.setdefault(how, labelled)
    named = named_heads(trained, atlas, twins)
    rows = [
        (
            f"{one.layer}.{one.head}",
            one.role,
            f"{one.score:.2f} ({one.low:.2f} to {one.high:.2f})",
            f"{one.uniform:.2f}",
            f"{one.untrained:.2f}",
            f"{one.score / one.untrained:.0f}",
        )
        for one in named
    ]
    return Finding(
        ("layer.head", "role", "share of attention", "uniform", "untrained, best", "times"),
        tuple(rows),
        _words(named, atlases, inputs),
        (),
        {
            "inputs": inputs,
            "sentences": fingerprint(pairs),
            "seeds": len(seeds),
            "named": [one._asdict() for one in named],
            "atlases": atlases,
        },
    )


def scored(bert: Bert, pairs: Sequence[tuple[str, str]]) -> tuple[HeadScores, list[dict[str, Any]]]:
    """Scores and roles of all heads: the second sentence of each even pair alone, both of each odd pair together."""
    traces = [bert.read(*(pair if place % 2 else pair[1:])) for place, pair in enumerate(pairs)]
    table = label_heads(traces)[list(ATLAS)]
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
    return gather_scores(traces), rows


def shares(scores: HeadScores, role: str) -> np.ndarray:
    """Mean, low end, high end and uniform share ``[4 heads]`` of the attention that makes a role."""
    names = ["A to B", "B to A"] if role == "other sentence" else [ROLES[role][0]]
    places = [scores.names.index(name) for name in names]
    parts = (scores.means, scores.low, scores.high, scores.uniform)
    return np.stack([part[:, places].mean(axis=1) for part in parts])


def named_heads(
    trained: HeadScores, atlas: Sequence[Mapping[str, Any]], twins: Sequence[HeadScores]
) -> tuple[Named, ...]:
    """The heads whose role counts, the highest share first."""
    found = []
    for place, row in enumerate(atlas):
        role = row["role"]
        if role not in ROLES and role != "other sentence":
            continue
        score, low, high, uniform = (round(float(one), 4) for one in shares(trained, role)[:, place])
        untrained = round(max(float(shares(twin, role)[0].max()) for twin in twins), 4)
        if score >= SHARE and score >= TIMES * untrained:
            found.append(Named(row["layer"], row["head"], role, score, low, high, uniform, untrained))
    return tuple(sorted(found, key=lambda one: -one.score))


def _words(named: Sequence[Named], atlases: Mapping[str, Sequence[Mapping[str, Any]]], inputs: int) -> tuple[str, ...]:
    roles = {one.role: [other for other in named if other.role == one.role] for one in named}
    told = ", ".join(f"{role} {len(heads)} (best {heads[0].score:.2f})" for role, heads in roles.items()) or "none"
    every = len(atlases["trained"])
    others = "; ".join(f"as {how} draws it {_counted(atlases[how])}" for how in TWINS)
    return (
        f"heads with a share of {SHARE:g} or more, and {TIMES:g} times the best untrained head's: {len(named)} of "
        f"{every}, in {len(roles)} roles: {told}",
        f"all heads: trained {_counted(atlases['trained'])}; untrained {others}",
        f"this shows where these heads look on {inputs} inputs of plain English, and that training made them look there"
        if named
        else "this shows no head with a role",
        "it can't show what a head does for the model's answer (attention is where it looks, not what it moves), nor "
        "other English than that of documentation, whose sentences are alike in style",
    )


def _counted(atlas: Sequence[Mapping[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for row in atlas:
        counts[row["role"]] = counts.get(row["role"], 0) + 1
    return ", ".join(f"{count} {role}" for role, count in sorted(counts.items(), key=lambda one: -one[1]))


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value


def _draw(question: str, found: Mapping[str, Finding]) -> "Figure":
    """The atlas of each model beside that of its twin."""
    import pandas as pd

    from vitrail.viewer.figures import side_by_side

    tables, names = [], []
    for model, finding in found.items():
        for weights, told in (("trained", "trained"), ("library", "untrained, as its library draws it")):
            table = pd.DataFrame(finding.facts["atlases"][weights])
            tables.append(table.assign(score=table["score"].astype(float)))
            names.append(f"{model}, {told}; {finding.facts['inputs']} inputs")
    return side_by_side(*tables, names=names)


STUDY = Study(
    "What is each head of a trained BERT for?",
    run,
    _draw,
    model_name,
    ("model", "seeds"),
    "means over inputs with 95% intervals (bootstrap); uniform: what attending everywhere alike has",
    view=seen("The house is on the hill.", "She lives in the house."),
)
