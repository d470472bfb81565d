"""Pictures of what a face network has learned: how far apart images of one person are, and of two; and its ROC."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vitrail.faces.statistics import DistanceHistograms
from vitrail.faces.verification import Roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#777777", "#e07b00", "#1f77b4", "#2a9d5c")
SAME, OTHER, INK = "#1f77b4", "#e07b00", "#222222"


def distances_png(
    histograms: Mapping[str, DistanceHistograms], title: str = "", thresholds: Mapping[str, float] | None = None
) -> bytes:
    """How far apart two images are, of one person (blue) and of two (orange); a panel for each network.

    Args:
        histograms: by the network's name.
        title: written above.
        thresholds: by name, drawn as lines into the first panel.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.7 + 1.9 * len(histograms)), dpi=110, layout="constrained")
    panels = figure.subplots(len(histograms), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, (name, counts)) in enumerate(zip(panels, histograms.items(), strict=True)):
        edges = counts.edges.cpu().numpy()
        for values, colour, label in ((counts.same, SAME, "one person"), (counts.other, OTHER, "two people")):
            shares = values.cpu().numpy() / max(1, int(values.sum()))
            axes.stairs(
                shares, edges, fill=True, alpha=0.45, color=colour, label=f"{label}, {int(values.sum()):,} pairs"
            )
        if number == 0:
            _draw_thresholds(axes, thresholds or {})
        axes.set_ylabel("share of pairs")
        axes.set_title(name, fontsize=9, color=INK, loc="left")
        axes.set_yticks([])
        axes.legend(fontsize=7, loc="upper right", frameon=False)
    panels[-1].set_xlabel("squared distance of two embeddings")
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    return _png(figure)


def roc_png(curves: Mapping[str, Roc], title: str = "", lowest: float = 1e-5) -> bytes:
    """VAL over FAR, the latter from ``lowest`` on and in powers of ten.

    Args:
        curves: by name.
        title: written above.
        lowest: FAR at the left edge.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    draw_rocs(figure.add_subplot(), curves, lowest)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    return _png(figure)


def draw_rocs(axes: "Axes", curves: Mapping[str, Roc], lowest: float = 1e-5) -> None:
    """The same into a panel of another figure."""
    fars = torch.logspace(float(torch.tensor(lowest).log10()), 0, 400, dtype=torch.float64)
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        # The best that is reached at no more than each rate.
        vals = curve.val[torch.searchsorted(curve.far, fars, right=True) - 1]
        axes.plot(fars.numpy(), vals.numpy(), color=colour, label=name, linewidth=1.6)
    axes.set_xscale("log")
    axes.set_xlim(lowest, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("FAR: different people accepted")
    axes.set_ylabel("VAL: pairs of one person accepted")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def _draw_thresholds(axes: "Axes", thresholds: Mapping[str, float]) -> None:
    """Lines with their names; each ends below the name of the one to its left, however near they are."""
    for rank, (label, threshold) in enumerate(sorted(thresholds.items(), key=lambda named: named[1])):
        height = 0.97 - 0.09 * rank
        axes.axvline(threshold, ymax=height, color=INK, linewidth=0.8)
        place = axes.get_xaxis_transform()  # x in distances, y in shares of the panel
        axes.text(threshold, height, f" {label}", fontsize=7, color=INK, va="top", transform=place)


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
