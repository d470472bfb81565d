"""A folder of class folders → sources.

``data/cat/1.png``, or ``data/train/cat/1.png`` beside ``data/test/…`` (or ``val``). Images that lie in the folder
itself, without class folders, are a set without labels.

This listing is our own: the image-folder builder of ``datasets`` takes every file with "test" in its name for the test
split and drops the labels where folders differ in depth.
"""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from vitrail.data.examples import Example, Reading, Source
from vitrail.data.labels import sorted_classes
from vitrail.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
"""What a folder or file with the test split may be called; the first that is there wins."""


def visible_files(folder: Path) -> list[str]:
    """The paths of all files in a folder and the folders below it, in order, without hidden ones."""
    found = []
    for here, below, names in os.walk(folder, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [os.path.join(here, name) for name in names if not name.startswith(".")]
    return sorted(found)


def folder_sources(folder: Path, images: Sequence[str]) -> dict[str, Source]:
    """The splits of a folder of images: "train", and "test" where it has one of its own.

    Args:
        folder: what the user named.
        images: the paths of the images below it, in order.

    Raises:
        DataError: no images, an empty class folder, or images beside class folders.
    """
    below = {child.name.lower(): child for child in _folders(folder)}
    train = next((below[name] for name in TRAIN_NAMES if name in below), None)
    if train is None or _is_class(train, list(below)):
        return {"train": _source(folder, images)}
    sources = {"train": _source(train, images)}
    test = next((below[name] for name in TEST_NAMES if name in below), None)
    if test is not None:
        sources["test"] = _source(test, images)
    return sources


def _is_class(train: Path, siblings: Sequence[str]) -> bool:
    """Whether a folder called "train" holds pictures of trains: it has no folders of its own, beside other classes."""
    return not _folders(train) and any(name not in (*TRAIN_NAMES, *TEST_NAMES) for name in siblings)


def _source(folder: Path, images: Sequence[str]) -> Source:
    prefix = os.path.join(folder, "")
    loose: list[Path] = []
    by_class: dict[str, list[Path]] = {child.name: [] for child in _folders(folder)}
    for path in images:
        if path.startswith(prefix):
            name, slash, _ = path[len(prefix) :].partition(os.sep)
            (by_class[name] if slash else loose).append(Path(path))
    filled = {name: paths for name, paths in by_class.items() if paths}
    if not loose and not filled:
        raise DataError(
            f"The folder {folder} holds no images: expected one folder a class with "
            f"{', '.join(IMAGE_SUFFIXES[:3])} … files in it, or .parquet files."
        )
    if loose and filled:
        raise DataError(
            f"The folder {folder} holds {len(loose)} images beside {len(filled)} class folders: move them into a "
            "class folder, or leave only images (a set without labels)."
        )
    if filled and len(filled) < len(by_class):
        empty = next(name for name, paths in by_class.items() if not paths)
        raise DataError(f"The class folder {folder / empty} holds no images: fill it or remove it.")
    if loose:
        return Source(str(folder), "folder", tuple(loose), functools.partial(_read_loose, loose))
    classes = sorted_classes(set(filled))
    files = tuple(path for name in classes for path in filled[name])
    # The files' digest doesn't know the names of all folders above them, and the classes are called after these.
    identity = "\0".join(("class folders", *classes))
    return Source(str(folder), identity, files, functools.partial(_read_classes, classes, filled))


def _read_loose(images: list[Path]) -> Reading:
    return Reading(False, None, (Example(path.name, path, None) for path in images))


def _read_classes(classes: tuple[str, ...], images: dict[str, list[Path]]) -> Reading:
    def examples() -> Iterator[Example]:
        for name in classes:
            for path in images[name]:
                yield Example(f"{path.parent.name}/{path.name}", path, name)

    return Reading(True, classes, examples())


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
