"""The figure of ``trained-untrained``: entropy and distance by layer, and below them each role's best head."""

from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

NAMES = {
    "trained": "trained",
    "library": "untrained, as its library draws it",
    "pytorch": "untrained, as PyTorch does",
}
PAIRS = {
    "trained and library": ("trained and library", COLOURS[1], "-"),
    "trained and pytorch": ("trained and PyTorch", COLOURS[2], "-"),
    "library and pytorch": ("library and PyTorch", COLOURS[3], "-"),
    "two of library": ("two of library", COLOURS[1], "--"),
    "two of pytorch": ("two of PyTorch", COLOURS[2], "--"),
}


def draw(part: "SubFigure", finding: Finding) -> None:
    """Two panels along the layers, and three maps of roles."""
    facts = finding.facts
    above, below = part.subfigures(2, 1, squeeze=False, height_ratios=(6, 5)).flat
    entropy, apart = above.subplots(1, 2)
    for (kind, name), colour in zip(NAMES.items(), COLOURS, strict=False):
        _line(entropy, facts["entropy"][kind], name, colour, "-")
    entropy.axhline(1, color=PAPER, linewidth=0.8, linestyle=":")
    entropy.set_ylim(0, 1.05)
    _finish(entropy, "Entropy of attention", "share of uniform attention's")
    for pair, (name, colour, style) in PAIRS.items():
        if pair in facts["apart"]:
            _line(apart, facts["apart"][pair], name, colour, style)
    apart.set_ylim(0, None)
    _finish(apart, "How far apart maps of the same input are", "Jensen-Shannon divergence, nats")
    for panel in (entropy, apart):
        panel.set_xticks(range(len(facts["entropy"]["trained"]["value"])))
    _roles(below, facts["roles"])


def _line(panel: "Panel", of: dict[str, Any], name: str, colour: str, style: str) -> None:
    layers = range(len(of["value"]))
    panel.fill_between(layers, of["low"], of["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(layers, of["value"], color=colour, linewidth=1.8, linestyle=style, marker="o", markersize=3.5,
               label=name)  # fmt: skip


def _finish(panel: "Panel", title: str, y: str) -> None:
    panel.set_xlabel("layer", fontsize=8.5)
    panel.set_ylabel(y, fontsize=8.5)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False)


def _roles(part: "SubFigure", roles: dict[str, dict[str, Any]]) -> None:
    """A map a kind of model: roles down, layers across."""
    panels = part.subplots(1, len(NAMES), sharey=True)
    names = list(roles["trained"])
    for panel, (kind, title) in zip(panels, NAMES.items(), strict=True):
        shares = np.array([[np.nan if value is None else value for value in roles[kind][role]["value"]]
                           for role in names])  # fmt: skip
        image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            panel.text(column, row, f"{share:.2f}".removeprefix("0"), ha="center", va="center", fontsize=7,
                       color="white" if share > 0.6 else INK)  # fmt: skip
        panel.set_yticks(range(len(names)), names)
        panel.set_xticks(range(shares.shape[1]))
        panel.set_xlabel("layer", fontsize=8.5)
        panel.tick_params(labelsize=8, length=0)
        panel.spines[:].set_visible(False)
        panel.set_title(title[0].upper() + title[1:], fontsize=9, color=INK, loc="left")
    panels[0].set_ylabel("each role's best head", fontsize=8.5)
    colours = part.colorbar(image, ax=panels, shrink=0.9, format=lambda share, _: f"{100 * share:g}%")
    colours.outline.set_visible(False)
    colours.ax.tick_params(labelsize=7)
    colours.set_label("share of attention", fontsize=8)
