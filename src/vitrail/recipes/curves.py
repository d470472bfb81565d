"""How a training went, as a picture: every figure of ``metrics.jsonl`` over the steps, in ``curves.png``."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.recipes.results import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "curves.png"

COLUMNS = 3
STYLES: Mapping[str, tuple[str, str]] = {"train": ("#1f77b4", "training"), "evaluation": ("#e07b00", "held out")}
"""Colour and name of each kind of figure."""
INK = "#222222"

Series = tuple[list[int], list[float]]


def draw_curves(folder: Path) -> Path | None:
    """Draw a run's figures into its folder; None where it has none yet.

    Args:
        folder: of the run; ``curves.png`` there is replaced.

    Raises:
        OutputError: the picture can't be written.
    """
    from vitrail.train.journal import METRICS

    found = read_figures(folder / METRICS)
    if not found:
        return None
    return write_bytes(folder / FILE, curves_png(found, folder.name))


def read_figures(path: Path) -> dict[str, dict[str, Series]]:
    """Figure → kind ("train", "evaluation") → steps and values; a line that was cut off is left out."""
    found: dict[str, dict[str, Series]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            figures = json.loads(line)
        except ValueError:
            continue
        for key, value in figures.items():
            kind, _, name = key.partition("/")
            if kind in STYLES:
                steps, values = found.setdefault(name, {}).setdefault(kind, ([], []))
                steps.append(figures["step"])
                values.append(value)
    return found


def curves_png(figures: Mapping[str, Mapping[str, Series]], title: str = "") -> bytes:
    """A panel a figure, training and held-out examples in it."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(figures))
    rows = -(-len(figures) // columns)
    figure = Figure(figsize=(3.4 * columns, 0.5 + 2.3 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for panel, (name, kinds) in zip(panels, figures.items(), strict=False):
        _draw(panel, name, kinds)
    for panel in panels[len(figures) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(figures) - columns) : len(figures)]:
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelbottom=True)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(panel: "Axes", name: str, kinds: Mapping[str, Series]) -> None:
    for kind, (steps, values) in kinds.items():
        colour, label = STYLES[kind]
        few = len(steps) <= 20
        panel.plot(steps, values, color=colour, label=label, linewidth=1.2, marker="o" if few else None, markersize=3)
    panel.set_title(name.replace("_", " "), fontsize=9, color=INK, loc="left")
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=7)
    panel.margins(x=0.01)
    if len(kinds) > 1:
        panel.legend(fontsize=7, frameon=False)
