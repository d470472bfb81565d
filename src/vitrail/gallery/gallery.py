"""People, enrolled from photographs: who is it, and is it anybody we know?

An answer needs three things that fit each other: a network, vectors of that same network (or of one that it was trained
to be harmonic with, FaceNet's appendix), and a threshold that was measured for it. A gallery keeps the fingerprints of
its models and a copy of the calibration, and refuses to guess where one is missing.
"""

import contextlib
import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vitrail.errors import ConfigError, GalleryError
from vitrail.faces.calibration import Calibration, OperatingPoint, parse_calibration
from vitrail.gallery.codes import dequantise, quantise, squared_distances
from vitrail.gallery.comparing import FAR, Verdict, cluster_photographs, require_own, verify
from vitrail.gallery.detection import ONLY_FACE, Box, Choice
from vitrail.gallery.folder import FolderStore
from vitrail.gallery.names import clean_name, name_key
from vitrail.gallery.postgres import SCHEMES, PostgresStore
from vitrail.gallery.reading import Embed, Face, FaceReader
from vitrail.gallery.store import Enrolment, Header, Person, Record, Store, require_admissible

CANDIDATES = 32
"""Faces whose distances are computed exactly: more than the rounding to bytes could put in the wrong order."""


@dataclass(frozen=True)
class Answer:
    """Who somebody is, as far as the gallery can tell.

    Attributes:
        name: None if nobody enrolled is near enough.
        distance: squared, to the nearest face enrolled; 0 to 4.
        point: the threshold, and the rates of mistakes that were measured at it.
        measured_on: what they were measured on.
        box: where the face was, upright.
        faces: how many are enrolled.
    """

    name: str | None
    distance: float
    point: OperatingPoint
    measured_on: str
    box: Box
    faces: int

    @property
    def stranger_risk(self) -> float:
        """The chance that somebody who isn't enrolled is given a name, if the enrolled faces err independently."""
        return float(1 - (1 - self.point.far) ** self.faces)


class Gallery:
    """People in a folder, or in a PostgreSQL database with pgvector. One object is used by one thread.

    Any number of processes may read and write at once. Whoever ``enroll`` returned for is kept, whatever happens then.

    Args:
        where: a folder, missing or empty before the first person is enrolled; or ``postgresql://[user@]host/base
            [?schema=NAME]``.
        embed: crops, uint8 ``[b 3 H W]``, to unit vectors ``[b d]``.
        fingerprint: of the network behind it.
        calibration: which distance is near enough, measured for that network; the gallery keeps a copy, which counts
            where none is given.
        image_size: height and width of the crops that the network reads.
        harmonic_with: fingerprints of other networks whose vectors this one's may be compared with.

    Raises:
        ConfigError: an address of no known kind.
        GalleryError: the gallery is damaged or can't be reached; it is another model's; the calibration is.
    """

    def __init__(
        self,
        where: str | Path,
        embed: Embed,
        fingerprint: str,
        calibration: Calibration | None = None,
        *,
        image_size: tuple[int, int],
        harmonic_with: Collection[str] = (),
    ) -> None:
        if calibration is not None:
            require_own(calibration, fingerprint)
        self._reader = FaceReader(embed, image_size, fingerprint)
        self._given = calibration
        self._harmonic_with = frozenset(harmonic_with)
        self._store = open_store(where)
        try:
            self._admissible()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def enroll(
        self,
        name: str,
        photographs: Sequence[str | Path],
        choice: Choice = ONLY_FACE,
    ) -> Enrolment:
        """Keep a person's face from each photograph: all or none, and each photograph once.

        Args:
            name: any text on one line; spellings that differ in case only are one name.
            photographs: one face each, unless the choice says which.
            choice: which face is meant.

        Raises:
            ConfigError: no name, no photograph, a box that can't be meant.
            DataError: a photograph can't be read, or has no face, or several.
            GalleryError: the gallery is another model's, or busy; the person is known by the photograph with another
                box.
            OutputError: it can't be written.
        """
        name = clean_name(name)
        if not photographs:
            raise ConfigError(f"there is no photograph of {name}: name at least one.")
        self._admissible()
        faces = self._reader.read([Path(path) for path in photographs], choice)
        now = datetime.now(UTC)
        codes = quantise(np.stack([face.vector for face in faces]))
        records = [
            Record(code, face.photograph, face.box, self._reader.model, now)
            for code, face in zip(codes, faces, strict=True)
        ]
        self._prepare(codes.shape[1])
        return self._store.enroll(name, records)

    def identify(
        self,
        photograph: str | Path,
        choice: Choice = ONLY_FACE,
        far: float = FAR,
    ) -> Answer:
        """Who is it?

        Args:
            photograph: with one face, unless the choice says which.
            choice: which face is meant.
            far: the rate at which a pair of two people may be taken for one; it picks the threshold.

        Raises:
            DataError: the photograph can't be read, has no face, or several; no threshold was measured at that rate.
            GalleryError: nobody is enrolled, the model is another one, or there is no calibration.
        """
        enrolled = self._store.size()
        if not enrolled:
            raise _nobody(self._store)
        self._admissible()
        calibration = self.calibration
        point = calibration.at(far)
        (face,) = self._reader.read([Path(photograph)], choice)
        self._admissible(len(face.vector))
        name, distance = nearest_person(self._store, face.vector)
        return Answer(
            name if distance <= point.threshold else None, distance, point, calibration.data, face.box, enrolled
        )

    def verify(
        self,
        first: str | Path,
        second: str | Path,
        choices: tuple[Choice, Choice] = (ONLY_FACE, ONLY_FACE),
        far: float = FAR,
    ) -> Verdict:
        """Are these two photographs of one person? Nobody has to be enrolled for it; see ``comparing.verify``."""
        return verify(self._reader, (Path(first), Path(second)), self.calibration, far, choices)

    def cluster(self, photographs: Sequence[str | Path], threshold: float | None = None) -> list[list[Face]]:
        """All faces of many photographs by person, whoever is enrolled; see ``comparing.cluster_photographs``.

        Args:
            photographs: each with at least one face.
            threshold: the mean squared distance up to which clusters are joined; the calibration's if None.
        """
        limit = self.calibration.cluster_threshold if threshold is None else threshold
        return cluster_photographs(self._reader, [Path(path) for path in photographs], limit)

    def forget(self, name: str) -> int:
        """Remove every trace of a person; returns how many faces there were.

        Raises:
            GalleryError: there is no such person, or another process is in the way and it is to be done again.
        """
        return _forget(self._store, name)

    def people(self) -> list[Person]:
        """Everybody, by name."""
        return self._store.people()

    @property
    def calibrated(self) -> bool:
        """Whether there is a calibration, so that anybody can be identified."""
        header = self._store.header()
        return self._given is not None or (header is not None and header.calibration is not None)

    @property
    def calibration(self) -> Calibration:
        """The one that was given, else the gallery's copy.

        Raises:
            GalleryError: there is none.
        """
        if self._given is not None:
            return self._given
        header = self._store.header()
        if header is None or header.calibration is None:
            raise GalleryError(
                f"{self._store.where} has no calibration, so that no distance means anything: run 'vitrail evaluate' "
                "on the model and give its calibration.json."
            )
        return parse_calibration(header.calibration, f"the calibration in {self._store.where}")

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def _admissible(self, dim: int | None = None) -> Header | None:
        """The gallery's header, if there is a gallery; refuses another model's, and vectors of another width."""
        header = self._store.header()
        if header is None:
            return None
        require_admissible(header.models, self._reader.model, self._harmonic_with, self._store.where)
        if dim not in (None, header.dim):
            raise GalleryError(
                f"{self._store.where} holds vectors of {header.dim} coordinates, and this model gives {dim}: use a "
                "model of that width, or another gallery."
            )
        return header

    def _prepare(self, dim: int) -> None:
        """Make the gallery unless it is there, let this model in, and copy its calibration."""
        text = None if self._given is None else self._given.to_json()
        self._store.create(Header(dim, frozenset({self._reader.model}), text))
        header = self._admissible(dim)
        assert header is not None
        if self._reader.model not in header.models:
            self._store.admit(self._reader.model, self._harmonic_with)
        if text is not None and header.calibration != text:
            self._store.calibrate(text)


def nearest_person(store: Store, vector: Float32[np.ndarray, " d"]) -> tuple[str, float]:
    """Who is nearest, and at which squared distance: exact, to the faces that the store finds near.

    Raises:
        GalleryError: nobody is enrolled.
    """
    found = store.nearest(quantise(vector[None])[0], CANDIDATES)
    if not found.names:
        raise _nobody(store)
    distances = squared_distances(vector, dequantise(found.codes))
    best = int(distances.argmin())
    return found.names[best], float(distances[best])


def list_people(where: str | Path) -> list[Person]:
    """Everybody in a gallery, by name; no network is needed for it.

    Raises:
        GalleryError: there is no gallery, or it is damaged or can't be reached.
    """
    with contextlib.closing(_existing(where)) as store:
        return store.people()


def forget_person(where: str | Path, name: str) -> int:
    """As ``Gallery.forget``, without a network.

    Raises:
        GalleryError: there is no gallery or no such person, or the gallery is damaged or can't be reached.
    """
    with contextlib.closing(_existing(where)) as store:
        return _forget(store, name)


def _forget(store: Store, name: str) -> int:
    shown = clean_name(name)
    known = {name_key(person.name): person.name for person in store.people()}
    near = difflib.get_close_matches(name_key(shown), known, n=1)
    faces = store.forget(name)
    if not faces:
        meant = f"did you mean {known[near[0]]}?" if near else "list who is there (vitrail faces people)."
        raise GalleryError(f"there is no {shown} in {store.where}: {meant}")
    return faces


def _existing(where: str | Path) -> Store:
    store = open_store(where)
    if store.header() is None:
        store.close()
        raise GalleryError(f"there is no gallery in {store.where}: name the place that people were enrolled in.")
    return store


def _nobody(store: Store) -> GalleryError:
    return GalleryError(f"nobody is enrolled in {store.where}: enroll somebody first.")


def open_store(where: str | Path) -> Store:
    """The store behind a folder's path or a database's URL.

    Raises:
        ConfigError: an address of no known kind.
        GalleryError: it is damaged or can't be reached.
    """
    scheme, found, _ = str(where).partition("://")
    if not found:
        return FolderStore(Path(where).expanduser())
    if scheme not in SCHEMES:
        raise ConfigError(f"a gallery can't be kept in {scheme}://…: give a folder, or a URL of {SCHEMES[0]}://.")
    return PostgresStore(str(where))
