"""Pictures at hand for models that see, as PNG: a handwritten digit, and a character that no demo was trained on."""

import io

import numpy as np
from numpy.typing import NDArray


def digit() -> bytes:
    """The first of scikit-learn's handwritten digits, 8x8."""
    from vitrail.data.embedded import digits

    return _png(next(iter(digits()))[0])


def character() -> bytes:
    """The first picture of a character from the test part of ``glyphs``, 32x32."""
    from vitrail.data.glyphs import glyphs

    return _png(next(glyphs("test"))[0])


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(picture).save(written, "PNG")
    return written.getvalue()
