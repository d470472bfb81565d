"""A photograph: its pixels upright, and the hash that stands for it in a gallery.

The gallery keeps neither the photograph nor its path, only the SHA-256 of its file: enough to see that the same file
comes again, and anybody can compare it with ``sha256sum``.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitrail.data.decode import open_image, to_array
from vitrail.data.folders import IMAGE_SUFFIXES, visible_files
from vitrail.errors import DataError

MOST_PIXELS = 80_000_000
"""Of one photograph; decoded it takes three bytes a pixel, and Pillow itself warns of more than 89 million."""

SMALLEST_SIDE = 24
"""Pixels; the detector's own window has 20."""


@dataclass(frozen=True)
class Photograph:
    """A decoded photograph.

    Attributes:
        source: what errors call it: its path.
        pixels: uint8 ``[3 H W]``, upright (EXIF orientation is applied).
        digest: SHA-256 of its file, 64 hexadecimal digits.
    """

    source: str
    pixels: UInt8[np.ndarray, "3 H W"]
    digest: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])


def open_photograph(path: Path) -> Photograph:
    """Read and decode one photograph.

    Raises:
        DataError: it isn't there, is damaged or no image, or has too few or too many pixels.
    """
    source = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Photograph {source} can't be read ({error.strerror}): check its path.") from error
    _require_moderate(content, source)
    pixels = to_array(open_image(content, source, "take another copy of it, saved as JPEG or PNG"), 3, None)
    height, width = pixels.shape[1:]
    if min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"Photograph {source} has {width}x{height} pixels, and a face needs at least "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE}: take a larger one."
        )
    return Photograph(source, np.ascontiguousarray(pixels), hashlib.sha256(content).hexdigest())


def find_photographs(paths: list[Path]) -> list[Path]:
    """Files as they are, folders replaced by the pictures in and below them, in order; each file once.

    Raises:
        DataError: a folder without pictures.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = [Path(file) for file in visible_files(path) if file.lower().endswith(IMAGE_SUFFIXES)]
        if not inside:
            raise DataError(
                f"The folder {path} holds no photographs (of kinds {', '.join(IMAGE_SUFFIXES)}): name another one."
            )
        found.update(dict.fromkeys(inside))
    return list(found)


def _require_moderate(content: bytes, source: str) -> None:
    """Refuse a picture by the size its head states, before its pixels fill the memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as head:
                width, height = head.size
    except Image.DecompressionBombError:
        width = height = 0
    except Exception:  # damaged: decoding it says how
        return
    if width * height > MOST_PIXELS or not width:
        found = f"{width}x{height} pixels ({width * height / 1e6:.0f} megapixels)" if width else "over 170 megapixels"
        raise DataError(
            f"Photograph {source} has {found}, and at most {MOST_PIXELS // 10**6} megapixels are read: scale it down, "
            "for a face needs a few hundred pixels."
        )
