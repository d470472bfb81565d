"""Scores by layer: a dot a head, a line through their mean, and a dashed one for what uniform attention would have."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitrail.errors import TraceError
from vitrail.trace import Trace
from vitrail.trace.tables import gather_scores
from vitrail.viewer.figures.about import Told, about, scores_of
from vitrail.viewer.figures.colours import FAINT, INK, QUIET, STREAM_COLOURS
from vitrail.viewer.figures.sheet import HEAD, MARGIN, NARROWEST, Sheet, styled
from vitrail.viewer.figures.tokens import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = 4
ACROSS, DOWN = 2.55, 1.7
"""Width and height of a panel with what stands around it, in inches."""
UNITS: Mapping[str, str] = {
    "entropy": "nats",
    "broadness": "keys",
    "distance": "positions",
    "pixels": "px",
    "importance": "gradient",
    "ablation": "change",
}
"""Of scores that aren't shares of attention."""

Uniform = Mapping[tuple[str, int, str], float]
"""Stream, layer and score → what attending everywhere alike would give."""


def scores_by_layer(told: Told, names: Sequence[str] | None = None) -> Figure:
    """How each score goes with depth; streams in colours of their own.

    Args:
        told: a trace, several of one model, or the table that ``head_scores`` makes of these. A table doesn't know what
            uniform attention would have, so that there is no dashed line.
        names: of the scores (``vitrail.trace.SCORES``); all that say something about the input, unless given.

    Raises:
        TraceError: no such score, or one that says nothing about the input.
    """
    table = scores_of(told)
    known = [name for name in table.columns[3:] if not name.endswith((" low", " high")) and table[name].notna().any()]
    for name in names or ():
        if name not in known:
            raise TraceError(
                f"there is no score {name!r} of this input: there are {', '.join(known) or 'none, as it is too short'}."
            )
    chosen = list(names or known)
    if not chosen:
        raise TraceError("no score says anything about this input: give one of two positions or more.")
    uniform = {} if not isinstance(told, Trace | Sequence) else _uniform(told)
    streams = list(dict.fromkeys(table["stream"]))
    with styled():
        columns = min(COLUMNS, len(chosen))
        rows = -(-len(chosen) // columns)
        width = max(NARROWEST, 2 * MARGIN + columns * ACROSS)
        sheet = Sheet(width, HEAD + 0.4 + rows * DOWN + 0.1)
        sheet.title("Scores by layer", about(told))
        _legend(sheet, streams, bool(uniform))
        for place, name in enumerate(chosen):
            left, top = MARGIN + (place % columns) * ACROSS + 0.38, HEAD + 0.52 + (place // columns) * DOWN
            panel = sheet.panel(left, top, ACROSS - 0.62, DOWN - 0.68)
            _draw(panel, table, name, streams, uniform)
            if place + columns >= len(chosen):
                panel.set_xlabel("layer", fontsize=7, labelpad=1)
        return sheet.figure


def _legend(sheet: Sheet, streams: Sequence[str], uniform: bool) -> None:
    left = MARGIN
    for stream, colour in zip(streams, _colours(streams), strict=True):
        sheet.swatch(left, HEAD + 0.02, colour)
        sheet.write(left + 0.2, HEAD + 0.02, stream, size=7.5)
        left += 0.45 + 0.075 * len(stream)
    said = "dots: heads · line: their mean" + (" · dashed: uniform attention" if uniform else "")
    sheet.write(left, HEAD + 0.02, said, size=7.5, colour=QUIET)


def _colours(streams: Sequence[str]) -> list[str]:
    return [STREAM_COLOURS[place % len(STREAM_COLOURS)] for place in range(len(streams))]


def _draw(panel: "Axes", table: "pd.DataFrame", name: str, streams: Sequence[str], uniform: Uniform) -> None:
    depth = int(table["layer"].max())  # the same in every panel, whether or not all layers have this score
    for stream, colour in zip(streams, _colours(streams), strict=True):
        mine = table[table["stream"] == stream].dropna(subset=[name])
        if not len(mine):
            continue
        layers, values = mine["layer"].to_numpy(), mine[name].to_numpy(dtype=float)
        if f"{name} low" in mine:
            ends = mine[[f"{name} low", f"{name} high"]].to_numpy(dtype=float).T
            panel.vlines(layers, *ends, color=colour, alpha=0.25, linewidth=0.8)
        panel.plot(layers, values, "o", color=colour, alpha=0.55, markersize=3.6, markeredgewidth=0, gid="heads")
        means = mine.groupby("layer")[name].mean()
        alike = [uniform.get((stream, int(layer), name), np.nan) for layer in means.index]
        places, mean = _line(means.index.to_numpy(), means.to_numpy())
        panel.plot(places, mean, color=colour, linewidth=1.4, gid="mean")
        if np.isfinite(alike).any():
            places, flat = _line(means.index.to_numpy(), np.array(alike))
            panel.plot(places, flat, color=colour, linewidth=1, linestyle=(0, (3, 2)), alpha=0.8, gid="uniform")
    panel.set_title(plain(name), fontsize=8.5, color=INK, loc="left", pad=4)
    panel.set_title(UNITS.get(name, "share"), fontsize=6.5, color=QUIET, loc="right", pad=4)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=6.5, pad=2)
    panel.xaxis.set_major_locator(MaxNLocator(min(8, depth + 1), integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(4))
    panel.set_xlim(-0.4, depth + 0.4)
    panel.set_ylim(0, max(panel.get_ylim()[1], 0.05 if name not in UNITS else 0))
    panel.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.7)
    panel.set_axisbelow(True)


def _line(layers: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line through the values; a short one where there is a single layer, for a line needs two ends."""
    if len(layers) > 1:
        return layers, values
    return layers[0] + np.array([-0.25, 0.25]), np.repeat(values, 2)


def _uniform(told: Trace | Sequence[Trace]) -> Uniform:
    scores = gather_scores(told)
    return {
        (stream, layer, name): float(scores.uniform[head, place])
        for head, (stream, layer, number) in enumerate(scores.heads)
        for place, name in enumerate(scores.names)
        if number == 0
    }
