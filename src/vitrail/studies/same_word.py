"""Is a word's state another where it means something else?

The course's two sentences: "T was going to play at the park." and "I was going to a play in the park". How alike a word
is in two sentences is the cosine of its hidden states, layer by layer (as Ethayarajh 2019 measures it). One pair of
sentences says little, so more with each sense stand beside it: if sense mattered not, the sentences could be shared out
in any other way, and the gap between pairs of the same sense and of two senses would be as large. All ways are counted.
"the", which is in every sentence too and has no sense to change, tells how much of a gap its company alone makes.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from vitrail.recipes.events import Note, Report
from vitrail.studies.bert import Bert, model_name, open_bert, seen
from vitrail.studies.drawing import in_parts
from vitrail.studies.same_word_figure import draw
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import word_cosines, word_states

PAIR = ("T was going to play at the park.", "I was going to a play in the park")
"""The course's."""
GAME = (
    PAIR[0],
    "The children play in the garden after school.",
    "We play football on the beach every Sunday.",
    "The dogs like to play with a ball.",
    "My brothers play tennis against the neighbours.",
    "They wanted to play outside in the snow.",
    "You can play chess with the old man.",
    "The kittens play under the kitchen table.",
)
STAGE = (
    PAIR[1],
    "The school put on a play at Christmas.",
    "She wrote a play about the war.",
    "We saw a play at the theatre last night.",
    "The actors read the play before the first night.",
    "He forgot his lines in the play.",
    "The critics praised her new play.",
    "A play by an old friend opened in the city.",
)
WORD, CONTROL = "play", "the"
SHARED = ("play", "was", "going", "to", "the", "park")
"""What the pair has in common."""
LEVEL = 0.05
"""A gap that fewer ways than this share reach is told."""
FEWER = 4
"""Sentences of each sense in a quick study."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Read all sentences with the model and with its untrained twins."""
    seeds = recipe.repetitions(3)
    bert = open_bert(recipe)
    game, stage = (sentences[: FEWER if recipe.quick else None] for sentences in (GAME, STAGE))
    report(Note(f"{model_name(recipe)}: {len(game)} sentences with each sense of {WORD!r}, and {len(seeds)} twins"))
    trained = _measured(bert, game, stage)
    twins = [_measured(twin, game, stage) for twin in bert.twins("library", seeds)]
    of = trained[WORD]
    rows = [
        (
            str(layer) if layer else "entry",
            *(f"{trained['pair'][word][layer]:.2f}" for word in SHARED),
            f"{of['same'][layer]:.2f}",
            f"{of['across'][layer]:.2f}",
            f"{of['gap'][layer]:+.2f}",
            f"{of['low'][layer]:+.2f} to {of['high'][layer]:+.2f}",
        )
        for layer in range(len(of["gap"]))
    ]
    return Finding(
        ("layer", *(f"pair: {word}" for word in SHARED), "same sense", "two senses", "gap", "gap by chance"),
        tuple(rows),
        _words(trained, twins, len(game) * len(stage)),
        (),
        {
            "sentences": {"game": list(game), "stage": list(stage)},
            "seeds": len(seeds),
            "trained": trained,
            "untrained": twins,
        },
    )


def alike(states: Float64[np.ndarray, "s l m"]) -> Float64[np.ndarray, "l s s"]:
    """Cosines between a word's states in all sentences, layer by layer."""
    unit = states / np.linalg.norm(states, axis=-1, keepdims=True)
    return np.asarray(np.einsum("slm,tlm->lst", unit, unit))


def ways(first: int, second: int) -> Bool[np.ndarray, "w s"]:
    """All ways to share sentences out to two senses, so many to each; the first way is the one they stand in."""
    places = np.array(list(combinations(range(first + second), first)))
    found = np.zeros((len(places), first + second), bool)
    np.put_along_axis(found, places, True, axis=1)
    return found


def means(
    cosines: Float64[np.ndarray, "l s s"], shared_out: Bool[np.ndarray, "w s"]
) -> tuple[Float64[np.ndarray, "w l"], Float64[np.ndarray, "w l"]]:
    """The mean cosine over pairs of the same sense, and of two senses, for each way to share out the sentences."""
    sign = np.where(shared_out, 1.0, -1.0)
    first = shared_out.sum(1)[:, None]
    second = shared_out.shape[1] - first
    own = np.einsum("lss->l", cosines)
    everything = (cosines.sum((1, 2)) - own) / 2
    signed = (np.einsum("ws,lst,wt->wl", sign, cosines, sign, optimize=True) - own) / 2
    same = first * (first - 1) / 2 + second * (second - 1) / 2
    return (everything + signed) / 2 / same, (everything - signed) / 2 / (first * second)


def _measured(bert: Bert, game: Sequence[str], stage: Sequence[str]) -> dict[str, Any]:
    """Figures by layer; the first is what enters the first layer."""
    traces = [bert.read(text, hidden=True) for text in (*game, *stage)]
    shared_out = ways(len(game), len(stage))
    one, other = traces[0], traces[len(game)]
    found: dict[str, Any] = {"pair": {word: _plain(word_cosines(one, other, word)) for word in SHARED}}
    gaps = {}
    for word in (WORD, CONTROL):
        cosines = alike(np.stack([word_states(trace, word) for trace in traces]))
        same, across = means(cosines, shared_out)
        gaps[word] = same - across
        less = cosines[:, : len(game), len(game) :] < cosines[:, :1, len(game), None]
        found[word] = {
            "same": _plain(same[0]),
            "across": _plain(across[0]),
            "pairs less alike than the course's": less.sum((1, 2)).tolist(),
            **_beside_chance(gaps[word]),
        }
    found["beyond"] = _beside_chance(gaps[WORD] - gaps[CONTROL])
    return found


def _beside_chance(gaps: Float64[np.ndarray, "w l"]) -> dict[str, list[float]]:
    """The gap as it is, the middle 95% over all ways, and the share of ways with a gap at least as large."""
    low, high = np.quantile(gaps, (0.025, 0.975), axis=0)
    share = (gaps >= gaps[0] - 1e-12).mean(0)
    return {"gap": _plain(gaps[0]), "low": _plain(low), "high": _plain(high), "p": [float(f"{p:.3g}") for p in share]}


def _words(trained: Mapping[str, Any], twins: Sequence[Mapping[str, Any]], pairs: int) -> tuple[str, ...]:
    of, control, beyond = trained[WORD], trained[CONTROL], trained["beyond"]
    others = ", ".join(f"{word!r} {trained['pair'][word][-1]:.2f}" for word in SHARED if word != WORD)
    less = of["pairs less alike than the course's"][-1]
    untrained = [twin[WORD]["gap"][-1] for twin in twins]
    told = beyond["p"][-1] < LEVEL
    return (
        f"in the course's two sentences {WORD!r} has a cosine of {trained['pair'][WORD][-1]:.2f} after the last layer "
        f"({others}); untrained {np.mean([twin['pair'][WORD][-1] for twin in twins]):.2f}",
        f"one pair is too small to tell what its sense does there: of the {pairs} pairs of two senses {less} are less "
        "alike",
        f"after the last layer {WORD!r} is more alike within a sense than across: {_gap(of)}",
        f"{CONTROL!r} in the same sentences: {_gap(control)}; what {WORD!r} has beyond that: {_gap(beyond)}",
        f"untrained, the gap of {WORD!r} is {min(untrained):+.3f} to {max(untrained):+.3f}",
        f"this shows that training puts into the state of {WORD!r} which of the two uses it is in, beyond what its "
        f"company puts into the state of {CONTROL!r}"
        if told
        else f"this shows no more than that the state of {WORD!r} follows its company, as that of {CONTROL!r} does",
        "it can't show that this is meaning and not grammar: a game is played by a verb here, a stage has a noun",
    )


def _gap(found: Mapping[str, Sequence[float]]) -> str:
    """After the last layer."""
    gap, low, high, p = (found[name][-1] for name in ("gap", "low", "high", "p"))
    chance = f"({low:+.2f} to {high:+.2f} where sentences are shared out at random, p = {p:g})"
    return f"a gap of {gap:+.2f} {chance}" if p < LEVEL else f"too small to tell, {gap:+.2f} {chance}"


def _plain(values: Float64[np.ndarray, " l"]) -> list[float]:
    return [round(float(value), 4) for value in values]


STUDY = Study(
    "Is a word's state another where it means something else?",
    run,
    in_parts(draw, (11.5, 4.4)),
    model_name,
    ("model", "seeds"),
    "cosines of hidden states after each layer; by chance: the middle 95% over all ways to share out the sentences",
    view=seen(*PAIR),
)
