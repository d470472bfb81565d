"""``load_images``: any ``--data`` → an ``ImageSet`` of decoded images that lie on disk and are read as an array."""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.data.building import TEST_FRACTION, Options, build_entry
from vitrail.data.cache import cache_root, open_or_build, output_errors
from vitrail.data.decode import UnreadableImageError, natural_channels, open_image
from vitrail.data.entry import FORMAT, Entry
from vitrail.data.examples import Source
from vitrail.data.labels import allot
from vitrail.data.sources import content_digest, find_sources
from vitrail.errors import ConfigError, DataError
from vitrail.nn.randomness import derive_seed

Split = Literal["train", "test"]

_IN_MEMORY = 2**30
"""Subsets above this many bytes are kept in a temporary file instead of in memory."""


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one split, and what is known about them.

    Attributes:
        name: the data as the user typed it, for instance ``digits`` or ``../shared/data/cifar10``.
        split: "train" or "test" (a part held out of the training split is still "train").
        pixels: uint8 ``[n c H W]``; mapped from a file, so that only what is used is read.
        labels: int64 ``[n]``, each an index into ``classes``; None where the source has no labels.
        classes: the classes' names, those of the training split; () without labels.
        mean: per channel, of pixels / 255, over the training split.
        std: standard deviation, likewise; at least 1/255.
        fingerprint: hash of pixels, labels and classes, wherever they came from.
        skipped: damaged images that were left out, by name.
        identities: True where train and test have different classes on purpose (people, characters): a set to tell
            same from different with, not to classify. Each part then has classes of its own.
    """

    name: str
    split: Split
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    skipped: tuple[str, ...]
    identities: bool = False

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def channels(self) -> int:
        """1 grey, 3 colour."""
        return int(self.pixels.shape[1])

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> "ImageSet":
        """The images at these rows, in this order; statistics and classes stay those of the training split.

        Raises:
            DataError: no rows, or a row that the set doesn't have.
        """
        rows = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not len(rows):
            raise DataError(f"A subset of {self.name} must have at least one image: give at least one row.")
        if rows.min() < 0 or rows.max() >= len(self):
            wrong = int(rows.min() if rows.min() < 0 else rows.max())
            raise DataError(f"{self.name} ({self.split}) has {len(self):,} images and no row {wrong}: count from 0.")
        digest = hashlib.blake2b(self.fingerprint.encode(), digest_size=16)
        digest.update(rows.astype("<i8").tobytes())
        return dataclasses.replace(
            self,
            pixels=_take(self.pixels, rows),
            labels=None if self.labels is None else self.labels[rows],
            fingerprint=digest.hexdigest(),
        )


def load_images(
    data: str,
    split: Split = "train",
    *,
    image_size: int | None = None,
    channels: Literal[1, 3] | None = None,
    corrupt: Literal["refuse", "skip"] = "refuse",
    cache: Path | None = None,
    report: Callable[[str], None] | None = None,
    identities: bool = False,
) -> ImageSet:
    """Open a set of images, decoding it on first use.

    A source without a test split gives the 20% of each class whose content hashes lowest to one, always the same; for
    identities, the 20% of the classes whose names hash lowest.

    Args:
        data: ``digits`` or ``glyphs``; a folder of class folders, with or without train/ and test/ above them; a
            .parquet file (a column called split, or ending in _split, divides it), or a folder of them with train and
            test in their names; or the name of a dataset on the Hugging Face Hub.
        split: "train" or "test".
        image_size: resize the shorter side to this many pixels and cut out the square centre; None keeps sizes, which
            must then be the same for all images.
        channels: 1 reads all in grey, 3 all in colour, None as they are stored.
        corrupt: "refuse" stops at an image that can't be read, "skip" leaves it out and lists it.
        cache: where decoded images are kept; None is ``$VITRAIL_CACHE``, else ``~/.cache/vitrail``.
        report: gets a line now and then while images are decoded.
        identities: classes are people (or other identities): none may be in both parts. Some sources are such sets by
            themselves (``glyphs``, a divided .parquet file without a label in both parts).

    Raises:
        ConfigError: an option that can't be meant.
        DataError: the data isn't there, or something in it can't be used; the text says what and what to do.
        OutputError: the cache can't be written.
    """
    if split not in ("train", "test"):
        raise ConfigError(f'There is no split called {split!r}: ask for "train" or "test".')
    if channels not in (1, 3, None):
        raise ConfigError(f"Images have 1 channel (grey) or 3 (colour), not {channels}: choose one, or leave it out.")
    if image_size is not None and image_size < 1:
        raise ConfigError(f"An image size of {image_size} pixels can't be meant: give a positive number.")
    root = cache_root(cache)
    report = report or _silent
    sources = find_sources(str(data))
    own_test = "test" in sources
    identities = identities or sources["train"].identities
    options = Options(None if own_test else "train", image_size, channels, corrupt, identities=identities)
    train = _entry(sources["train"], options, root, report)
    entry = train
    if split == "test":
        header = train.header
        options = dataclasses.replace(
            options,
            part=None if own_test else "test",
            classes=header.classes if header.labelled and not identities else None,
            expected=(header.channels, header.height, header.width),
        )
        entry = _entry(sources["test" if own_test else "train"], options, root, report)
        if identities:
            _require_disjoint(str(data), header.classes, entry.header.classes)
    return ImageSet(
        name=str(data),
        split=split,
        pixels=entry.pixels,
        labels=entry.labels,
        classes=entry.header.classes,
        mean=train.header.mean,
        std=train.header.std,
        fingerprint=entry.header.fingerprint,
        skipped=entry.header.skipped,
        identities=identities,
    )


def stored_shape(data: str) -> tuple[int, int, int]:
    """Channels, height and width of the first image as it is stored, without decoding the others.

    Raises:
        DataError: the data isn't there, or has no readable image.
    """
    image = _first_image(data)
    return natural_channels(image), image.height, image.width


def stored_format(data: str) -> str:
    """The format of the first image as Pillow calls it, "JPEG" or "PNG"; "" for one that is drawn.

    Raises:
        DataError: the data isn't there, or has no readable image.
    """
    return _first_image(data).format or ""


def _first_image(data: str) -> Image.Image:
    source = find_sources(str(data))["train"]
    for example in source.read().examples:
        with contextlib.suppress(UnreadableImageError):
            return open_image(example.image, example.name)
    raise DataError(f"Nothing can be read from {source.where}: it has no readable image; add images.")


def hold_out(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split off a validation set: ``fraction`` of each class, drawn by ``seed``; both sides keep their order.

    Returns:
        What stays for training, and the validation set of ``ceil(fraction * n)`` images.

    Raises:
        ConfigError: a fraction that leaves one side empty.
    """
    labels = np.zeros(len(images), np.int64) if images.labels is None else images.labels
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shares = allot([len(rows) for rows in members], fraction) if 0 < fraction < 1 else [0]
    if not 0 < sum(shares) < len(images):
        raise ConfigError(
            f"Holding out {fraction} of {len(images):,} images leaves one side empty: give a fraction between 0 and 1."
        )
    order = np.random.default_rng(derive_seed(seed, "hold out"))
    held = np.zeros(len(images), dtype=bool)
    for rows, share in zip(members, shares, strict=True):
        held[order.permutation(rows)[:share]] = True
    return images.subset(np.flatnonzero(~held)), images.subset(np.flatnonzero(held))


def require_labels(images: ImageSet, classes: int = 2) -> NDArray[np.int64]:
    """The labels of a set that must have them.

    Args:
        images: the set.
        classes: the least number of classes that the task makes sense with.

    Raises:
        DataError: no labels, fewer classes, or a set of identities.
    """
    if images.labels is None:
        raise DataError(f"{images.name} has no labels, and this needs them: use class folders or add a label column.")
    if len(images.classes) < classes:
        raise DataError(
            f"{images.name} has {len(images.classes)} class ({', '.join(images.classes)}), and this needs at least "
            f"{classes}: add images of another class."
        )
    if images.identities:
        raise DataError(
            f"{images.name} has other classes to test on than to train on, and this needs the same: train on it with "
            "'vitrail train faces', or name other data."
        )
    return images.labels


def _entry(source: Source, options: Options, root: Path, report: Callable[[str], None]) -> Entry:
    made_from = [FORMAT, TEST_FRACTION, content_digest(source, root), dataclasses.astuple(options)]
    key = hashlib.blake2b(json.dumps(made_from).encode(), digest_size=16).hexdigest()
    return open_or_build(root, key, lambda writer: build_entry(source, options, writer, report), report)


def _require_disjoint(name: str, train: Sequence[str], test: Sequence[str]) -> None:
    """Refuse parts that share an identity: what is measured on one that was trained on says nothing."""
    shared = sorted(set(train) & set(test))
    if shared:
        raise DataError(
            f"{shared[0]} is in both the train and the test part of {name} ({len(shared):,} such identities), and none "
            "may be in both: move all of its images to one part."
        )


def _take(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    size = len(rows) * pixels[0].nbytes
    root = cache_root(None)
    if size <= _IN_MEMORY:
        return np.ascontiguousarray(pixels[rows])
    with output_errors(root), _unnamed_file(root) as file:
        for start in range(0, len(rows), 4096):
            file.write(np.ascontiguousarray(pixels[rows[start : start + 4096]]).data)
        file.flush()
        return np.memmap(file, np.uint8, "r", shape=(len(rows), *pixels.shape[1:]))


def _unnamed_file(folder: Path) -> BinaryIO:
    """A file without a name: its room is given back when the last array that maps it is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder))


def _silent(message: str) -> None:
    pass
