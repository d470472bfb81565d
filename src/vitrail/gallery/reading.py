"""From photographs to faces: detect, crop, embed. What embeds is handed in as a function: any network will do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from vitrail.errors import ConfigError, ModelError
from vitrail.gallery.detection import (
    MARGIN,
    ONLY_FACE,
    Box,
    Choice,
    NoFaceError,
    choose_face,
    crop_faces,
    require_faces,
)
from vitrail.gallery.photographs import Photograph, open_photograph

Embed = Callable[[UInt8[Tensor, "b 3 H W"]], Float[Tensor, "b d"]]
"""Crops of the network's own size, pixels 0-255, to vectors of length 1."""

AT_ONCE = 64
"""Crops that are embedded at once."""

_ROUNDING = 1e-2
"""How far from 1 the length of a vector may be: what bfloat16 makes of it."""


@dataclass(frozen=True)
class Face:
    """One face of a photograph.

    Attributes:
        source: the photograph's path.
        photograph: SHA-256 of its file.
        box: where the face is, upright.
        crop: what the network was shown, uint8 ``[3 H W]``.
        vector: what the network made of it, of length 1.
    """

    source: str
    photograph: str
    box: Box
    crop: UInt8[np.ndarray, "3 H W"]
    vector: Float32[np.ndarray, " d"]


@dataclass(frozen=True)
class FaceReader:
    """A network and how it is fed.

    Attributes:
        embed: the network.
        image_size: height and width of the crops that it reads.
        model: its fingerprint: vectors of two models with the same one may be compared.
    """

    embed: Embed
    image_size: tuple[int, int]
    model: str

    def read(self, photographs: Sequence[Path], choice: Choice = ONLY_FACE) -> list[Face]:
        """One face of each photograph.

        Args:
            photographs: paths, at least one.
            choice: which face is meant; a box is one photograph's.

        Raises:
            ConfigError: a box for several photographs, or one that lies outside.
            DataError: a photograph can't be read; none or several faces are in it.
            ModelError: the network gives no unit vectors.
        """
        if choice.box is not None and len(photographs) > 1:
            raise ConfigError(
                f"one box ({choice.box}) can't be meant for {len(photographs)} photographs: name them one by one."
            )
        opened = map(open_photograph, photographs)
        return list(self._faces(((photo, [choose_face(photo, choice)]) for photo in opened), choice.margin))

    def read_all(self, photographs: Sequence[Path], on_none: Callable[[NoFaceError], None] | None = None) -> list[Face]:
        """Every face of every photograph.

        Args:
            photographs: paths.
            on_none: told of photographs without a face, which are then left out; otherwise the first one is an error.

        Raises:
            DataError: a photograph can't be read, or has no face.
            ModelError: the network gives no unit vectors.
        """

        def found() -> Iterator[tuple[Photograph, list[Box]]]:
            for photo in map(open_photograph, photographs):
                try:
                    yield photo, require_faces(photo)
                except NoFaceError as error:
                    if on_none is None:
                        raise
                    on_none(error)

        return list(self._faces(found()))

    def _faces(self, found: Iterator[tuple[Photograph, list[Box]]], margin: float = MARGIN) -> Iterator[Face]:
        """Embed crops by the batch; a photograph's pixels are let go of once it is cropped."""
        waiting: list[tuple[str, str, Box, UInt8[np.ndarray, "3 H W"]]] = []
        for photo, boxes in found:
            crops = crop_faces(photo, boxes, self.image_size, margin)
            waiting += [(photo.source, photo.digest, box, crop) for box, crop in zip(boxes, crops, strict=True)]
            while len(waiting) >= AT_ONCE:
                yield from self._embedded(waiting[:AT_ONCE])
                del waiting[:AT_ONCE]
        if waiting:
            yield from self._embedded(waiting)

    def _embedded(self, waiting: Sequence[tuple[str, str, Box, UInt8[np.ndarray, "3 H W"]]]) -> Iterator[Face]:
        crops = torch.from_numpy(np.stack([crop for *_, crop in waiting]))
        with torch.inference_mode():
            vectors = self.embed(crops).float().cpu().numpy()
        if vectors.ndim != 2 or len(vectors) != len(crops):
            raise ModelError(
                f"the network made {tuple(vectors.shape)} of {len(crops)} faces, and one vector a face was expected: "
                "hand in a network that embeds."
            )
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.all(np.abs(lengths - 1) < _ROUNDING):  # also where it is no number
            raise ModelError(
                f"the network's vectors have lengths {lengths.min():.3g} to {lengths.max():.3g}, and 1 was expected: "
                "normalise them (torch.nn.functional.normalize)."
            )
        for (source, digest, box, crop), vector in zip(waiting, vectors / lengths[:, None], strict=True):
            yield Face(source, digest, box, crop, vector)
