"""What a gallery keeps, and the one protocol that both places to keep it follow: a folder, or a PostgreSQL database.

A store knows people, their faces' codes and where these came from. It knows no photographs, no network and no
thresholds. Whatever ``enroll`` or ``forget`` returned from is on the disk.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int8

from vitrail.errors import GalleryError
from vitrail.gallery.detection import Box


@dataclass(frozen=True)
class Header:
    """What holds for a whole gallery.

    Attributes:
        dim: coordinates of a vector, and bytes of a code.
        models: fingerprints of the models whose vectors are in it; those of several only if these are harmonic.
        calibration: the text of ``calibration.json``, which says how near is near enough; None without.
    """

    dim: int
    models: frozenset[str]
    calibration: str | None


@dataclass(frozen=True)
class Record:
    """One face as it is kept.

    Attributes:
        code: the vector, quantised.
        photograph: SHA-256 of the photograph's file.
        box: where the face is in it, upright.
        model: fingerprint of the model that made the vector.
        when: of enrolling, with a time zone.
    """

    code: Int8[np.ndarray, " d"]
    photograph: str
    box: Box
    model: str
    when: datetime


@dataclass(frozen=True)
class Person:
    """One person of a gallery: the name as first spelled, and how many faces are kept."""

    name: str
    faces: int


@dataclass(frozen=True)
class Enrolment:
    """What enrolling did.

    Attributes:
        name: as the gallery spells it: as it was spelled first.
        added: faces that are new.
        known: photographs that the person was already known by.
    """

    name: str
    added: int
    known: int


@dataclass(frozen=True)
class Candidates:
    """Faces near a query, the nearest not necessarily first.

    Attributes:
        names: whose they are.
        codes: int8 ``[b d]``, in the same order.
    """

    names: tuple[str, ...]
    codes: Int8[np.ndarray, "b d"]


@runtime_checkable
class Store(Protocol):
    """Where a gallery is kept. One object is used by one thread; any number of processes may use the same place."""

    @property
    def where(self) -> str:
        """What errors call it; never a password."""

    def header(self) -> Header | None:
        """What holds for the gallery; None if there is none yet."""

    def create(self, header: Header) -> None:
        """Make the gallery unless it is there."""

    def admit(self, model: str, harmonic_with: Collection[str]) -> None:
        """Let a model's vectors in.

        Raises:
            GalleryError: those of a model that it isn't harmonic with are there.
        """

    def calibrate(self, text: str) -> None:
        """Replace the calibration."""

    def enroll(self, name: str, records: Sequence[Record]) -> Enrolment:
        """Keep a person's faces, all or none; a photograph that the person is already known by is not kept twice.

        Raises:
            GalleryError: the person is known by the same photograph with another box.
        """

    def size(self) -> int:
        """How many faces are kept."""

    def people(self) -> list[Person]:
        """Everybody, by name."""

    def records(self, name: str) -> list[Record]:
        """A person's faces, the oldest first; none if there is no such person."""

    def nearest(self, code: Int8[np.ndarray, " d"], count: int) -> Candidates:
        """About the ``count`` nearest faces; all that there are if they are fewer."""

    def forget(self, name: str) -> int:
        """Remove a person and every trace of them.

        Returns:
            How many faces were kept; 0 if there was no such person.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def require_admissible(models: Collection[str], model: str, harmonic_with: Collection[str], where: str) -> None:
    """Refuse to mix vectors that mean different things.

    Raises:
        GalleryError: the gallery holds vectors of a model that this one isn't harmonic with.
    """
    if model in models:
        return
    foreign = sorted(set(models) - set(harmonic_with))
    if foreign:
        raise GalleryError(
            f"{where} holds vectors of another model ({foreign[0][:12]}…) than this one ({model[:12]}…), and their "
            "distances mean nothing: use the model that it was made with, a model trained to be harmonic with it, or "
            "another gallery."
        )


def require_same_box(name: str, kept: Box, given: Box) -> None:
    """Refuse a second face of one person in one photograph.

    Raises:
        GalleryError: the boxes differ.
    """
    if kept != given:
        raise GalleryError(
            f"{name} is already known by this photograph, there with the box {kept} and now with {given}: one person "
            f"has one face in it, so forget {name} first to enroll with another box."
        )
