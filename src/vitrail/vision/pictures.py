"""Pictures of what a model sees: reconstructions in columns, and a table of confusions. PNG bytes out, nothing on disk.

Small images are enlarged without smoothing, so that a pixel stays a square; what is not shown has one colour that no
photograph is likely to be full of.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLANK = (126, 146, 178)
"""Red, green, blue of a patch that isn't shown."""
GIVEN = "#e07b00"
"""Outline of a hidden patch whose mean and contrast are the true ones."""
INK, FAINT = "#222222", "#777777"


def reconstruction_png(
    original: UInt8[Tensor, "b c H W"],
    predicted: UInt8[Tensor, "b c H W"],
    hidden: Float[Tensor, "b 1 H W"],
    *,
    given: bool,
    names: Sequence[str] | None = None,
    title: str = "",
    patch_size: tuple[int, int] = (1, 1),
    pairs: int = 1,
) -> bytes:
    """A sheet with a row an image: original | masked | reconstruction of what is hidden | both together.

    Args:
        original: pixels 0-255, grey or colour.
        predicted: the decoder's picture.
        hidden: 1 = hidden, 0 = visible, a pixel each.
        given: hidden patches bear the true mean and contrast (norm-pix): they are outlined, and a line says so.
        names: written beside the rows.
        title: written above.
        patch_size: height and width of a patch, for the outlines.
        pairs: how many images stand side by side in a row.
    """
    figure_of = _figure()
    count = len(original)
    rows = -(-count // pairs)
    true, guessed = _rgb(original.numpy()), _rgb(predicted.numpy())
    covered = hidden.numpy().transpose(0, 2, 3, 1) > 0
    blank = np.array(BLANK, np.uint8)
    # No loss reaches the decoder's output at visible places, so what it says there is noise: left blank.
    sheets = [true, np.where(covered, blank, true), np.where(covered, guessed, blank), np.where(covered, guessed, true)]
    heads = ("original", "masked", "reconstruction", "filled in")
    side, gap = 1.15, 0.35
    top, bottom = (0.55 if title else 0.35), (0.42 if given else 0.1)
    width, height = pairs * 4 * side + (pairs - 1) * gap + 0.9, rows * side + top + bottom
    figure = figure_of(figsize=(width, height), dpi=110)
    grid = figure.add_gridspec(
        rows, 5 * pairs - 1, width_ratios=([1, 1, 1, 1, gap / side] * pairs)[:-1],
        left=0.75 / width, right=1 - 0.15 / width, top=1 - top / height, bottom=bottom / height,
        wspace=0.06, hspace=0.06,
    )  # fmt: skip
    for index in range(count):
        row, pair = index % rows, index // rows
        for column, sheet in enumerate(sheets):
            axes = figure.add_subplot(grid[row, 5 * pair + column])
            axes.imshow(sheet[index], interpolation="nearest", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_color("#cccccc")
            if row == 0:
                axes.set_title(heads[column], fontsize=8, color=INK, pad=4)
            if column == 0 and names is not None:
                axes.set_ylabel(names[index], fontsize=8, color=FAINT, rotation=0, ha="right", va="center", labelpad=6)
            if given and column >= 2:
                _outline(axes, hidden[index, 0].numpy(), patch_size)
    if title:
        figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=10, color=INK)
    if given:
        note = "outlined patches: pattern predicted, but mean and contrast taken from the original (norm-pix)"
        figure.text(0.5, 0.1 / height, note, ha="center", va="bottom", fontsize=8, color=GIVEN)
    return _png(figure)


def confusion_png(counts: Int64[Tensor, "v v"], classes: Sequence[str], title: str = "") -> bytes:
    """A table of classes: rows are the true class, columns the predicted one, colours the share of the row."""
    figure_of = _figure()
    table = counts.numpy()
    share = table / table.sum(1, keepdims=True).clip(1)
    number = len(classes)
    side = min(14.0, 2.2 + 0.45 * number)
    figure = figure_of(figsize=(side + 0.6, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    # More names than this can't be read; the table itself is in the figures' file.
    if number <= 30:
        axes.set_xticks(range(number), classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=8)
        axes.set_yticks(range(number), classes, fontsize=8)
        for row, column in np.argwhere(table > 0):
            colour = "white" if share[row, column] > 0.5 else INK
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=7, color=colour)
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    return _png(figure)


def _outline(axes: object, hidden: np.ndarray, patch: tuple[int, int]) -> None:
    from matplotlib.patches import Rectangle

    p, q = patch
    for top in range(0, hidden.shape[0], p):
        for left in range(0, hidden.shape[1], q):
            if hidden[top, left]:
                box = Rectangle((left - 0.5, top - 0.5), q, p, fill=False, edgecolor=GIVEN, linewidth=0.4)
                axes.add_patch(box)  # type: ignore[attr-defined]


def _rgb(images: np.ndarray) -> np.ndarray:
    """``[b c H W]`` grey or colour → ``[b H W 3]``."""
    return np.broadcast_to(images, (len(images), 3, *images.shape[2:])).transpose(0, 2, 3, 1)


def _figure() -> type["Figure"]:
    """Matplotlib's figure without its global state; imported where a picture is made, for it takes a second."""
    from matplotlib.figure import Figure

    return Figure


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
