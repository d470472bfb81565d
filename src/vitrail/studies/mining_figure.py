"""The figure of ``mining``: the loss, how far apart embeddings are, and what came of it, a colour for each way."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

COLOUR: Mapping[str, str] = {
    "semi-hard": COLOURS[2],
    "random": COLOURS[1],
    "hard": COLOURS[3],
    "hardest": COLOURS[4],
}
SMOOTHED = 5
"""Steps whose mean loss is drawn."""


def draw(part: "SubFigure", finding: Finding) -> None:
    """Three panels."""
    ways, margin = finding.facts["ways"], finding.facts["margin"]
    loss, distance, val = part.subplots(1, 3, width_ratios=(4, 4, 3))
    for way, one in ways.items():
        for run in one["runs"]:
            losses = run["loss"]
            width = min(SMOOTHED, len(losses))
            means = np.convolve(losses, np.ones(width) / width, "valid")
            loss.plot(range(width, len(losses) + 1), means, color=COLOUR[way], linewidth=1)
            distance.plot(run["step"], run["distance"], color=COLOUR[way], linewidth=1)
        loss.plot([], [], color=COLOUR[way], linewidth=2, label=way)
    for panel in (loss, distance):
        panel.set_xlabel("step of training", fontsize=8.5)
        panel.set_xlim(0, finding.facts["steps"])
    loss.axhline(margin, color=PAPER, linewidth=1, linestyle="--", label="the margin")
    loss.set_ylim(0, None)
    loss.set_ylabel("loss, of its own triplets", fontsize=8.5)
    loss.legend(fontsize=7.5, frameon=False, loc="lower left", ncols=2)
    _plain(loss, f"A line a training, {finding.facts['seeds']} of each way")
    distance.set_yscale("log")
    distance.axhline(margin / 100, color=PAPER, linewidth=1, linestyle="--")
    distance.annotate("a hundredth of the margin", (1, margin / 100), (-2, 3), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", fontsize=7.5, color=PAPER)  # fmt: skip
    distance.set_ylabel("mean squared distance of two embeddings", fontsize=8.5)
    _plain(distance, "How far apart two images are")
    _vals(val, ways)


def _vals(panel: "Panel", ways: Mapping[str, Any]) -> None:
    """With 95% intervals over test people and seeds."""
    rates = list(next(iter(ways.values()))["val_at_far"])
    for place, (way, one) in enumerate(ways.items()):
        for rate, marker, shift in zip(rates, "os", (-0.12, 0.12), strict=True):
            at = one["val_at_far"][rate]
            low, high = at["interval"]
            panel.errorbar(
                place + shift,
                100 * at["value"],
                [[100 * (at["value"] - low)], [100 * (high - at["value"])]],
                fmt=marker,
                color=COLOUR[way],
                markersize=5,
                capsize=2.5,
                linewidth=1.2,
                markerfacecolor=COLOUR[way] if marker == "o" else "white",
            )
    for rate, marker, fill in zip(rates, "os", (INK, "white"), strict=True):
        panel.plot([], [], marker, color=INK, markerfacecolor=fill, markersize=5, label=f"FAR {rate}")
    panel.set_xticks(range(len(ways)), list(ways))
    panel.set_xlim(-0.5, len(ways) - 0.5)
    panel.set_ylim(0, None)
    panel.yaxis.set_major_formatter("{x:g}%")
    panel.set_ylabel("VAL on people that training never saw", fontsize=8.5)
    panel.legend(fontsize=7.5, frameon=False, loc="upper right")
    _plain(panel, "What came of it")


def _plain(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
