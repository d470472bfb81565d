"""The map of all heads: a small picture of each, layer by layer, framed in the colour of its role."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitrail.trace import Layer, Stream, Trace, finish_layer
from vitrail.trace.digest import CELLS
from vitrail.viewer.figures.about import about, roles_of
from vitrail.viewer.figures.atlas import occurring
from vitrail.viewer.figures.colours import FAINT, INK, QUIET, role_colour, sequential, weight_norm
from vitrail.viewer.figures.sheet import BAR, HEAD, MARGIN, NARROWEST, Sheet, bare, rows_of_roles, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

GAP = 0.09
"""Between pictures, in inches."""
ROWS, COLUMNS = 0.44, 0.2
"""Room for numbers of layers and of heads."""


def head_grid(trace: Trace, stream: str | None = None) -> Figure:
    """Every head of a stream as a thumbnail: a row a layer, queries downwards and keys to the right in each.

    Of inputs longer than 48 positions a cell is the attention that goes from one of its queries to all of its keys.

    Args:
        trace: the trace.
        stream: which; may be left out where there is one.

    Raises:
        TraceError: no such stream, or several and none was named.
    """
    chosen = trace.stream(stream)
    roles = roles_of(trace)
    roles = roles[roles["stream"] == chosen.name]
    pictures = [_pictures(trace, chosen, place) for place in range(len(chosen.layers))]
    heads = max(len(one) for one in pictures)
    queries, keys = max(layer.size for layer in chosen.layers)
    counts = occurring(roles)
    with styled():
        across = min(0.85, max(0.36, 10.8 / heads - GAP))
        down = across * min(1.6, max(0.5, queries / keys))
        width = max(NARROWEST, 2 * MARGIN + ROWS + heads * (across + GAP))
        tall = len(pictures) * (down + GAP)
        legend = 0.2 * rows_of_roles(width, list(counts))
        top = HEAD + 0.1 + COLUMNS
        sheet = Sheet(width, top + tall + 0.2 + legend + 0.1 + BAR + MARGIN)
        sheet.title(f"All heads: {chosen.name}", about(trace))
        norm = weight_norm(max(float(one.max()) for one in pictures))
        panel = sheet.panel(MARGIN + ROWS, top, heads * (across + GAP), tall)
        _draw(panel, pictures, roles, norm, (across, down))
        sheet.roles(top + tall + 0.2, counts)
        name = f"{_what(queries, keys)}, square-root scale"
        sheet.bar(MARGIN, top + tall + 0.2 + legend + 0.1, 2.4, norm, name)
        return sheet.figure


def _what(queries: int, keys: int) -> str:
    return "weight" if max(queries, keys) <= CELLS else "attention to the keys of a cell"


def _pictures(trace: Trace, stream: Stream, place: int) -> Float[np.ndarray, "h t u"]:
    """A layer's weights where they are few, else those that its digest has pooled."""
    layer: Layer = stream.layers[place]
    if max(layer.size) <= CELLS:
        return trace.weights(place, stream=stream.name)
    digest = layer.digest or finish_layer(layer, *trace.layer_axes(layer, stream)).digest
    assert digest is not None
    return np.square(digest.thumbnails / np.float32(255))


def _draw(
    panel: "Axes",
    pictures: list[Float[np.ndarray, "h t u"]],
    roles: "pd.DataFrame",
    norm: "Normalize",
    size: tuple[float, float],
) -> None:
    across, down = size
    heads = max(len(one) for one in pictures)
    bare(panel)
    panel.set_autoscale_on(False)
    panel.set(xlim=(0, heads * (across + GAP)), ylim=(len(pictures) * (down + GAP), 0))
    columns = (roles[name] for name in ("layer", "head", "role"))
    told = {(int(layer), int(head)): str(role) for layer, head, role in zip(*columns, strict=True)}
    for layer, layer_pictures in enumerate(pictures):
        top = layer * (down + GAP)
        for head, picture in enumerate(layer_pictures):
            left = head * (across + GAP)
            image = panel.imshow(
                picture,
                cmap=sequential(),
                norm=norm,
                extent=(left, left + across, top + down, top),
                interpolation="none",
                aspect="auto",
            )
            image.set_gid(f"{layer}.{head}")
            role = told[layer, head]
            clear = role != "unclear"
            frame = Rectangle((left, top), across, down, fill=False, linewidth=1.8 if clear else 0.6, clip_on=False)
            frame.set_edgecolor(role_colour(role) if clear else FAINT)
            panel.add_patch(frame)
        panel.text(-0.09, top + down / 2, str(layer), ha="right", va="center", fontsize=8, color=INK)
    for head in range(heads):
        middle = head * (across + GAP) + across / 2
        panel.text(middle, -0.06, str(head), ha="center", va="bottom", fontsize=8, color=INK)
    panel.text(-0.09, -0.06, "head", ha="right", va="bottom", fontsize=7, color=QUIET)
    middle = len(pictures) * (down + GAP) / 2
    panel.text(-0.36, middle, "layer", ha="center", va="center", rotation=90, fontsize=7, color=QUIET)
