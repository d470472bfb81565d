"""Contact sheets: what a clustering put together, as one picture. Pixels in, pixels out, nothing on disk."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from vitrail.errors import ConfigError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Thumbnail = UInt8[np.ndarray, "_ _ 3"] | UInt8[np.ndarray, "_ _"]
"""``[H W 3]`` colours or ``[H W]`` greys, from 0 to 255."""

GAP = 4
LINE = 22
PAPER, INK, FAINT = "#ffffff", "#222222", "#777777"


def contact_sheet(
    groups: Sequence[Sequence[Thumbnail]],
    captions: Sequence[str] = (),
    *,
    columns: int = 12,
    side: int = 64,
    most: int | None = None,
) -> "Image":
    """Thumbnails in rows, one group below the other.

    Args:
        groups: for each cluster its faces; they may be of any size and shape and are fitted into squares.
        captions: a line above each group. What doesn't print, as a line break or a mark that turns the direction of
            writing, is shown escaped; what is too long is cut.
        columns: thumbnails in a row.
        side: height and width of a square, in pixels.
        most: show so many faces of a group, and how many more there are; None shows all.

    Raises:
        ConfigError: as many captions as there aren't groups, or a size below 1.
        DataError: no group, or one without a face.
    """
    from PIL import Image, ImageDraw

    if captions and len(captions) != len(groups):
        raise ConfigError(
            f"there are {len(groups)} groups and {len(captions)} captions; give one each, or none at all."
        )
    if min(columns, side, 1 if most is None else most) < 1:
        raise ConfigError(
            f"a sheet of {columns} columns, {side} pixels, {most} faces a group shows nothing; give 1 up."
        )
    if not groups or not all(len(group) for group in groups):
        raise DataError("a sheet shows groups of at least one face; leave empty ones out.")
    shown = [group[:most] for group in groups]
    cells = [len(some) + (len(some) < len(group)) for some, group in zip(shown, groups, strict=True)]
    heights = [(LINE if captions else 0) + -(-count // columns) * (side + GAP) + GAP for count in cells]
    width = min(columns, max(cells)) * (side + GAP) + GAP
    if captions:
        width = max(width, 4 * LINE)
    sheet = Image.new("RGB", (width, sum(heights)), PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    top = 0
    for place, (some, group) in enumerate(zip(shown, groups, strict=True)):
        first = top
        if captions:
            draw.text((GAP, top + GAP), _fitted(captions[place], font, width - 2 * GAP), fill=INK, font=font)
            first += LINE
        for cell in range(cells[place]):
            x, y = GAP + cell % columns * (side + GAP), first + GAP + cell // columns * (side + GAP)
            if cell < len(some):
                face = _square(some[cell], side)
                sheet.paste(face, (x + (side - face.width) // 2, y + (side - face.height) // 2))
            else:
                more = f"+{len(group) - len(some)}"
                draw.text((x + side / 2, y + side / 2), more, fill=FAINT, font=font, anchor="mm")
        top += heights[place]
    return sheet


def png(image: "Image") -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _square(pixels: Thumbnail, side: int) -> "Image":
    """The thumbnail, as large as fits; small ones are enlarged without smoothing, so that a pixel stays a square."""
    from PIL import Image

    if 0 in pixels.shape:
        raise DataError(f"a thumbnail of {pixels.shape[0]}x{pixels.shape[1]} pixels shows nothing; leave it out.")
    image = Image.fromarray(pixels).convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _fitted(text: str, font: "FreeTypeFont", width: int) -> str:
    """As much of the text as fits, in characters that print."""
    text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _font() -> "FreeTypeFont":
    """The one that matplotlib ships: it has Latin, Greek and Cyrillic letters, and is the same everywhere."""
    from pathlib import Path

    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, 13, layout_engine=ImageFont.Layout.BASIC)
