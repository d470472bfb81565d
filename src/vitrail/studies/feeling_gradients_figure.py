"""The figure of ``feeling-gradients``: what gradients say of each head, what its loss costs, and whether they agree."""

from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

NAMES = {
    "word": "weight x gradient\non the word",
    "all": "weight x gradient\non all tokens",
    "importance": "importance",
}
NAMED = 4
"""Heads whose numbers stand beside their points."""


def draw(part: "SubFigure", finding: Finding) -> None:
    """Two maps of heads above; points and correlations below."""
    facts = finding.facts
    (word, cost), (points, correlations) = part.subplots(2, 2)
    trained, shape = facts["trained"], facts["shape"]
    _map(word, np.reshape(trained["word"]["value"], shape), "Weight x gradient on “happy” and “sad”")
    _map(cost, np.reshape(trained["cost"]["value"], shape), "What taking the head away costs")
    _points(points, trained, shape[1])
    _correlations(correlations, trained["correlations"], [twin["correlations"] for twin in facts["untrained"]])


def _map(panel: "Panel", values: np.ndarray, title: str) -> None:
    """Every head; for the sentence's own feeling is blue, against it orange."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("signed", [COLOURS[1], "white", COLOURS[0]])
    most = float(np.abs(values).max()) or 1.0
    image = panel.imshow(values, cmap=colours, vmin=-most, vmax=most, aspect="auto")
    panel.set_xticks(range(values.shape[1]))
    panel.set_yticks(range(values.shape[0]))
    panel.set_xlabel("head", fontsize=8.5)
    panel.set_ylabel("layer", fontsize=8.5)
    panel.tick_params(labelsize=8, length=0)
    panel.spines[:].set_visible(False)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    bar = panel.figure.colorbar(image, ax=panel, shrink=0.9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)


def _points(panel: "Panel", trained: dict[str, Any], heads: int) -> None:
    """A point a head, with intervals; the ones with the largest gradients are named."""
    word, cost = trained["word"], trained["cost"]
    layers = [place // heads for place in range(len(word["value"]))]
    panel.axhline(0, color=PAPER, linewidth=0.6)
    panel.axvline(0, color=PAPER, linewidth=0.6)
    for low, high, along in ((word, cost, True), (cost, word, False)):
        ends = zip(low["low"], low["high"], high["value"], strict=True)
        for first, last, at in ends:
            panel.plot((first, last) if along else (at, at), (at, at) if along else (first, last), color=PAPER,
                       linewidth=0.6, alpha=0.5)  # fmt: skip
    drawn = panel.scatter(word["value"], cost["value"], c=layers, cmap="viridis", s=18, zorder=3, linewidths=0)
    named = sorted(np.argsort(-np.abs(word["value"]))[:NAMED], key=lambda head: cost["value"][head])
    for place, head in enumerate(named):  # to the right and to the left in turn, so that neighbours are read
        shift, side = ((5, 5), "left") if place % 2 else ((-5, 5), "right")
        panel.annotate("{}.{}".format(*divmod(int(head), heads)), (word["value"][head], cost["value"][head]), shift,
                       textcoords="offset points", fontsize=8, color=INK, ha=side)  # fmt: skip
    panel.set_xlabel("weight x gradient on the word", fontsize=8.5)
    panel.set_ylabel("cost of taking the head away", fontsize=8.5)
    _finish(panel, "Every head of the trained model")
    bar = panel.figure.colorbar(drawn, ax=panel, shrink=0.9, ticks=range(max(layers) + 1), label="layer")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)


def _correlations(panel: "Panel", trained: dict[str, Any], twins: list[dict[str, Any]]) -> None:
    """Rank correlations with their intervals, and those of untrained twins."""
    for place, name in enumerate(NAMES):
        (value,), (low,), (high,) = (trained[name][end] for end in ("value", "low", "high"))
        panel.errorbar(place - 0.12, value, [[value - low], [high - value]], fmt="o", color=COLOURS[0], capsize=3,
                       markersize=6, label="trained" if not place else None)  # fmt: skip
        for number, twin in enumerate(twins):
            (value,), (low,), (high,) = (twin[name][end] for end in ("value", "low", "high"))
            at = place + 0.08 + 0.1 * number
            panel.errorbar(at, value, [[value - low], [high - value]], fmt="o", color=PAPER, capsize=2, markersize=4,
                           linewidth=1, label="untrained twins" if not place and not number else None)  # fmt: skip
    panel.axhline(0, color=PAPER, linewidth=0.6)
    panel.set_xticks(range(len(NAMES)), list(NAMES.values()))
    panel.set_xlim(-0.5, len(NAMES) - 0.5)
    lowest = min(one[name]["low"][0] for one in (trained, *twins) for name in NAMES)
    panel.set_ylim(min(0.0, 1.1 * lowest) - 0.03, 1.05)
    panel.set_ylabel("Spearman's rank correlation", fontsize=8.5)
    _finish(panel, "How well each foretells the cost, over all heads")
    panel.legend(fontsize=8, frameon=False, loc="lower left")


def _finish(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
