"""What does a text cost, with a cache of keys and values and without? (Vaswani et al. 2017, section 3.2.3)

A decoder that masks what comes later can keep the keys and values of what it wrote: then a token costs one token's way
through the decoder, and a text of n tokens n of these. Without a cache each step computes the whole text again: n²/2.
Attention itself looks at all tokens in both, which adds a n² to the one and an n³ to the other, with small factors.

One text is written greedily about one source by the course's Transformer (4 + 4 blocks, 512 wide) with random weights,
on which nothing here depends, in float32 on one core; then with several beams. The encoder's part is left out.
Multiply-adds are closed forms (``rereading.py``), which tests compare with a count.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from vitrail.nn.randomness import derive_seed
from vitrail.recipes.events import Note, Report
from vitrail.recipes.intervals import mean_interval
from vitrail.studies.decoding_cost_figure import draw
from vitrail.studies.drawing import in_parts
from vitrail.studies.rereading import Way, decoding_multiply_adds, writer
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.studies.timing import Prepare, processor, ratios, side_by_side
from vitrail.text.decoding import decode
from vitrail.text.options import Decoding
from vitrail.text.presets import course
from vitrail.text.transformer import Transformer

LENGTHS, QUICK_LENGTHS = (8, 16, 32, 64), (4, 8, 16)
"""Tokens of a text; summaries are cut at the longest, unless --longest-summary says otherwise."""
BEAMS, QUICK_BEAMS = (1, 2, 4), (1, 4)
ROUNDS, QUICK_ROUNDS = 4, 2
SOURCE, QUICK_SOURCE = 256, 64
"""Tokens of the source."""
VOCABULARY = 8000
FITTED = 3
"""So many of the longest lengths an exponent is fitted to."""
WAYS: tuple[Way, ...] = get_args(Way)
UNCACHED = WAYS[1:]

Kind: TypeAlias = tuple[Way, int, int]
"""What is kept, tokens, beams."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Write texts of each length in each way, then with each number of beams."""
    quick = recipe.quick
    lengths, beams = (QUICK_LENGTHS, QUICK_BEAMS) if quick else (LENGTHS, BEAMS)
    rounds, length = (QUICK_ROUNDS, QUICK_SOURCE) if quick else (ROUNDS, SOURCE)
    model, source = prepared(recipe.seed, length)
    wide = lengths[len(lengths) // 2]
    kinds: list[Kind] = [(way, tokens, 1) for way in WAYS for tokens in lengths]
    kinds += [(way, wide, count) for way in WAYS[:2] for count in beams if count > 1]
    report(Note(f"texts of {wide} tokens in each way, compared"))
    written = [write(model, source, (way, wide, 1)) for way in WAYS]
    report(Note(f"{rounds} rounds of texts of {', '.join(map(str, lengths))} tokens, and of {wide} by beams"))
    turns: dict[Kind, Prepare] = {kind: partial(_turn, model, source, kind) for kind in kinds}
    with torch.inference_mode():
        times = side_by_side(turns, rounds)
    cost = {kind: decoding_multiply_adds(model.config, kind[0], kind[1], length, kind[2]) for kind in kinds}
    powers = exponents(lengths[-FITTED:], times, cost)
    rows = [_row(times, cost, tokens, 1) for tokens in lengths]
    rows += [_row(times, cost, wide, count) for count in beams if count > 1]
    return Finding(
        ("text", *(f"multiply-adds, {way}" for way in WAYS), *(f"time, {way} / cached" for way in UNCACHED)),
        tuple(rows),
        _words(times, cost, powers, lengths, beams, wide, all(one == written[0] for one in written)),
        (),
        {
            "processor": processor(),
            "model": "course",
            "vocabulary": VOCABULARY,
            "source": length,
            "rounds": rounds,
            "beams_at": wide,
            "fitted": list(lengths[-FITTED:]),
            "exponents": powers,
            "same_text": all(one == written[0] for one in written),
            "texts": [
                {
                    "way": kind[0],
                    "tokens": kind[1],
                    "beams": kind[2],
                    "multiply_adds": cost[kind],
                    "seconds": [round(value, 5) for value in times[kind]],
                }
                for kind in kinds
            ],
        },
    )


def prepared(seed: int, length: int) -> tuple[Transformer, Tensor]:
    """The course's model before any training, and a source of random tokens."""
    torch.manual_seed(derive_seed(seed, "start"))
    model = Transformer(course(VOCABULARY)).eval()
    random = torch.Generator().manual_seed(derive_seed(seed, "source"))
    return model, torch.randint(2, VOCABULARY, (1, length), generator=random)


@torch.inference_mode()
def write(model: Transformer, source: Tensor, kind: Kind) -> list[int]:
    """The best text; it has all tokens that it may have."""
    way, tokens, beams = kind
    options = Decoding(beams=beams, max_tokens=tokens, min_tokens=tokens - 1)
    return decode(writer(model, source, way), options)[0][0].tokens


def _turn(model: Transformer, source: Tensor, kind: Kind) -> Any:
    """A text to be written, its source read."""
    way, tokens, beams = kind
    options = Decoding(beams=beams, max_tokens=tokens, min_tokens=tokens - 1)
    return partial(decode, writer(model, source, way), options)


def exponents(
    lengths: Sequence[int], times: Mapping[Kind, Sequence[float]], cost: Mapping[Kind, int]
) -> dict[str, dict[str, Any]]:
    """With which power of the length time (one a round) and multiply-adds grow, by least squares on logarithms."""
    logs = np.log(lengths)

    def power(values: Sequence[float]) -> float:
        return round(float(np.polyfit(logs, np.log(values), 1)[0]), 4)

    return {
        way: {
            "time": [power(of) for of in zip(*(times[way, tokens, 1] for tokens in lengths), strict=True)],
            "multiply_adds": power([cost[way, tokens, 1] for tokens in lengths]),
        }
        for way in WAYS
    }


def _row(times: Mapping[Kind, Sequence[float]], cost: Mapping[Kind, int], tokens: int, beams: int) -> tuple[str, ...]:
    base = times["cached", tokens, beams]
    return (
        f"{tokens} tokens" + f", {beams} beams" * (beams > 1),
        *(_billions(cost.get((way, tokens, beams))) for way in WAYS),
        *(
            over_seeds(ratios(times[way, tokens, beams], base)) if (way, tokens, beams) in times else "-"
            for way in UNCACHED
        ),
    )


def _words(
    times: Mapping[Kind, Sequence[float]],
    cost: Mapping[Kind, int],
    powers: Mapping[str, Mapping[str, Any]],
    lengths: Sequence[int],
    beams: Sequence[int],
    wide: int,
    same: bool,
) -> tuple[str, ...]:
    longest, most = lengths[-1], beams[-1]
    cached, kept, nothing = ((way, longest, 1) for way in WAYS)
    grown = [
        f"{over_seeds(powers[way]['time'])} {way} (multiply-adds {powers[way]['multiply_adds']:.2f})" for way in WAYS
    ]
    one = times["cached", wide, 1]
    return (
        f"a text of {longest} tokens takes {over_seeds(ratios(times[kept], times[cached]), 1)} times as long without a "
        f"cache of its own keys and values, and {over_seeds(ratios(times[nothing], times[cached]), 1)} times with "
        f"nothing kept; in multiply-adds it is {cost[kept] / cost[cached]:.1f} and {cost[nothing] / cost[cached]:.1f}",
        f"from {lengths[-FITTED]} to {longest} tokens time grows with the length to the power of {', '.join(grown)}",
        f"{most} beams take {over_seeds(ratios(times['cached', wide, most], one))} times as long as one with a cache, "
        f"for {cost['cached', wide, most] / cost['cached', wide, 1]:.1f} times the multiply-adds: the weights are read "
        "once for all of them",
        _gain(times, lengths),
        "all three ways write the same text" if same else "the texts differ, by rounding: near ties went another way",
        "this shows that a cache makes a text's multiply-adds grow with its length in place of its square, and that "
        "time follows late: texts as short as these pay for each step (the weights, read from memory once more), "
        "whatever is kept, and a cache saves much less time than multiply-adds",
        "it can't show what larger models, batches, GPUs or sources of another length come to, and the machine is "
        "shared: ratios within a round are what can be told",
    )


def _gain(times: Mapping[Kind, Sequence[float]], lengths: Sequence[int]) -> str:
    """From which length on a cache of what is written can be told to be quicker."""
    for tokens in lengths:
        _, interval = mean_interval(ratios(times["source kept", tokens, 1], times["cached", tokens, 1]))
        if interval is not None and interval[0] > 1:
            return f"what a cache of the text itself gains can be told from {tokens} tokens on"
    return "what a cache of the text itself gains is too small to tell at these lengths"


def _billions(figure: int | None) -> str:
    return "-" if figure is None else f"{figure / 1e9:,.3g} G"


STUDY = Study(
    "What does a text cost, with a cache and without?",
    run,
    in_parts(draw, (11.0, 4.2)),
    lambda _: "one core",
    (),
    "multiply-adds of the decoder in billions; ratios of processor time on one thread of a shared machine, side by "
    "side, means over rounds with 95% intervals",
)
