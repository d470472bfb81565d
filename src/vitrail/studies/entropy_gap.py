"""How far from uniform is attention before training?

Hugging Face draws the weights of BERT (Devlin et al. 2019) and of GPT-2 (Radford et al. 2019) from N(0, 0.02). What the
first layer's queries and keys read has been normalised, so that a logit is a sum of ``width`` products with a deviation
of s = 0.02² · width: 0.31 at a width of 768. The gap between the entropy of attending everywhere alike, ln n, and that
of attention with such small logits is half their variance over keys: s² / 2 for GPT-2, and a third less for BERT, whose
tokens all share one of the three vectors that are added at the entry. So the gap grows with the square of the width.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64

from vitrail.capture import record_attention, untrained_twin
from vitrail.capture.huggingface import load
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.events import Note, Report
from vitrail.recipes.intervals import mean_interval
from vitrail.studies.drawing import COLOURS, INK, PAPER, in_parts
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.text.language import LanguageModel
from vitrail.text.language_huggingface import to_huggingface
from vitrail.text.language_presets import bert_base, gpt2

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

WIDTHS, QUICK_WIDTHS = (128, 256, 512, 768, 1024), (128, 256)
LENGTHS = (16, 64)
HEAD_DIM = 64
TEXTS = 16
"""Of random tokens, that each model reads."""
VOCABULARY = 1000
KINDS: Mapping[str, float] = {"BERT": 2 / 3, "GPT-2": 1.0}
"""Models, and the share of what enters the first layer that tells tokens apart."""
TOLD = (256, 768)
"""Widths that words are about: MiniLM's is between them, BERT base has the second."""
DEVIATION = 0.02
"""Of all weights that Hugging Face draws."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Draw models of each width and take the entropies of their first layers."""
    widths = QUICK_WIDTHS if recipe.quick else WIDTHS
    seeds = recipe.repetitions(10)
    found: dict[str, dict[int, dict[int, list[float]]]] = {}
    for kind in KINDS:
        report(Note(f"{kind}, {', '.join(map(str, widths))} wide, {len(seeds)} of each"))
        for width in widths:
            gaps = [first_layer_gaps(model, seed) for seed, model in zip(seeds, drawn(kind, width, seeds), strict=True)]
            for length in LENGTHS:
                found.setdefault(kind, {}).setdefault(length, {})[width] = [gap[length] for gap in gaps]
    rows = [
        (
            str(width),
            *(over_seeds(found[kind][length][width], 4) for kind in KINDS for length in LENGTHS),
            *(f"{expected(width, kind):.4f}" for kind in KINDS),
        )
        for width in widths
    ]
    return Finding(
        (
            "width",
            *(f"{kind}, {length} tokens" for kind in KINDS for length in LENGTHS),
            *(f"s²/2, {kind}" for kind in KINDS),
        ),
        tuple(rows),
        _words(found),
        (),
        {
            "seeds": len(seeds),
            "texts": TEXTS,
            "head_dim": HEAD_DIM,
            "gaps": {
                kind: {
                    str(length): {str(width): [round(gap, 6) for gap in gaps] for width, gaps in by_width.items()}
                    for length, by_width in by_length.items()
                }
                for kind, by_length in found.items()
            },
        },
    )


def drawn(kind: str, width: int, seeds: range) -> Iterator[Any]:
    """Hugging Face's own models of one layer, as the library draws them from a config."""
    from dataclasses import replace

    preset = bert_base(VOCABULARY) if kind == "BERT" else gpt2(VOCABULARY)
    config = replace(preset, dim=width, layers=1, heads=width // HEAD_DIM, hidden=width, max_length=max(LENGTHS))
    with TemporaryDirectory() as folder:
        to_huggingface(LanguageModel(config), Path(folder))
        model, *_ = load(folder)
        for seed in seeds:
            yield untrained_twin(model, "library", derive_seed(seed, kind, width))


def first_layer_gaps(model: Any, seed: int) -> dict[int, float]:
    """The gap of a model's first layer, by length of text."""
    random = torch.Generator().manual_seed(derive_seed(seed, "texts"))
    found = {}
    for length in LENGTHS:
        tokens = torch.randint(1, VOCABULARY - 1, (TEXTS, length), generator=random)
        with torch.no_grad(), record_attention(model) as record:
            model(tokens)
        found[length] = gap(record.calls[0].weights.double().numpy())
    return found


def gap(weights: Float64[np.ndarray, "b h q k"]) -> float:
    """The mean over queries of ln n less the entropy, in nats; n are the keys that a query may look at."""
    logs = np.log(np.where(weights > 0, weights, 1))
    entropy = -(weights * logs).sum(-1)
    return float((np.log((weights > 0).sum(-1)) - entropy).mean())


def expected(width: int, kind: str) -> float:
    """Half the variance of logits over many keys."""
    return KINDS[kind] * (DEVIATION**2 * width) ** 2 / 2


def _words(found: Mapping[str, Mapping[int, Mapping[int, list[float]]]]) -> tuple[str, ...]:
    longest = max(LENGTHS)
    words = []
    for width in found["BERT"][longest]:
        if width in TOLD:
            gaps = " and ".join(f"{over_seeds(found['BERT'][n][width], 4)} with {n} tokens" for n in LENGTHS)
            words.append(f"BERT {width} wide has a gap of {gaps}; s²/2 says {expected(width, 'BERT'):.4f}")
    for kind, by_length in found.items():
        means = {width: float(np.mean(of)) for width, of in by_length[longest].items()}
        slope = float(np.polyfit(np.log(list(means)), np.log(list(means.values())), 1)[0])
        words.append(f"{kind}'s gap at {longest} tokens grows with the width to the power of {slope:.2f}; s²/2 has 2")
    return (
        *words,
        "this shows that an untrained model attends nearly everywhere alike, and that how nearly depends on its width: "
        "a twin to compare with must be as wide",
        "it can't show where training begins to matter, nor what deeper layers do, which read what the first wrote",
    )


def _draw(part: "SubFigure", finding: Finding) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    panel = part.subplots()
    gaps = finding.facts["gaps"]
    for (kind, by_length), colour in zip(gaps.items(), COLOURS, strict=False):
        widths = [int(width) for width in next(iter(by_length.values()))]
        panel.plot(widths, [expected(width, kind) for width in widths], color=colour, linewidth=1.2, linestyle="--")
        for (length, by_width), marker in zip(by_length.items(), "os", strict=False):
            shift = 0.985 if marker == "o" else 1.015
            values = [mean_interval(of) for of in by_width.values()]
            ends = [interval or (mean, mean) for mean, interval in values]
            panel.errorbar(
                [width * shift for width in widths],
                [mean for mean, _ in values],
                yerr=np.abs([[mean - low, high - mean] for (mean, _), (low, high) in zip(values, ends, strict=True)]).T,
                fmt=marker,
                color=colour,
                markersize=5,
                markerfacecolor=colour if marker == "s" else "white",
                capsize=2.5,
                linewidth=1,
                label=f"{kind}, {length} tokens",
            )
    panel.plot([], [], color=PAPER, linewidth=1.2, linestyle="--", label="s²/2 (BERT: two thirds of it)")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(widths)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    panel.set_xlabel("width", fontsize=9)
    panel.set_ylabel("ln n - H in the first layer, nats", fontsize=9)
    panel.set_title("Hugging Face's own random weights, head width 64", fontsize=9, color=INK, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False, loc="lower right")


STUDY = Study(
    "How far from uniform is attention before training?",
    run,
    in_parts(_draw, (6.6, 4.6)),
    lambda _: "random models",
    ("seeds",),
    "nats; means over seeds with 95% intervals; s²/2 is the gap with many keys",
)
