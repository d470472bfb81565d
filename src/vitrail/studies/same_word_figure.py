"""The figure of ``same-word``: the course's pair, pairs of one sense and of two, and the gap beside chance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

WORD, CONTROL = "play", "the"


def draw(part: "SubFigure", finding: Finding) -> None:
    """Three panels, along the layers."""
    facts = finding.facts
    trained, twins = facts["trained"], facts["untrained"]
    pair, senses, gaps = part.subplots(1, 3)
    layers = range(len(trained[WORD]["gap"]))
    others = [word for word in trained["pair"] if word != WORD]
    for word, colour in zip(others, COLOURS[1:], strict=False):
        pair.plot(layers, trained["pair"][word], color=colour, linewidth=1.2, label=word)
    pair.plot(layers, trained["pair"][WORD], color=COLOURS[0], linewidth=2.4, marker="o", markersize=4, label=WORD)
    pair.plot(
        layers, _twins(twins, "pair", WORD), color=PAPER, linewidth=1.4, linestyle="--", label=f"{WORD}, untrained"
    )
    _finish(pair, layers, "The course's two sentences", "cosine")
    pair.legend(fontsize=7.5, frameon=False, ncols=2, loc="lower left")

    senses.plot(
        layers, trained[WORD]["same"], color=COLOURS[0], linewidth=2, marker="o", markersize=4, label="same sense"
    )
    senses.plot(
        layers, trained[WORD]["across"], color=COLOURS[1], linewidth=2, marker="o", markersize=4, label="two senses"
    )
    for name, colour in (("same", COLOURS[0]), ("across", COLOURS[1])):
        senses.plot(layers, _twins(twins, WORD, name), color=colour, linewidth=1.2, linestyle="--")
    senses.plot([], [], color=PAPER, linewidth=1.2, linestyle="--", label="untrained")
    count = len(facts["sentences"]["game"])
    _finish(senses, layers, f"“{WORD}” in {count} sentences of each sense", "mean cosine of pairs")
    senses.legend(fontsize=7.5, frameon=False, loc="lower left")
    low = min(pair.get_ylim()[0], senses.get_ylim()[0])
    for panel in (pair, senses):
        panel.set_ylim(min(low, 0.0), 1.03)

    for word, colour in ((WORD, COLOURS[0]), (CONTROL, COLOURS[1])):
        of: Mapping[str, Any] = trained[word]
        gaps.fill_between(layers, of["low"], of["high"], color=colour, alpha=0.15, linewidth=0)
        gaps.plot(layers, of["gap"], color=colour, linewidth=2, marker="o", markersize=4, label=f"{word}")
    gaps.plot(
        layers, _twins(twins, WORD, "gap"), color=PAPER, linewidth=1.4, linestyle="--", label=f"{WORD}, untrained"
    )
    gaps.axhline(0, color=PAPER, linewidth=0.6)
    gaps.fill_between([], [], [], color=PAPER, alpha=0.25, linewidth=0, label="95% by chance")
    _finish(gaps, layers, "Same sense less two senses", "gap of cosines")
    gaps.legend(fontsize=7.5, frameon=False, loc="center right", bbox_to_anchor=(1, 0.55))


def _twins(twins: list[Mapping[str, Any]], *path: str) -> list[float]:
    """The mean over twins."""
    return [float(value) for value in np.mean([twin[path[0]][path[1]] for twin in twins], axis=0)]


def _finish(panel: "Panel", layers: range, title: str, y: str) -> None:
    panel.set_xticks(layers)
    panel.set_xticklabels(["entry", *map(str, layers[1:])])
    panel.set_xlabel("after layer", fontsize=8.5)
    panel.set_ylabel(y, fontsize=8.5)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
