"""Face networks at work on photographs: a run folder is opened, and its network handed to the room ``gallery``.

Each recipe is one command of ``vitrail faces``; its function does the work and returns what there is to show.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.errors import ConfigError, ModelError, OutputError, VitrailError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.faces.calibration import Calibration
    from vitrail.gallery import Answer, Choice, Enrolment, Face, FaceReader, Gallery, Person, Verdict
    from vitrail.recipes.runs import Run

SHOWN = 120
"""Faces on the contact sheet of one cluster, at most."""


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where people are kept."""

    gallery: str = "gallery"
    """The gallery's folder, or postgresql://[user@]host/base[?schema=NAME]."""


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """Which face is meant."""

    box: str | None = None
    """Where the face is in the one photograph, upright: LEFT,TOP,WIDTH,HEIGHT in pixels; no detector is asked then."""
    largest: bool = False
    """Take the largest face where a photograph has several."""
    whole: bool = False
    """Each photograph is nothing but a face, cropped as in the data that the network learned from; no detector is asked
    then."""

    def choice(self) -> "Choice":
        """The options as the gallery takes them.

        Raises:
            ConfigError: the box can't be read, or more than one face is meant.
        """
        from vitrail.gallery import Box, Choice

        return Choice(None if self.box is None else Box.parse(self.box), self.largest, self.whole)


@dataclass(frozen=True, kw_only=True)
class HarmonicOptions:
    """Which other networks' vectors may be compared with."""

    harmonic_with: tuple[Path, ...] = ()
    """Folders of runs whose vectors may be compared with this one's, beside the one it was trained to be harmonic with:
    a gallery of theirs is open to it."""


@dataclass(frozen=True)
class EmbedRecipe(ChoiceOptions):
    """Turn the faces in photographs into vectors."""

    run: Path
    """Folder of a face network's run."""
    photographs: tuple[Path, ...]
    """Photographs, or folders of them."""
    output: Path = Path("faces.npz")
    """The file to write, for numpy.load: vectors, boxes (left, top, width, height), sources, photographs (SHA-256)."""
    every: bool = False
    """Every face of every photograph, instead of the one that each is expected to have."""


@dataclass(frozen=True)
class VerifyRecipe:
    """Tell whether two photographs show one person."""

    run: Path
    """Folder of a face network's run."""
    first: Path
    """A photograph."""
    second: Path
    """Another one."""
    far: float = 1e-3
    """False accept rate: the share of pairs of two people that are taken for one; it picks the threshold."""
    first_box: str | None = None
    """Where the face is in the first photograph, upright: LEFT,TOP,WIDTH,HEIGHT in pixels."""
    second_box: str | None = None
    """Likewise in the second."""
    largest: bool = False
    """Take the largest face where a photograph has several."""
    whole: bool = False
    """Each photograph is nothing but a face, cropped as in the data that the network learned from."""


@dataclass(frozen=True)
class EnrollRecipe(HarmonicOptions, ChoiceOptions, PlaceOptions):
    """Keep a person's faces, so that the person can be recognised; ask them first (docs/consent.md)."""

    run: Path
    """Folder of a face network's run."""
    name: str
    """Any text on one line; upper and lower case are one name."""
    photographs: tuple[Path, ...]
    """Photographs with one face each, or folders of them; each is kept once, however often it comes."""


@dataclass(frozen=True)
class IdentifyRecipe(HarmonicOptions, ChoiceOptions, PlaceOptions):
    """Tell who of the people enrolled a photograph shows, if anybody."""

    run: Path
    """Folder of a face network's run."""
    photographs: tuple[Path, ...]
    """Photographs with one face each, or folders of them."""
    far: float = 1e-3
    """False accept rate: the share of pairs of two people that are taken for one; it picks the threshold."""


@dataclass(frozen=True)
class ForgetRecipe(PlaceOptions):
    """Remove every trace of a person from a gallery."""

    name: str
    """As enrolled; upper and lower case are one name."""


@dataclass(frozen=True)
class PeopleRecipe(PlaceOptions):
    """List who is in a gallery."""


@dataclass(frozen=True)
class ClusterRecipe:
    """Put all faces of many photographs together by person, and draw a contact sheet of each."""

    run: Path
    """Folder of a face network's run."""
    photographs: tuple[Path, ...]
    """Photographs, or folders of them; whoever is in one photograph with another is somebody else."""
    output: Path = Path("clusters")
    """Folder to write, missing or empty: clusters.json, and a sheet for each person with two faces or more."""
    threshold: float | None = None
    """Mean squared distance up to which clusters are joined (default: as measured on the run's test people)."""
    whole: bool = False
    """Each photograph is nothing but a face, cropped as in the data that the network learned from."""


@dataclass(frozen=True)
class Clusters:
    """What clustering found and wrote."""

    groups: "list[list[Face]]"
    without_face: int
    folder: Path
    sheets: tuple[Path, ...]


def open_gallery(where: str | Path, run: "str | Path | Run", *, harmonic_with: Sequence[str | Path] = ()) -> "Gallery":
    """The people kept in a place, as a face run's network sees them.

    Args:
        where: a folder, or ``postgresql://[user@]host/base[?schema=NAME]``.
        run: a face network's run, or its folder; its ``calibration.json`` counts, if there is one.
        harmonic_with: folders of runs whose vectors may be compared with this one's, beside the one that it was trained
            to be harmonic with.

    Raises:
        VitrailError: the run is no face network's, or the gallery can't be used with it.
    """
    from vitrail.gallery import Gallery

    opened = require_faces(run)
    reader = reader_of(opened)
    others = [require_faces(other).model_fingerprint for other in harmonic_with]
    if opened.harmonic_with is not None:
        others.append(opened.harmonic_with)
    return Gallery(
        where,
        reader.embed,
        reader.model,
        calibration_of(opened),
        image_size=reader.image_size,
        harmonic_with=others,
    )


def require_faces(run: "str | Path | Run") -> "Run":
    """A run that is a face network's.

    Raises:
        ModelError: it is of another kind.
    """
    from vitrail.recipes.runs import KINDS, Run, open_run

    opened = run if isinstance(run, Run) else open_run(run)
    if opened.kind != "faces":
        raise ModelError(
            f"{opened.folder} holds {KINDS[opened.kind]}, and faces are compared by {KINDS['faces']}: name the folder "
            "of a 'vitrail train faces' run."
        )
    return opened


def reader_of(run: "Run") -> "FaceReader":
    """What turns photographs into vectors by a run's network."""
    import torch
    from jaxtyping import Float, UInt8
    from torch import Tensor

    from vitrail.gallery import FaceReader

    def embed(crops: UInt8[Tensor, "b 3 H W"]) -> Float[Tensor, "b d"]:
        if run.channels == 3:
            return run.embed(crops)
        grey = (crops * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
        return run.embed(grey.round().to(torch.uint8))

    return FaceReader(embed, run.image_size, run.model_fingerprint)


def calibration_of(run: "Run") -> "Calibration | None":
    """What was measured for a run; None if nothing was."""
    from vitrail.faces.calibration import NAME, read_calibration

    path = run.folder / NAME
    return read_calibration(path) if path.exists() else None


def embed(recipe: EmbedRecipe, report: Report = ignore) -> tuple[Path, int]:
    """Write the vectors of the faces in photographs; returns the file and how many there are.

    Raises:
        VitrailError: the run or a photograph can't be used.
    """
    import numpy as np

    from vitrail.recipes.results import write_bytes

    reader, photographs = reader_of(require_faces(recipe.run)), _photographs(recipe.photographs)
    if recipe.every and (recipe.box is not None or recipe.largest or recipe.whole):
        raise ConfigError(
            "--every takes every face, so that --box, --largest and --whole mean nothing beside it: leave one out."
        )
    if recipe.every:
        faces = reader.read_all(photographs, lambda error: report(Note(f"left out: {error}")))
    else:
        faces = reader.read(photographs, recipe.choice())
    content = io.BytesIO()
    np.savez(
        content,
        vectors=np.array([face.vector for face in faces], np.float32),
        boxes=np.array([[face.box.left, face.box.top, face.box.width, face.box.height] for face in faces], np.int64),
        sources=np.array([face.source for face in faces], np.str_),
        photographs=np.array([face.photograph for face in faces], np.str_),
    )
    return write_bytes(recipe.output, content.getvalue()), len(faces)


def verify(recipe: VerifyRecipe, report: Report = ignore) -> "Verdict":
    """Compare the faces of two photographs.

    Raises:
        VitrailError: the run or a photograph can't be used, or the run has no calibration.
    """
    from vitrail import gallery

    opened = require_faces(recipe.run)
    first, second = (
        ChoiceOptions(box=box, largest=recipe.largest and box is None, whole=recipe.whole and box is None).choice()
        for box in (recipe.first_box, recipe.second_box)
    )
    return gallery.verify(
        reader_of(opened), (recipe.first, recipe.second), _measured(opened), recipe.far, (first, second)
    )


def enroll(recipe: EnrollRecipe, report: Report = ignore) -> "tuple[Enrolment, bool]":
    """Keep a person's faces; returns what was done, and whether anybody can be identified (by a calibration) yet.

    Raises:
        VitrailError: the run, a photograph, the name or the gallery can't be used; nobody is kept then.
    """
    with open_gallery(recipe.gallery, recipe.run, harmonic_with=recipe.harmonic_with) as gallery:
        enrolled = gallery.enroll(recipe.name, _photographs(recipe.photographs), recipe.choice())
        return enrolled, gallery.calibrated


def identify(recipe: IdentifyRecipe, report: Report = ignore) -> "list[tuple[Path, Answer]]":
    """Who is in these photographs; of several, those without a face, or with more than one, are left out.

    Raises:
        VitrailError: the run, a photograph or the gallery can't be used, or no photograph is left.
    """
    from vitrail.gallery import NoFaceError, SeveralFacesError

    photographs, choice = _photographs(recipe.photographs), recipe.choice()
    answers = []
    with open_gallery(recipe.gallery, recipe.run, harmonic_with=recipe.harmonic_with) as gallery:
        for path in photographs:
            try:
                answers.append((path, gallery.identify(path, choice, recipe.far)))
            except (NoFaceError, SeveralFacesError) as error:
                if path == photographs[-1] and not answers:
                    raise
                report(Note(f"left out: {error}"))
    return answers


def forget(recipe: ForgetRecipe, report: Report = ignore) -> int:
    """Remove every trace of a person; returns how many faces there were.

    Raises:
        VitrailError: there is no such person, or no such gallery.
    """
    from vitrail.gallery import forget_person

    return forget_person(recipe.gallery, recipe.name)


def people(recipe: PeopleRecipe, report: Report = ignore) -> "list[Person]":
    """Everybody in a gallery.

    Raises:
        VitrailError: there is no such gallery.
    """
    from vitrail.gallery import list_people

    return list_people(recipe.gallery)


def cluster(recipe: ClusterRecipe, report: Report = ignore) -> Clusters:
    """Put faces together by person and write what was found.

    Raises:
        VitrailError: the run, a photograph or the folder can't be used.
    """
    from vitrail.faces.sheets import contact_sheet, png
    from vitrail.files import writable_folder
    from vitrail.gallery import cluster_photographs
    from vitrail.recipes.results import write_bytes

    if recipe.output.is_dir() and any(recipe.output.iterdir()):
        raise OutputError(f"{recipe.output} holds files already: name another --output, or empty it.")
    opened, photographs = require_faces(recipe.run), _photographs(recipe.photographs)
    threshold = _measured(opened).cluster_threshold if recipe.threshold is None else recipe.threshold
    existed = recipe.output.is_dir()
    writable_folder(recipe.output)
    without = 0

    def leave_out(error: Exception) -> None:
        nonlocal without
        without += 1
        report(Note(f"left out: {error}"))

    try:
        groups = cluster_photographs(reader_of(opened), photographs, threshold, leave_out, whole=recipe.whole)
    except VitrailError:
        if not existed:
            recipe.output.rmdir()
        raise
    sheets = []
    for number, faces in enumerate(groups):
        if len(faces) > 1:
            picture = contact_sheet([[face.crop.transpose(1, 2, 0) for face in faces]], most=SHOWN)
            sheets.append(write_bytes(recipe.output / f"{number:04d}.png", png(picture)))
    listed = [[{"source": face.source, "box": str(face.box)} for face in faces] for faces in groups]
    content = json.dumps({"threshold": threshold, "clusters": listed}, indent=2, ensure_ascii=False) + "\n"
    write_bytes(recipe.output / "clusters.json", content.encode(errors="backslashreplace"))
    return Clusters(groups, without, recipe.output, tuple(sheets))


def _photographs(paths: Sequence[Path]) -> list[Path]:
    from vitrail.gallery import find_photographs

    if not paths:
        raise ConfigError("there is no photograph: name at least one file or folder.")
    return find_photographs(list(paths))


def _measured(run: "Run") -> "Calibration":
    calibration = calibration_of(run)
    if calibration is None:
        raise ModelError(
            f"{run.folder} has no calibration.json, so that no distance means anything: run 'vitrail evaluate "
            f"{run.folder}' first."
        )
    return calibration
