"""The figure of ``causal-bidirectional``: six scores by layer, each model beside its untrained twin."""

from typing import TYPE_CHECKING, Any

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

TITLES = {
    "entropy": ("Entropy", "share of uniform attention's"),
    "distance": ("Distance", "share of uniform attention's"),
    "first": ("On the first token", "share of attention"),
    "previous": ("On the token before", "share of attention"),
    "self": ("On the token itself", "share of attention"),
    "next": ("On the token after", "share of attention"),
}


def draw(part: "SubFigure", finding: Finding) -> None:
    """A panel a score, along the layers."""
    models = finding.facts["models"]
    deepest = max(len(of["entropy"]["trained"]["value"]) for of in models.values())
    panels = part.subplots(2, 3, sharex=True).flat
    for panel, (name, (title, unit)) in zip(panels, TITLES.items(), strict=True):
        for (model, of), colour in zip(models.items(), COLOURS, strict=False):
            _lines(panel, of[name], model, colour)
        panel.set_xticks(range(deepest))
        panel.set_ylim(0, None)
        panel.set_ylabel(unit, fontsize=8.5)
        panel.set_title(title, fontsize=9, color=INK, loc="left")
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.25, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        if name in ("previous", "self", "next"):
            panel.set_xlabel("layer", fontsize=8.5)
    for name in ("entropy", "distance"):
        panel = part.axes[list(TITLES).index(name)]
        panel.axhline(1, color=PAPER, linewidth=0.8, linestyle=":")
    first = part.axes[0]
    first.plot([], [], color=PAPER, linewidth=1.2, linestyle="--", label="its untrained twin")
    handles, labels = first.get_legend_handles_labels()
    part.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8.5, frameon=False)


def _lines(panel: "Panel", of: dict[str, Any], model: str, colour: str) -> None:
    trained, untrained = of["trained"], of["untrained"]
    layers = range(len(trained["value"]))
    panel.fill_between(layers, trained["low"], trained["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(layers, trained["value"], color=colour, linewidth=2, marker="o", markersize=4, label=model)
    if len(trained["seeds"]) > 1:
        for seed in trained["seeds"]:
            panel.plot(layers, seed, color=colour, linewidth=0, marker="_", markersize=7, alpha=0.7)
    panel.plot(layers, untrained["value"], color=colour, linewidth=1.2, linestyle="--")
