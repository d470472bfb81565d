"""One picture file's bytes → one uint8 array of the shape the set asks for.

What is done, in this order: EXIF orientation is applied; transparency is laid over white (dropping it, as is common,
shows whatever colour hides behind it); 16-bit grey becomes 8-bit; grey or colour as asked; where a size is asked, the
shorter side is resized to it (antialiased bicubic) and the centre is cut out.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vitrail.errors import DataError

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I"})


class UnreadableImageError(DataError):
    """The bytes of one image are empty, truncated or of no known format; such an image may be skipped."""


REPLACE = "give another picture"
"""What can be done about one unreadable picture."""
REPLACE_OR_SKIP = "replace or remove it, or leave such images out with --corrupt skip (corrupt='skip')"
"""What can be done about one among many."""


def natural_channels(image: Image.Image) -> Literal[1, 3]:
    """1 for a picture stored in grey, 3 for any other."""
    return 1 if image.mode in _GREY_MODES else 3


def open_image(payload: bytes | Path | NDArray[np.uint8], name: str, remedy: str = REPLACE) -> Image.Image:
    """Open and fully decode a picture, upright.

    Args:
        payload: the file's bytes, its path, or an array ``[H W]`` or ``[H W 3]``.
        name: what an error calls it.
        remedy: what an error says can be done.

    Raises:
        UnreadableImageError: it is empty, truncated, not an image, or unreasonably large.
    """
    if isinstance(payload, np.ndarray):
        return Image.fromarray(payload)
    try:
        content = payload.read_bytes() if isinstance(payload, Path) else payload
    except OSError as error:
        raise UnreadableImageError(f"Image {name} can't be read ({error.strerror}): {remedy}.") from error
    if not content:
        raise UnreadableImageError(f"Image {name} is empty (0 bytes): {remedy}.")
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"Image {name} ({len(content):,} bytes) is in no image format that Pillow knows: {remedy}."
        ) from error
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, ValueError, … on bad bytes
        raise UnreadableImageError(f"Image {name} is damaged ({str(error) or type(error).__name__}): {remedy}.") from (
            error
        )
    if image.mode in ("F", "LAB", "HSV"):
        raise UnreadableImageError(f"Image {name} has {image.mode} pixels, and only grey and RGB are known: {remedy}.")
    return image


def to_array(image: Image.Image, channels: Literal[1, 3], size: int | None) -> NDArray[np.uint8]:
    """The picture as uint8 ``[c H W]``; ``size`` is both sides in pixels, None leaves them."""
    image = _flatten(image).convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size, size):
        # Shorter side to `size`, the rest of the longer one cut off evenly.
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _flatten(image: Image.Image) -> Image.Image:
    """Without transparency, palette or 16-bit values: mode 1, L, RGB, or one that converts to them without loss."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    if image.mode.startswith("I"):
        # Pillow's own conversion to L cuts everything above 255 off instead of scaling it.
        return Image.fromarray((np.clip(np.asarray(image, dtype=np.int64), 0, 65535) >> 8).astype(np.uint8))
    return image
