"""A picture that the questions on attention ask for and the viewer's figures lack: weight, gradient, their product."""

import numpy as np
from matplotlib.figure import Figure

from vitrail.trace import Trace, gradient_x_attention
from vitrail.viewer.figures.colours import QUIET, sequential, signed, signed_norm, weight_norm
from vitrail.viewer.figures.maps import SIZE, draw_map, map_size, room_for, rule
from vitrail.viewer.figures.sheet import BAR, HEAD, MARGIN, Sheet, styled
from vitrail.viewer.figures.tokens import label

SIDE, NARROWEST, GAP = 4.2, 2.0, 0.35
"""Of a map at most; of the room that each has at least; and between them, in inches."""


def gradient_maps(trace: Trace, layer: int, head: int, title: str) -> Figure:
    """One head's weights, the gradient of the target with respect to them, and the product of both.

    Args:
        trace: captured with gradients.
        layer: its number from 0.
        head: likewise.
        title: which head of which model.

    Raises:
        TraceError: no such head, or no gradients.
    """
    weights, gradients = trace.weights(layer, head), trace.gradients(layer, head)
    maps = {
        "weight": weights,
        "gradient dL/dA": gradients,
        "weight × gradient": gradient_x_attention(weights[None], gradients[None])[0],
    }
    axis = trace.tokens()
    every = np.arange(axis.length)
    across, down, cell = map_size(axis.length, axis.length, SIDE)
    left, room = room_for(axis), max(across, NARROWEST)
    top = HEAD + 0.2 + left
    with styled():
        sheet = Sheet(2 * MARGIN + 3 * (left + room) + 2 * GAP, top + down + 0.15 + BAR + MARGIN)
        sheet.title(title, f"L = {trace.provenance.target}")
        place = MARGIN
        for name, values in maps.items():
            sign = name != "weight"
            largest = float(np.abs(values).max())
            norm = signed_norm(largest) if sign else weight_norm(largest)
            sheet.write(place + left, HEAD - 0.02, name, size=8, colour=QUIET, room=room)
            panel = sheet.panel(place + left, top, across, down)
            # Numbers are of shares: hundredths of a gradient of any size would say nothing.
            draw_map(panel, values, signed() if sign else sequential(), norm, 0.0 if sign else cell)
            label(panel, "x", axis, across, SIZE)
            label(panel, "y", axis, down, SIZE)
            rule(panel, axis, axis, every, every)
            sheet.bar(place + left, top + down + 0.15, min(2.6, room), norm, "square-root scale", sign=sign)
            place += left + room + GAP
        return sheet.figure
