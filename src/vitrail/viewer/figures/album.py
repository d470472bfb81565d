"""All figures of a trace at once, in a folder: the atlas, scores by layer, all heads, and the clearest of each role."""

import re
from os import PathLike
from pathlib import Path
from typing import Literal

from vitrail.files import writable_folder
from vitrail.trace import Trace, label_heads
from vitrail.viewer.figures.atlas import head_atlas
from vitrail.viewer.figures.beside import side_by_side
from vitrail.viewer.figures.grid import head_grid
from vitrail.viewer.figures.maps import attention_map
from vitrail.viewer.figures.pictures import image_attention
from vitrail.viewer.figures.scores import scores_by_layer
from vitrail.viewer.figures.writing import save_figure

EXAMPLES = 6
"""Heads of a stream that are drawn by themselves, at most."""


def draw_all(
    trace: Trace,
    folder: str | PathLike[str],
    kind: Literal["png", "svg"] = "png",
    beside: Trace | None = None,
) -> list[Path]:
    """Write every figure of a trace; the files, the most telling first.

    Args:
        trace: the trace.
        folder: where they go; made where it isn't there.
        kind: of the files.
        beside: another trace, whose atlas is drawn beside this one's.

    Raises:
        OutputError: the folder is a file, or nothing can be written there.
    """
    place = writable_folder(Path(folder))
    written = [save_figure(head_atlas(trace), place / f"atlas.{kind}")]
    if beside is not None:
        written.append(save_figure(side_by_side(trace, beside), place / f"beside.{kind}"))
    written.append(save_figure(scores_by_layer(trace), place / f"scores.{kind}"))
    for number, stream in enumerate(trace.streams):
        name = stream if re.fullmatch(r"[\w-]{1,40}", stream) else f"stream-{number}"
        written.append(save_figure(head_grid(trace, stream), place / f"heads-{name}.{kind}"))
        images = trace.tokens(stream, "keys").grid is not None
        for layer, head in telling(trace, stream):
            figure = (image_attention if images else attention_map)(trace, layer, head, stream=stream)
            written.append(save_figure(figure, place / f"{name}-{layer}-{head}.{kind}"))
    return written


def telling(trace: Trace, stream: str) -> list[tuple[int, int]]:
    """The head of each role that has the highest score, as layer and number; unclear and broad ones say little."""
    table = label_heads(trace)
    clear = table[(table["stream"] == stream) & ~table["role"].isin(["unclear", "broad"])]
    best = clear.sort_values("score", ascending=False, kind="stable").drop_duplicates("role")
    if not len(best):
        best = table[table["stream"] == stream].sort_values("score", ascending=False, kind="stable")[:1]
    return [(int(layer), int(head)) for layer, head in zip(best["layer"][:EXAMPLES], best["head"], strict=False)]
