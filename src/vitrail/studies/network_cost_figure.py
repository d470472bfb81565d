"""The figure of ``network-cost``: weights, time, and the paper's VAL, each over multiply-adds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.recipes.intervals import Z95
from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

OURS, DESIGN, SCALE = COLOURS[0], COLOURS[3], COLOURS[1]
"""Colours: of the paper's layers, of our design to a budget, of what is there for scale."""
NAMES = {"NN1": (7, 4), "NN2": (7, -9), "NN3": (-7, 5), "NN4": (7, -9), "NNS1": (-7, 5), "NNS2": (8, -3)}
"""Where a name stands beside its point, in points of the page."""
OF_VALS = {**NAMES, "NN1": (7, -9), "NN2": (7, 4)}


def draw(part: "SubFigure", finding: Finding) -> None:
    """Three panels; across all of them multiply-adds grow to the right."""
    networks, batches = finding.facts["networks"], finding.facts["batches"]
    weights, times, vals = part.subplots(1, 3)
    _weights(weights, networks)
    _times(times, networks, batches)
    _vals(vals, networks)
    for panel in (weights, times, vals):
        panel.set_xscale("log")
        panel.set_xlim(1.1e7, 1.1e10)
        panel.set_xticks([2e7, 2e8, 2e9], ["20 M", "200 M", "2 G"])
        panel.set_xticks([], minor=True)
        panel.set_xlabel("multiply-adds of an image", fontsize=8.5)
        panel.grid(alpha=0.25, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)


def _weights(panel: "Panel", networks: Mapping[str, Any]) -> None:
    for name, one in networks.items():
        if one["paper_weights"] and one["paper_multiply_adds"]:
            panel.scatter(one["paper_multiply_adds"], one["paper_weights"], s=95, facecolors="none", edgecolors=PAPER)
        panel.scatter(one["multiply_adds"], one["weights"], s=24, color=_colour(name, one), zorder=3)
        _name(panel, name, one["multiply_adds"], one["weights"])
    panel.set_yscale("log")
    panel.set_ylim(2.5e6, 3e8)
    panel.set_yticks([5e6, 2e7, 1e8], ["5 M", "20 M", "100 M"])
    panel.set_yticks([], minor=True)
    panel.set_ylabel("weights", fontsize=8.5)
    for label, colour in (("the paper's layers", OURS), ("our design to its budget", DESIGN), ("for scale", SCALE)):
        panel.scatter([], [], s=24, color=colour, label=label)
    panel.scatter([], [], s=70, facecolors="none", edgecolors=PAPER, label="as the paper prints it")
    panel.legend(fontsize=7, frameon=False, loc="upper left")
    _title(panel, "As built, and as the paper says")


def _times(panel: "Panel", networks: Mapping[str, Any], batches: list[int]) -> None:
    scale = networks["ResNet-50"]
    for batch, marker in zip(batches, "os", strict=True):
        for name, one in networks.items():
            shares = one["times"][str(batch)]["beside_resnet"]
            x = one["multiply_adds"] * (0.95 if marker == "o" else 1.05)
            fill = "white" if marker == "o" else _colour(name, one)
            panel.scatter(x, np.mean(shares), s=24, marker=marker, facecolor=fill, edgecolor=_colour(name, one))
            if batch == batches[-1]:
                _name(panel, name, x, float(np.mean(shares)))
    ends = np.array([2e7, 5e9])
    panel.plot(ends, ends / scale["multiply_adds"], color=PAPER, linewidth=1, linestyle=":", zorder=0)
    panel.annotate("as its multiply-adds", (1.4e8, 1.4e8 / scale["multiply_adds"]), (4, -10), fontsize=7.5, color=PAPER,
                   textcoords="offset points")  # fmt: skip
    panel.scatter([], [], s=24, marker="o", facecolor="white", edgecolor=INK, label="alone")
    panel.scatter([], [], s=24, marker="s", color=INK, label=f"in a batch of {batches[-1]}")
    panel.legend(fontsize=7, frameon=False, loc="upper left")
    panel.set_yscale("log")
    panel.set_yticks([0.01, 0.1, 1], ["1%", "10%", "100%"])
    panel.set_yticks([], minor=True)
    panel.set_ylabel("time of an image, of ResNet-50's", fontsize=8.5)
    _title(panel, "One core, float32, side by side")


def _vals(panel: "Panel", networks: Mapping[str, Any]) -> None:
    """With 95% intervals from the paper's standard errors."""
    for name, one in networks.items():
        if one["paper_val"] is None:
            continue
        value, error = one["paper_val"]
        x = one["paper_multiply_adds"] or one["multiply_adds"]
        panel.errorbar(x, value, Z95 * error, fmt="o", color=PAPER, markersize=5, capsize=2.5, linewidth=1)
        _name(panel, name, x, value, OF_VALS)
    panel.set_ylim(40, 100)
    panel.set_yticks([40, 60, 80, 100], ["40%", "60%", "80%", "100%"])
    panel.set_ylabel("VAL at FAR 0.001", fontsize=8.5)
    _title(panel, "What it buys (the paper, table 3)")


def _colour(name: str, one: Mapping[str, Any]) -> str:
    return SCALE if name == "ResNet-50" else DESIGN if one["layers"].startswith("ours") else OURS


def _name(panel: "Panel", name: str, x: float, y: float, shifts: Mapping[str, tuple[int, int]] = NAMES) -> None:
    shift = shifts.get(name, (-7, 6))
    panel.annotate(name, (x, y), shift, textcoords="offset points", fontsize=7.5, color=INK,
                   ha="left" if shift[0] > 0 else "right")  # fmt: skip


def _title(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
