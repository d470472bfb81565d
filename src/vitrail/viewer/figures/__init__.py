"""Figures of traces: what the app draws, from Python and without a browser, as figures of matplotlib.

>>> from vitrail.viewer.figures import attention_map, head_atlas, save_figure
>>> save_figure(head_atlas(trace), "atlas.svg")
>>> save_figure(attention_map(trace, layer=2, head=5), "head.png")

Each is a pure function from traces to a ``matplotlib.figure.Figure``, without pyplot and its global state. Matplotlib
is imported with this package, which takes half a second: import it where a figure is made.
"""

from vitrail.viewer.figures.album import draw_all
from vitrail.viewer.figures.atlas import head_atlas
from vitrail.viewer.figures.beside import side_by_side
from vitrail.viewer.figures.grid import head_grid
from vitrail.viewer.figures.maps import attention_map
from vitrail.viewer.figures.pictures import image_attention
from vitrail.viewer.figures.scores import scores_by_layer
from vitrail.viewer.figures.writing import save_figure

__all__ = [
    "attention_map",
    "draw_all",
    "head_atlas",
    "head_grid",
    "image_attention",
    "save_figure",
    "scores_by_layer",
    "side_by_side",
]
