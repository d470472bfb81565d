"""Faces against each other, without a gallery: are these two one person, and which of these are?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vitrail.errors import GalleryError
from vitrail.faces.calibration import Calibration, OperatingPoint
from vitrail.faces.clustering import cluster, different_within
from vitrail.gallery.codes import squared_distances
from vitrail.gallery.detection import ONLY_FACE, Choice, NoFaceError
from vitrail.gallery.reading import Face, FaceReader

FAR = 1e-3
"""The false accept rate that answers are given at, unless another is asked for: the paper's."""


@dataclass(frozen=True)
class Verdict:
    """Whether two faces are of one person.

    Attributes:
        same: whether they are near enough.
        distance: squared, 0 to 4.
        point: the threshold, and the rates of mistakes that were measured at it.
        measured_on: what they were measured on.
        faces: the two.
    """

    same: bool
    distance: float
    point: OperatingPoint
    measured_on: str
    faces: tuple[Face, Face]


def require_own(calibration: Calibration, model: str) -> None:
    """Refuse thresholds that were measured for another model.

    Raises:
        GalleryError: they were.
    """
    if calibration.fingerprint != model:
        raise GalleryError(
            f"the calibration was measured for the model {calibration.fingerprint[:12]}…, and this one is "
            f"{model[:12]}…: run 'vitrail evaluate' on this one."
        )


def verify(
    reader: FaceReader,
    photographs: tuple[Path, Path],
    calibration: Calibration,
    far: float = FAR,
    choices: tuple[Choice, Choice] = (ONLY_FACE, ONLY_FACE),
) -> Verdict:
    """Compare the faces of two photographs.

    Args:
        reader: the network.
        photographs: with one face each, unless the choices say which.
        calibration: measured for this network.
        far: the rate at which a pair of two people may be taken for one; it picks the threshold.
        choices: which faces are meant.

    Raises:
        DataError: a photograph can't be read, has no face, or several; no threshold was measured at that rate.
        GalleryError: the calibration is another model's.
    """
    require_own(calibration, reader.model)
    point = calibration.at(far)
    first, second = (
        reader.read([photograph], choice)[0] for photograph, choice in zip(photographs, choices, strict=True)
    )
    distance = float(squared_distances(first.vector, second.vector[None])[0])
    return Verdict(distance <= point.threshold, distance, point, calibration.data, (first, second))


def cluster_photographs(
    reader: FaceReader,
    photographs: Sequence[Path],
    threshold: float,
    on_none: Callable[[NoFaceError], None] | None = None,
    *,
    whole: bool = False,
) -> list[list[Face]]:
    """Put all faces of many photographs together by person; two faces of one photograph are two people.

    Args:
        reader: the network.
        photographs: paths.
        threshold: the mean squared distance up to which clusters are joined, as ``Calibration.cluster_threshold``.
        on_none: told of photographs without a face, which are then left out; otherwise the first one is an error.
        whole: each photograph is one face, cropped already.

    Returns:
        The clusters, the largest first, each in the order of the photographs.

    Raises:
        DataError: a photograph can't be read, or has no face.
    """
    faces = reader.read(photographs, Choice(whole=True)) if whole else reader.read_all(photographs, on_none)
    if not faces:
        return []
    sources = torch.from_numpy(np.unique([face.source for face in faces], return_inverse=True)[1])
    labels = cluster(torch.from_numpy(np.stack([face.vector for face in faces])), threshold, different_within(sources))
    groups: dict[int, list[Face]] = {}
    for face, label in zip(faces, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(face)
    return sorted(groups.values(), key=len, reverse=True)
