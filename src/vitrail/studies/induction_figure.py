"""The figure of ``induction``: every head's score, the loss on the way, and two heads' maps on one block."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

TWO, ONE = COLOURS[0], COLOURS[1]
ENOUGH = 0.8


def draw(part: "SubFigure", finding: Finding) -> None:
    """Scores and losses above, maps below."""
    facts = finding.facts
    (scores, losses), (induction, previous) = part.subplots(2, 2, height_ratios=(3, 4))
    _scores(scores, facts)
    _losses(losses, facts)
    for panel, name in ((induction, "induction"), (previous, "previous token")):
        _map(panel, facts, name)


def _scores(panel: "Panel", facts: Mapping[str, Any]) -> None:
    """A dot a head and seed, by the layer it is in."""
    columns = [("1 layer", "1", 0, ONE), ("2 layers:\nthe first", "2", 0, TWO), ("2 layers:\nthe second", "2", 1, TWO)]
    for place, (_, depth, layer, colour) in enumerate(columns):
        models = facts["models"][depth]
        for number, model in enumerate(models):
            values = model["induction"][layer]
            middle = place + 0.25 * (number - (len(models) - 1) / 2)
            panel.scatter(middle + np.linspace(-0.07, 0.07, len(values)), values, s=20, color=colour, linewidths=0)
    panel.axhline(facts["uniform"], color=PAPER, linewidth=1, linestyle=":")
    panel.annotate("attending everywhere alike", (2.47, facts["uniform"]), (0, 3), textcoords="offset points",
                   ha="right", fontsize=7.5, color=PAPER)  # fmt: skip
    panel.axhline(ENOUGH, color=PAPER, linewidth=1, linestyle="--")
    panel.set(xlim=(-0.5, 2.5), ylim=(-0.02, 1), xticks=range(3))
    panel.set_xticklabels([name for name, *_ in columns])
    panel.set_ylabel("induction score", fontsize=8.5)
    _plain(panel, f"Every head of {len(facts['models']['2'])} models of each depth, on fresh blocks")


def _losses(panel: "Panel", facts: Mapping[str, Any]) -> None:
    for depth, colour, name in (("1", ONE, "1 layer"), ("2", TWO, "2 layers")):
        curves = [model["curve"] for model in facts["models"][depth]]
        for curve in curves:
            panel.plot(curve["step"], curve["loss"], color=colour, linewidth=0.8, alpha=0.45)
        panel.plot(curves[0]["step"], _mean(curves, "loss"), color=colour, linewidth=2, label=name)
    known = float(np.log(facts["block"]))
    panel.axhline(known, color=PAPER, linewidth=1, linestyle=":")
    panel.annotate("naming any token of the block", (1, known), (0, 3), xycoords=("axes fraction", "data"), ha="right",
                   textcoords="offset points", fontsize=7.5, color=PAPER)  # fmt: skip
    panel.set_xlabel("step", fontsize=8.5)
    panel.set_ylabel("loss, nats a token", fontsize=8.5)
    panel.set_ylim(0, None)
    panel.set_xlim(0, None)
    panel.legend(fontsize=8, frameon=False)
    _plain(panel, "What comes next, the second time")


def _map(panel: "Panel", facts: Mapping[str, Any], name: str) -> None:
    from matplotlib.colors import PowerNorm

    shown = facts["shown"][name]
    weights = np.array([[int(weight) for weight in row.split()] for row in shown["percent"]])
    image = panel.imshow(weights, cmap="Blues", norm=PowerNorm(0.5, 0, 100), interpolation="nearest")
    block = facts["block"]
    for edge in (panel.axhline, panel.axvline):
        edge(block - 0.5, color=PAPER, linewidth=0.8, linestyle=":")
    panel.set_xlabel("key: where it looks", fontsize=8.5)
    panel.set_ylabel("query: where it stands", fontsize=8.5)
    panel.set_xticks([0, block, 2 * block - 1])
    panel.set_yticks([0, block, 2 * block - 1])
    colours = panel.figure.colorbar(image, ax=panel, ticks=[0, 5, 20, 50, 100], shrink=0.8, format="%d%%")
    colours.outline.set_visible(False)
    colours.ax.tick_params(labelsize=7)
    _plain(panel, f"{name[0].upper()}{name[1:]}: layer {shown['layer']}, head {shown['head']} ({shown['score']:.2f})")
    panel.grid(False)


def _mean(curves: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(np.mean(values)) for values in zip(*(curve[name] for curve in curves), strict=True)]


def _plain(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
