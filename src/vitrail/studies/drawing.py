"""The figure of a study: the paper's curve above, ours below it; a panel for each set of data; or a drawing of its own.

The paper's figures are of another data set and of networks trained on a hundred million faces: their height says
nothing beside ours, their shape does. So each has its own scale upwards.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from vitrail.studies.paper import LABEL
from vitrail.studies.terms import Axes, Curve, Drawing, Finding, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure, SubFigure

COLOURS = ("#1f77b4", "#e07b00", "#2a9d5c", "#8e5bb5", "#c0392b", "#555555")
PAPER, INK = "#777777", "#222222"
POINTS = 20
"""Curves of more points than this have no markers, and a band instead of bars."""


def figure_png(study: Study, found: Mapping[str, Finding]) -> bytes:
    """The figure as a PNG.

    Args:
        study: says how, and has the paper's curves.
        found: what we found on each set of data, or model, by its name.
    """
    figure = study.figure
    drawn = _of_curves(study, figure, found) if isinstance(figure, Axes) else figure(study.question, found)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def in_parts(draw: "Callable[[SubFigure, Finding], None]", size: tuple[float, float]) -> Drawing:
    """A drawing with a part for each finding, one below the other.

    Args:
        draw: fills such a part.
        size: of a part, in inches.
    """

    def drawing(question: str, found: Mapping[str, Finding]) -> "Figure":
        from matplotlib.figure import Figure

        figure = Figure(figsize=(size[0], size[1] * len(found)), dpi=120, layout="constrained")
        for part, (name, finding) in zip(figure.subfigures(len(found), squeeze=False).flat, found.items(), strict=True):
            draw(part, finding)
            if len(found) > 1:
                part.suptitle(name, fontsize=9, color=INK)
        figure.suptitle(question, fontsize=11, color=INK)
        return figure

    return drawing


def _of_curves(study: Study, axes: Axes, found: Mapping[str, Finding]) -> "Figure":
    from matplotlib.figure import Figure

    if axes.panels:
        groups = {name: list(finding.curves) for name, finding in found.items()}
        figure = Figure(figsize=(max(6.6, 4.8 * len(groups)), 4.5), dpi=120, layout="constrained")
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    else:
        groups = {LABEL: list(study.paper), "ours": [curve for finding in found.values() for curve in finding.curves]}
        figure = Figure(figsize=(6.6, 5.6), dpi=120, layout="constrained")
        panels = figure.subplots(2, 1, sharex=axes.shared, height_ratios=(2, 3))
    for panel, (title, curves) in zip(panels, groups.items(), strict=True):
        _draw(panel, axes, curves, PAPER if title == LABEL else None)
        panel.set_title(title, fontsize=9, color=INK, loc="left")
        if axes.shared:
            panel.label_outer()
    figure.suptitle(study.question, fontsize=11, color=INK)
    return figure


def _draw(panel: "Panel", axes: Axes, curves: Sequence[Curve], colour: str | None) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    for curve, own in zip(curves, cycle(COLOURS), strict=False):
        drawn = colour or own
        few = len(curve.x) <= POINTS
        panel.plot(
            curve.x,
            curve.y,
            color=drawn,
            marker="o" if few else None,
            markersize=4,
            linewidth=1.5,
            label=curve.label,
        )
        if curve.low and few:
            down = [max(0.0, y - low) for y, low in zip(curve.y, curve.low, strict=True)]
            up = [max(0.0, high - y) for y, high in zip(curve.y, curve.high, strict=True)]
            panel.errorbar(curve.x, curve.y, yerr=[down, up], fmt="none", ecolor=drawn, elinewidth=1, capsize=2.5)
        elif curve.low:
            panel.fill_between(curve.x, curve.low, curve.high, color=drawn, alpha=0.2, linewidth=0)
    if axes.log:
        panel.set_xscale("log")
    if axes.ticks:
        panel.set_xticks(axes.ticks)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_ylim(0, 1.06 * panel.get_ylim()[1])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g}%"))
    panel.set_xlabel(axes.x)
    panel.set_ylabel(axes.y)
    panel.grid(alpha=0.25, linewidth=0.6)
    if axes.panels:
        panel.legend(fontsize=8, frameon=False, loc="upper left")
    elif colour is None:
        # Above the panel, where no curve is.
        panel.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=min(2, len(curves)))
