"""Where the faces in a photograph are, and the crops that a network is shown.

Faces are found by the Viola-Jones cascade that OpenCV ships (Viola & Jones 2001), which looks for upright
frontal faces only; whoever it misses can be named by a box. FaceNet crops tightly around the face and aligns no further
(section 5.1). A cascade's box is tighter still: in LFW's usual crops it takes 0.77 of the side, so a crop reaches 15%
of the box beyond each of its sides.
"""

import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitrail.errors import ConfigError, DataError
from vitrail.gallery.photographs import Photograph

if TYPE_CHECKING:
    import cv2

MARGIN = 0.15
"""How far a crop reaches beyond each side of the box, as a share of that side."""

LOOKED_AT = 1280
"""Pixels of the longer side of the picture that the cascade scans: larger photographs are scaled down for it."""

SMALLEST_FACE = 28
"""Pixels of a face's side in the picture that is scanned."""

SMALLEST_BOX = 8
"""Pixels of a box given by hand."""


class NoFaceError(DataError):
    """The detector finds no face; such a photograph may be left out where many are looked at."""


class SeveralFacesError(DataError):
    """One face was expected and several were found."""


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle of an upright photograph, in pixels from its top left corner; ordered from top to bottom."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> "Box":
        """Read "LEFT,TOP,WIDTH,HEIGHT", as ``str`` writes it.

        Raises:
            ConfigError: it isn't four whole numbers.
        """
        if not re.fullmatch(r"\s*-?\d{1,9}(\s*,\s*-?\d{1,9}){3}\s*", text):
            raise ConfigError(
                f"a box of {text!r} can't be read: give four whole numbers of pixels, LEFT,TOP,WIDTH,HEIGHT."
            )
        left, top, width, height = (int(part) for part in text.split(","))
        return cls(top, left, height, width)

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width},{self.height}"


@dataclass(frozen=True)
class Choice:
    """Which face of a photograph is meant, where there are several or the detector can't tell.

    Attributes:
        box: the face's place; no detector is asked then.
        largest: take the largest of the faces found.
        whole: all of the photograph is the face, cropped as the network learned it; no detector is asked and no margin
            added.

    Raises:
        ConfigError: more than one of these.
    """

    box: Box | None = None
    largest: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        asked = [f"a box ({self.box})"] * (self.box is not None)
        asked += ["the largest face"] * self.largest + ["the whole photograph"] * self.whole
        if len(asked) > 1:
            raise ConfigError(f"{' and '.join(asked)} can't all be meant: leave one out.")

    @property
    def margin(self) -> float:
        """How far the crop reaches beyond each side of the box, as a share of that side."""
        return 0.0 if self.whole else MARGIN


ONLY_FACE = Choice()
"""The photograph has one face, and that one is meant."""


def find_faces(photograph: Photograph) -> list[Box]:
    """Every face that the cascade finds, from top to bottom; often none, sometimes what is no face.

    Raises:
        ConfigError: OpenCV isn't installed.
    """
    cascade = _cascade()
    height, width = photograph.size
    scale = min(1.0, LOOKED_AT / max(height, width))
    grey = Image.fromarray(photograph.pixels.transpose(1, 2, 0)).convert("L")
    if scale < 1:
        grey = grey.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)
    found = cascade.detectMultiScale(
        np.asarray(grey), scaleFactor=1.1, minNeighbors=5, minSize=(SMALLEST_FACE, SMALLEST_FACE)
    )
    boxes = []
    for left, top, side, _ in np.asarray(found, np.float64).reshape(-1, 4) / scale:
        box = Box(int(top), int(left), int(side), int(side))
        boxes.append(Box(box.top, box.left, min(box.height, height - box.top), min(box.width, width - box.left)))
    return sorted(boxes)


def choose_face(photograph: Photograph, choice: Choice) -> Box:
    """The one face that is meant.

    Raises:
        ConfigError: the box can't be meant.
        NoFaceError: no face was found.
        SeveralFacesError: several were, and the choice doesn't say which.
    """
    if choice.box is not None:
        return require_box(photograph, choice.box)
    if choice.whole:
        return Box(0, 0, *photograph.size)
    boxes = require_faces(photograph)
    if len(boxes) > 1 and not choice.largest:
        places = " ".join(map(str, boxes[:9])) + (" …" if len(boxes) > 9 else "")
        raise SeveralFacesError(
            f"{len(boxes)} faces were found in {photograph.source} ({places}), and one is needed: "
            "choose with --box and one of these, or take the --largest."
        )
    return max(boxes, key=lambda box: box.height * box.width)


def require_faces(photograph: Photograph) -> list[Box]:
    """At least one face.

    Raises:
        NoFaceError: none was found.
    """
    boxes = find_faces(photograph)
    if not boxes:
        raise NoFaceError(
            f"No face was found in {photograph.source} (the detector sees upright frontal faces from about "
            f"{SMALLEST_FACE} pixels): say where it is with --box LEFT,TOP,WIDTH,HEIGHT (--whole if the photograph is "
            "nothing but a face), or take another one."
        )
    return boxes


def require_box(photograph: Photograph, box: Box) -> Box:
    """A box given by hand, if it lies in the photograph.

    Raises:
        ConfigError: it is too small or reaches beyond the photograph.
    """
    height, width = photograph.size
    if min(box.height, box.width) < SMALLEST_BOX:
        raise ConfigError(
            f"the box {box} is {box.width}x{box.height} pixels small, and a face needs at least "
            f"{SMALLEST_BOX}x{SMALLEST_BOX}: give a larger one."
        )
    if box.left < 0 or box.top < 0 or box.left + box.width > width or box.top + box.height > height:
        raise ConfigError(
            f"the box {box} reaches beyond {photograph.source}, which has {width}x{height} pixels (upright): "
            "give LEFT,TOP,WIDTH,HEIGHT inside it."
        )
    return box


def crop_faces(
    photograph: Photograph, boxes: Sequence[Box], image_size: tuple[int, int], margin: float = MARGIN
) -> UInt8[np.ndarray, "b 3 H W"]:
    """Crops with a margin, each around the middle of its box and of its longer side, scaled with antialiasing.

    Where a crop reaches beyond the photograph, the pixels at the edge are repeated.

    Args:
        photograph: where the boxes lie.
        boxes: at least one.
        image_size: height and width of what the network reads. Where they differ, the crop is as high or wide as a
            square one and the other side is cut.
        margin: how far a crop reaches beyond each side of its box, as a share of that side.
    """
    return np.stack([_crop(photograph, box, image_size, margin) for box in boxes])


def _crop(photograph: Photograph, box: Box, image_size: tuple[int, int], margin: float) -> UInt8[np.ndarray, "3 H W"]:
    side = max(box.height, box.width) * (1 + 2 * margin)
    height, width = (side * part / max(image_size) for part in image_size)
    top, left = box.top + box.height / 2 - height / 2, box.left + box.width / 2 - width / 2
    # Pixels around, repeated at the edge, as far as the filter reaches; around a whole photograph there are none.
    reach = 2 + int(np.ceil(2 * max(1, side / max(image_size)))) if margin else 0
    first = int(np.floor(top)) - reach, int(np.floor(left)) - reach
    last = int(np.ceil(top + height)) + reach, int(np.ceil(left + width)) + reach
    rows = np.clip(np.arange(first[0], last[0]), 0, photograph.size[0] - 1)
    columns = np.clip(np.arange(first[1], last[1]), 0, photograph.size[1] - 1)
    part = photograph.pixels[:, rows][:, :, columns].transpose(1, 2, 0)
    top, left = top - first[0], left - first[1]
    scaled = Image.fromarray(np.ascontiguousarray(part)).resize(
        image_size[::-1], Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
    )
    return np.asarray(scaled).transpose(2, 0, 1)


@functools.cache
def _cascade() -> "cv2.CascadeClassifier":
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            "faces are found by OpenCV, which isn't installed: pip install 'vitrail[faces]', or give boxes by hand."
        ) from error
    return cv2.CascadeClassifier(
        os.path.join(os.path.dirname(cv2.__file__), "data", "haarcascade_frontalface_alt2.xml")
    )
