"""The figure of ``sentence-order``: maps by layer for each change, hidden states, embeddings, and heads one by one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

WAYS = {
    "content": ("by content: beside the same token", COLOURS[0]),
    "position": ("by position: beside the same place", COLOURS[1]),
    "chance": ("beside any token", PAPER),
}
HEADS = "words reversed"


def draw(part: "SubFigure", finding: Finding) -> None:
    """Maps above; states, embeddings and heads below."""
    facts = finding.facts
    trained, untrained = facts["models"]["trained"], facts["models"]["untrained"]
    above, below = part.subplots(2, 3)
    highest = max(max(of["maps"][way]["high"]) for of in trained.values() for way in WAYS)
    for panel, change in zip(above, trained, strict=True):
        for way, (name, colour) in WAYS.items():
            _line(panel, trained[change]["maps"][way], name, colour)
            panel.plot(untrained[change]["maps"][way]["value"], color=colour, linewidth=1.2, linestyle="--")
        panel.set_ylim(0, 1.05 * highest)
        _finish(panel, f"Maps, {change}", "divergence, nats", facts["pairs"])
    above[0].plot([], [], color=INK, linewidth=1.2, linestyle="--", label="untrained twins")
    handles, _ = above[0].get_legend_handles_labels()
    part.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5, frameon=False)
    states, embedding, heads = below
    for way, (name, colour) in WAYS.items():
        _line(states, trained[HEADS]["states"][way], name, colour)
        states.plot(untrained[HEADS]["states"][way]["value"], color=colour, linewidth=1.2, linestyle="--")
    _finish(states, f"Hidden states, {HEADS}", "cosine", 0)
    for change, colour in zip(trained, COLOURS[2:], strict=False):
        _line(embedding, trained[change]["embedding"], change, colour)
        embedding.plot(untrained[change]["embedding"]["value"], color=colour, linewidth=1.2, linestyle="--")
    _line(embedding, facts["another pair"]["trained"], "another two sentences", PAPER)
    embedding.plot(facts["another pair"]["untrained"]["value"], color=PAPER, linewidth=1.2, linestyle="--")
    embedding.legend(fontsize=8, frameon=False)
    _finish(embedding, "Mean over all tokens, beside the usual order", "cosine", 0)
    for panel in (states, embedding):
        panel.set_ylim(min(0.0, panel.get_ylim()[0]), 1.03)
    _heads(heads, np.array(facts["heads"]["trained"]))


def _line(panel: "Panel", of: dict[str, Any], name: str, colour: str) -> None:
    layers = range(len(of["value"]))
    panel.fill_between(layers, of["low"], of["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(layers, of["value"], color=colour, linewidth=1.8, marker="o", markersize=3.5, label=name)


def _finish(panel: "Panel", title: str, y: str, layers: int) -> None:
    """``layers`` is 0 where the first figure is of what enters the first layer."""
    count = len(panel.lines[0].get_xdata())  # type: ignore[arg-type]
    panel.set_xticks(range(count), [str(place) for place in range(count)] if layers else
                     ["entry", *map(str, range(count - 1))])  # fmt: skip
    panel.set_xlabel("layer" if layers else "after layer", fontsize=8.5)
    panel.set_ylabel(y, fontsize=8.5)
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _heads(panel: "Panel", towards: np.ndarray) -> None:
    """Every head: nearer by content is blue, nearer by position orange."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("ways", [COLOURS[1], "white", COLOURS[0]])
    image = panel.imshow(towards, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    panel.set_xticks(range(towards.shape[1]))
    panel.set_yticks(range(towards.shape[0]))
    panel.set_xlabel("head", fontsize=8.5)
    panel.set_ylabel("layer", fontsize=8.5)
    panel.set_title(f"Trained heads, {HEADS}", fontsize=9, color=INK, loc="left")
    panel.tick_params(labelsize=8, length=0)
    panel.spines[:].set_visible(False)
    bar = panel.figure.colorbar(image, ax=panel, ticks=[-1, 0, 1], shrink=0.9)
    bar.ax.set_yticklabels(["goes with\nplaces", "neither", "goes with\nwords"], fontsize=7)
    bar.outline.set_visible(False)
