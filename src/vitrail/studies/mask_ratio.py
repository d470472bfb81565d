"""How much should be hidden? (He et al. 2021, figure 5)

A masked autoencoder is trained for each share of hidden patches, all for the same number of steps. Then three things
are asked: how far its guess of hidden patches is from the truth (beside the mean image and an interpolation of what is
visible, which learn nothing), what a linear map reads from its encoder, and what the encoder is worth as a start of
supervised training. The paper asks the last two of ViT-L after 800 epochs of ImageNet-1k.

Where we differ: each row has the same number of steps, not the same time; the less is hidden, the longer is a step.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitrail.nn.randomness import derive_seed
from vitrail.recipes.events import Report
from vitrail.recipes.fills import compare
from vitrail.studies.drawing import COLOURS, INK, PAPER, in_parts
from vitrail.studies.masked import (
    USUAL,
    Pictures,
    accuracy,
    bounded,
    gain,
    linear_accuracy,
    open_pictures,
    pretrained,
    tuned_accuracies,
)
from vitrail.studies.networks import short_name
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.vision import ViT

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

DATA = "digits"
RATIOS = (0.25, 0.5, 0.75, 0.9)
FILLED = 300
"""Test images whose hidden patches are guessed: interpolating takes some 15 ms each."""
MEASURES = {"linear": "a linear map", "tuned": "fine-tuning"}
PAPER_BEST, PAPER_LOWEST = {"linear": 0.735, "tuned": 0.849}, 0.546
"""The paper's own, in section 4.1: linear 73.5% with 75% hidden, 54.6% with the least; fine-tuned 84.9% with 75%, about
as much from 40% to 80%."""
PAPER_SCRATCH = 0.825
"""The paper's, from scratch: less than fine-tuned with any share."""

Found = dict[str, list[float]]
"""By measure, a figure a seed."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train with each share hidden, with each seed, and ask each network the same."""
    seeds = recipe.repetitions(2)
    pictures = open_pictures(recipe, DATA, report)
    found: dict[float, Found] = {ratio: {} for ratio in RATIOS}
    beside: Found = {"untrained": [], "scratch": []}
    pixels = linear_accuracy(None, pictures, recipe, recipe.seed)
    for seed in seeds:
        for ratio in RATIOS:
            figures = _asked(recipe, pictures, ratio, seed, report, beside)
            for name, value in figures.items():
                found[ratio].setdefault(name, []).append(value)
    images, name = len(pictures.test), short_name(pictures.train.name)
    return Finding(
        ("hidden", "error", "mean image", "bilinear", "linear", "fine-tuned", "linear, paper", "fine-tuned, paper"),
        (
            *(
                (
                    f"{ratio:.0%} ({of['hidden'][0]:.0f} patches)",
                    *(over_seeds(of[fill], 3) for fill in ("model", "mean_image", "bilinear")),
                    *(accuracy(of[measure], images).cell() for measure in MEASURES),
                    *(f"{100 * PAPER_BEST[measure]:.1f}" if ratio == USUAL else "-" for measure in MEASURES),
                )
                for ratio, of in found.items()
            ),
            ("untrained encoder", "-", "-", "-", accuracy(beside["untrained"], images).cell(), "-", "-", "-"),
            (
                "from scratch",
                *("-",) * 4,
                accuracy(beside["scratch"], images).cell(),
                "-",
                f"{100 * PAPER_SCRATCH:.1f}",
            ),
            ("raw pixels", "-", "-", "-", accuracy([pixels], images).cell(), "-", "-", "-"),
            ("the paper: the least", *("-",) * 5, f"{100 * PAPER_LOWEST:.1f}", "-"),
        ),
        _words(found, beside, images, name),
        (),
        {
            "data": name,
            "seeds": len(seeds),
            **pictures.facts,
            "settings": {f"{ratio:g}": of for ratio, of in found.items()},
            "beside": {**beside, "pixels": [pixels]},
            "intervals": {
                measure: {f"{ratio:g}": accuracy(of[measure], images).figures() for ratio, of in found.items()}
                for measure in MEASURES
            },
        },
    )


def _asked(
    recipe: StudyRecipe, pictures: Pictures, ratio: float, seed: int, report: Report, beside: Found
) -> dict[str, float]:
    """All figures of one network; with the usual share those that stand beside all of them are taken, too."""
    trained = pretrained(recipe, pictures, seed, report, ratio)
    model = trained.autoencoder()
    errors = compare(model, bounded(pictures.test, FILLED), pictures.train, seed, recipe.device, "float32")
    linear = linear_accuracy(trained.encoder, pictures, recipe, seed)
    usual = ratio == USUAL
    tuned = tuned_accuracies(trained, pictures, recipe, seed, report, scratch=usual)
    if usual:
        torch.manual_seed(derive_seed(seed, "untrained"))
        beside["untrained"].append(linear_accuracy(ViT(trained.encoder.config), pictures, recipe, seed))
        beside["scratch"].append(tuned[1])
    return {**errors, "linear": linear, "tuned": tuned[0], "hidden": model.config.patches - model.keep}


def _words(found: Mapping[float, Found], beside: Found, images: int, name: str) -> tuple[str, ...]:
    words = []
    shares = []
    for ratio, of in found.items():
        model, best = (float(np.mean(one)) for one in (of["model"], np.minimum(of["mean_image"], of["bilinear"])))
        shares.append(f"{abs(1 - model / best):.0%} {'below' if model < best else 'above'} with {ratio:.0%} hidden")
    words.append(f"the error on hidden patches beside the better fill's: {', '.join(shares)}")
    for measure, told in MEASURES.items():
        others = [
            f"{gain(found[USUAL][measure], of[measure], images).points()} beside {ratio:.0%}"
            for ratio, of in found.items()
            if ratio != USUAL
        ]
        words.append(f"{told}, {USUAL:.0%} hidden: {', '.join(others)}")
    linear = gain(found[USUAL]["linear"], beside["untrained"], images)
    tuned = gain(found[USUAL]["tuned"], beside["scratch"], images)
    words.append(
        f"what hiding {USUAL:.0%} adds: to a linear map {linear.points()} beside the untrained encoder, "
        f"to fine-tuning {tuned.points()} beside the same net from scratch"
    )
    furthest = [_best(found, measure, images) for measure in MEASURES]
    guessed = np.mean(found[USUAL]["model"]) < np.mean(found[USUAL]["mean_image"])
    return (
        *words,
        f"this shows that on {name} a linear map reads most from encoders trained with {furthest[0]}, and that "
        f"fine-tuning comes furthest from {furthest[1]}"
        if guessed
        else "this shows nothing: the trainings were too short to guess what is hidden",
        "it can't show what longer training or a larger network would make of each share, nor where the best one is "
        f"between the {len(found)} that were tried; trainings of each: {len(beside['scratch'])}",
    )


def _best(found: Mapping[float, Found], measure: str, images: int) -> str:
    """The share with the highest accuracy, and those that can't be told from it."""
    means = {ratio: float(np.mean(of[measure])) for ratio, of in found.items()}
    top = max(means, key=means.__getitem__)
    near = [
        f"{ratio:.0%}"
        for ratio, of in found.items()
        if ratio != top and not gain(found[top][measure], of[measure], images).told
    ]
    return f"{top:.0%} hidden" + (f" ({' and '.join(near)}: too small to tell)" if near else "")


def _draw(part: "SubFigure", finding: Finding) -> None:
    """Error, linear and fine-tuned accuracy, each over the share that is hidden."""
    facts = finding.facts
    settings: Mapping[str, Mapping[str, Sequence[float]]] = facts["settings"]
    ratios = [float(ratio) for ratio in settings]
    errors, linear, tuned = part.subplots(1, 3)
    for fill, label, colour in (
        ("mean_image", "the mean image", COLOURS[1]),
        ("bilinear", "interpolated", COLOURS[2]),
        ("model", "masked autoencoder", COLOURS[0]),
    ):
        values = [float(np.mean(of[fill])) for of in settings.values()]
        errors.plot(ratios, values, color=colour, marker="o", markersize=4, linewidth=1.6, label=label)
    errors.set_ylabel("squared error of hidden pixels", fontsize=8.5)
    errors.set_ylim(0, None)
    errors.legend(fontsize=7.5, frameon=False)
    _finish(errors, ratios, "Guessing what is hidden")
    for panel, measure, title in ((linear, "linear", "A linear map on the encoder"), (tuned, "tuned", "Fine-tuned")):
        of = list(facts["intervals"][measure].values())
        values = [one["value"] for one in of]
        ends = np.abs(
            np.array([[v - one["interval"][0], one["interval"][1] - v] for v, one in zip(values, of, strict=True)])
        )
        panel.errorbar(
            ratios, values, yerr=ends.T, color=COLOURS[0], marker="o", markersize=4, linewidth=1.6, capsize=2.5,
            elinewidth=1,
        )  # fmt: skip
        _finish(panel, ratios, title)
    for name, label, panel in (
        ("untrained", "untrained encoder", linear),
        ("pixels", "raw pixels", linear),
        ("scratch", "from scratch", tuned),
    ):
        _level(panel, float(np.mean(facts["beside"][name])), label)
    for panel, told in (
        (linear, f"the paper: {PAPER_BEST['linear']:.1%} at 75%, {PAPER_LOWEST:.1%} with the least"),
        (tuned, f"the paper: {PAPER_BEST['tuned']:.1%} at 75%, {PAPER_SCRATCH:.1%} from scratch"),
    ):
        _percent(panel)
        panel.text(0.5, -0.24, told, transform=panel.transAxes, ha="center", fontsize=7.5, color=PAPER)


def _level(panel: "Panel", value: float, label: str) -> None:
    panel.axhline(value, color=PAPER, linewidth=1.2, linestyle="--")
    panel.annotate(label, (0.02, value), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                   fontsize=7.5, color=PAPER)  # fmt: skip


def _percent(panel: "Panel") -> None:
    from matplotlib.ticker import PercentFormatter

    low, high = panel.get_ylim()
    room = 0.12 * (high - low)
    panel.set_ylim(low - room, min(high + room, 1.0))
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_ylabel("test accuracy", fontsize=8.5)


def _finish(panel: "Panel", ratios: Sequence[float], title: str) -> None:
    from matplotlib.ticker import PercentFormatter

    panel.set_xticks(ratios)
    panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_xlim(-0.12, 1)
    panel.set_xlabel("patches hidden", fontsize=8.5)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def about(recipe: StudyRecipe) -> str:
    """The data that it is about."""
    return short_name(recipe.data or DATA)


STUDY = Study(
    "How much should be hidden?",
    run,
    in_parts(_draw, (10.5, 3.7)),
    about,
    ("data", "epochs", "seeds", "device", "precision"),
    "error: of hidden pixels, in squared standard deviations, with 95% intervals over seeds; accuracies in percent, "
    "± standard error over test images and seeds; differences with 95% intervals",
)
