"""What one position looks at in an image: patches that are attended to keep their own light, others darken."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitrail.errors import TraceError
from vitrail.trace import Axis, Trace
from vitrail.viewer.figures.about import about
from vitrail.viewer.figures.colours import ACCENT, FAINT, PAPER, QUIET, UNKNOWN, sequential, weight_norm
from vitrail.viewer.figures.maps import numbered
from vitrail.viewer.figures.sheet import BAR, HEAD, LINE, MARGIN, NARROWEST, Sheet, styled
from vitrail.viewer.figures.tokens import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE, GAP = 2.7, 0.22
"""Of a picture, and between pictures, in inches."""
DARKEST = 0.12
"""What is left of the light of a patch that is not attended to."""
FADED = 0.18
"""What is left of a patch that the model doesn't see."""
NOTHING = (0.0, 0.0, 0.0, 0.0)

Query = int | tuple[int, int] | None


def image_attention(
    trace: Trace, layer: int | str, head: int, query: Query = None, stream: str | None = None
) -> Figure:
    """The image with the query marked, the image in the light of its attention, and the weights.

    Args:
        trace: of a model that sees an image.
        layer: its number from 0 (from the end if negative), or its name.
        head: its number from 0.
        query: who looks: a position, a patch by its row and column in the grid, or None for CLS (without one, for the
            patch nearest to the middle).
        stream: which; may be left out where there is one.

    Raises:
        TraceError: no such stream, layer, head or query, or keys that are no patches.
    """
    chosen = trace.stream(stream)
    queries, keys = trace.layer_axes(trace.layer(layer, chosen.name), chosen)
    if keys.grid is None:
        raise TraceError(f"the keys of {chosen.name!r} are {keys.kind} without a grid: draw its attention_map instead.")
    place = _place(queries, query)
    weights = trace.weights(layer, head, chosen.name)[place]
    grid = on_grid(weights, keys)
    patch = keys.patch or (1, 1)
    image = _cut(trace.images[keys.image], keys) if keys.image is not None else None
    rows, columns = keys.grid
    with styled():
        down = SIDE * min(1.8, rows * patch[0] / (columns * patch[1]))
        panels = 3 if image is not None else 1
        width = max(NARROWEST, 2 * MARGIN + panels * SIDE + (panels - 1) * GAP)
        top = HEAD + LINE + 0.25
        sheet = Sheet(width, top + down + 0.15 + BAR + MARGIN)
        said = _said(queries, keys, place, weights)
        sheet.title(f"{chosen.name}: layer {numbered(trace, layer, chosen.name)}, head {head}", about(trace), [said])
        lefts = [MARGIN + number * (SIDE + GAP) for number in range(panels)]
        norm = weight_norm(float(np.nanmax(grid)))
        box = (0, columns, rows, 0)
        if image is not None:
            name = "what the model sees" if np.isnan(grid).any() else "the image"
            for left, pixels, title in (
                (lefts[0], _faded(image, np.isnan(grid)), name),
                (lefts[1], _lit(image, grid), "in the light of its attention"),
            ):
                panel = _panel(sheet, left, top, down, title)
                panel.imshow(pixels, interpolation="none", aspect="auto", extent=box)
                _mark(panel, queries, place)
        panel = _panel(sheet, lefts[-1], top, down, "weights")
        seen = np.ma.masked_invalid(grid)
        panel.imshow(
            seen,
            cmap=sequential().with_extremes(bad=NOTHING),
            norm=norm,
            interpolation="none",
            aspect="auto",
            extent=box,
        )
        _mark(panel, queries, place)
        sheet.bar(lefts[-1], top + down + 0.15, SIDE - 0.1, norm, "weight of a patch, square-root scale")
        return sheet.figure


def on_grid(weights: Float[np.ndarray, " k"], keys: Axis) -> Float32[np.ndarray, "rows columns"]:
    """A query's weights where their patches are; NaN where the model sees none."""
    rows, columns = keys.grid or (0, 0)
    places = np.arange(keys.length) if keys.places is None else keys.places
    inside = (places >= 0) & (places < rows * columns)
    grid = np.full(rows * columns, np.nan, np.float32)
    grid[places[inside]] = weights[inside]
    return grid.reshape(rows, columns)


def _place(queries: Axis, query: Query) -> int:
    """The position that a query names."""
    if query is None and (queries.grid is None or (queries.places is not None and queries.places[0] < 0)):
        return 0
    if isinstance(query, int):
        if not -queries.length <= query < queries.length:
            raise TraceError(f"there is no query {query}: there are {queries.length}, counted from 0.")
        return query % queries.length
    if queries.grid is None:
        raise TraceError(f"the queries are {queries.kind} without a grid: name one by its number, not as {query}.")
    rows, columns = queries.grid
    places = np.arange(queries.length) if queries.places is None else queries.places
    if query is None:
        far = np.hypot(places // columns - (rows - 1) / 2, places % columns - (columns - 1) / 2)
        return int(np.argmin(np.where(places >= 0, far, np.inf)))
    row, column = query
    inside = 0 <= row < rows and 0 <= column < columns
    found = np.flatnonzero(inside & (places == row * columns + column))
    if not len(found):
        raise TraceError(
            f"no query stands at row {row}, column {column} of {rows} x {columns} patches: name one that the model saw."
        )
    return int(found[0])


def _said(queries: Axis, keys: Axis, place: int, weights: Float[np.ndarray, " k"]) -> str:
    """Who looks, and what goes to patches and to each position that is none."""
    places = np.arange(keys.length) if keys.places is None else keys.places
    name = shown(queries.texts[place]) if queries.texts is not None else f"query {place}"
    at = (place if queries.places is None else int(queries.places[place])) if queries.grid is not None else -1
    if queries.grid is not None and at >= 0:
        name = f"the patch in row {at // queries.grid[1]}, column {at % queries.grid[1]}"
    shares = [f"{weights[places >= 0].sum():.0%} to patches"]
    for other in np.flatnonzero(places < 0)[:4]:
        text = shown(keys.texts[other]) if keys.texts is not None else str(other)
        shares.append(f"{weights[other]:.0%} to {text}")
    return f"from {name}: {', '.join(shares)}"


def _panel(sheet: Sheet, left: float, top: float, down: float, name: str) -> "Axes":
    panel = sheet.panel(left, top, SIDE, down)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set(color=FAINT, linewidth=0.6)
    panel.patch.set(facecolor=PAPER, hatch="//////", edgecolor=UNKNOWN, linewidth=0)  # seen where a patch isn't
    panel.set_title(name, fontsize=8, color=QUIET, loc="left", pad=4)
    return panel


def _mark(panel: "Axes", queries: Axis, place: int) -> None:
    """A frame around the query's patch; CLS has none."""
    patch = place if queries.places is None else int(queries.places[place])
    if queries.grid is None or patch < 0:
        return
    row, column = divmod(patch, queries.grid[1])
    for colour, width in (("#ffffff", 3.6), (ACCENT, 1.8)):
        frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False, zorder=3)
        panel.add_patch(frame)


def _over(grid: Shaped[np.ndarray, "rows columns"], image: UInt8[np.ndarray, "H W 3"]) -> Shaped[np.ndarray, "H W 1"]:
    """Each pixel's number of a grid."""
    rows, columns = ((np.arange(size) * count) // size for size, count in zip(image.shape, grid.shape, strict=False))
    return np.asarray(grid[rows][:, columns][:, :, None])


def _cut(image: UInt8[np.ndarray, "H W 3"], keys: Axis) -> UInt8[np.ndarray, "height width 3"]:
    """The image without what is left at its right and its bottom when patches are cut from it."""
    if keys.grid is None or keys.patch is None:
        return image
    (height, width), (rows, columns) = keys.patch, keys.grid
    left = image.shape[0] - rows * height, image.shape[1] - columns * width
    return image[: rows * height, : columns * width] if 0 <= left[0] < height and 0 <= left[1] < width else image


def _lit(image: UInt8[np.ndarray, "H W 3"], grid: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "H W 4"]:
    """The image, darker where less attention goes; nothing where the model sees no patch."""
    light = _over(DARKEST + (1 - DARKEST) * np.sqrt(grid / max(float(np.nanmax(grid)), 1e-12)), image)
    return np.concatenate([image / np.float32(255) * np.nan_to_num(light), ~np.isnan(light)], axis=2, dtype=np.float32)


def _faded(image: UInt8[np.ndarray, "H W 3"], unseen: Bool[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "H W 4"]:
    """The image, with patches that the model doesn't see nearly gone."""
    opaque = np.where(_over(unseen, image), FADED, 1)
    return np.concatenate([image / np.float32(255), opaque], axis=2, dtype=np.float32)
