"""A folder of class folders → sources.

``data/cat/1.png``, or ``data/train/cat/1.png`` beside ``data/test/…`` (or ``val``). Images that lie in the folder
itself, without class folders, are a set without labels.

This listing is our own: the image-folder builder of ``datasets`` takes every file with "test" in its name for the test
split and drops the labels where folders differ in depth.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from vitrail.data.examples import Example, Reading, Source
from vitrail.data.labels import sorted_classes
from vitrail.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
"""What a folder or file with the test split may be called; the first that is there wins."""


def folder_sources(folder: Path) -> dict[str, Source]:
    """The splits of a folder of images: "train", and "test" where it has one of its own.

    Raises:
        DataError: no images, an empty class folder, or images beside class folders.
    """
    below = {child.name.lower(): child for child in _folders(folder)}
    train = next((below[name] for name in TRAIN_NAMES if name in below), None)
    if train is None:
        return {"train": _source(folder)}
    sources = {"train": _source(train)}
    test = next((below[name] for name in TEST_NAMES if name in below), None)
    if test is not None:
        sources["test"] = _source(test)
    return sources


def _source(folder: Path) -> Source:
    loose = _images(folder.iterdir())
    by_class = {child.name: _images(child.rglob("*")) for child in _folders(folder)}
    filled = {name: images for name, images in by_class.items() if images}
    if not loose and not filled:
        raise DataError(
            f"The folder {folder} holds no images: expected one folder a class with "
            f"{', '.join(sorted(IMAGE_SUFFIXES)[:4])} … files in it, or .parquet files."
        )
    if loose and filled:
        raise DataError(
            f"The folder {folder} holds {len(loose)} images beside {len(filled)} class folders: move them into a "
            "class folder, or leave only images (a set without labels)."
        )
    if filled and len(filled) < len(by_class):
        empty = next(name for name, images in by_class.items() if not images)
        raise DataError(f"The class folder {folder / empty} holds no images: fill it or remove it.")
    if loose:
        return Source(str(folder), "folder", tuple(loose), functools.partial(_read_loose, folder, loose))
    classes = sorted_classes(set(filled))
    files = tuple(path for name in classes for path in filled[name])
    identity = "\0".join(("class folders", *classes))
    return Source(str(folder), identity, files, functools.partial(_read_classes, folder, classes, filled))


def _read_loose(folder: Path, images: list[Path]) -> Reading:
    return Reading(False, None, (Example(str(path.relative_to(folder)), path, None) for path in images))


def _read_classes(folder: Path, classes: tuple[str, ...], images: dict[str, list[Path]]) -> Reading:
    def examples() -> Iterator[Example]:
        for name in classes:
            for path in images[name]:
                yield Example(str(path.relative_to(folder)), path, name)

    return Reading(True, classes, examples())


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _images(paths: Iterator[Path]) -> list[Path]:
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
