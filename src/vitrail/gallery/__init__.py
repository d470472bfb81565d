"""Galleries of people: photographs in; who is it, are these two the same, which of these are one person out.

``Gallery(place, embed, fingerprint, calibration, image_size=…)`` is all that most need. Nothing leaves the machine, or
the database that was named.
"""

from vitrail.gallery.codes import dequantise, quantise
from vitrail.gallery.comparing import FAR, Verdict, cluster_photographs, verify
from vitrail.gallery.detection import (
    ONLY_FACE,
    Box,
    Choice,
    NoFaceError,
    SeveralFacesError,
    choose_face,
    crop_faces,
    find_faces,
)
from vitrail.gallery.gallery import Answer, Gallery, forget_person, list_people
from vitrail.gallery.photographs import Photograph, find_photographs, open_photograph
from vitrail.gallery.reading import Face, FaceReader
from vitrail.gallery.store import Enrolment, Person

__all__ = [
    "FAR",
    "ONLY_FACE",
    "Answer",
    "Box",
    "Choice",
    "Enrolment",
    "Face",
    "FaceReader",
    "Gallery",
    "NoFaceError",
    "Person",
    "Photograph",
    "SeveralFacesError",
    "Verdict",
    "choose_face",
    "cluster_photographs",
    "crop_faces",
    "dequantise",
    "find_faces",
    "find_photographs",
    "forget_person",
    "list_people",
    "open_photograph",
    "quantise",
    "verify",
]
