"""One pass over a source: decode every image in threads, in order, and append them to a cache entry."""

import contextlib
import hashlib
import itertools
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.data.cache import Report
from vitrail.data.decode import REPLACE_OR_SKIP, UnreadableImageError, natural_channels, open_image, to_array
from vitrail.data.entry import EntryWriter
from vitrail.data.examples import Example, Source
from vitrail.data.labels import content_split, encode_labels, identity_split
from vitrail.data.sources import file_digest
from vitrail.errors import DataError

TEST_FRACTION = 0.2
"""The share that a source without a test split gives to one."""

_CHUNK_BYTES = 2**22
_REPORT_SECONDS = 2.0


@dataclass(frozen=True)
class Options:
    """What decides, beside the source, what an entry holds.

    Attributes:
        part: which side of our split, for a source without a test split of its own; None takes all.
        image_size: both sides in pixels after resizing, or None: as they are.
        channels: 1 grey, 3 colour, None: as they are.
        corrupt: what to do about an image that can't be read.
        classes: the classes to use (those of the training split), or None to find them.
        expected: (channels, height, width) of the training split that this one must have, or None.
        identities: train and test get different classes: our split is one of classes, not of images.
    """

    part: Literal["train", "test"] | None
    image_size: int | None
    channels: Literal[1, 3] | None
    corrupt: Literal["refuse", "skip"]
    classes: tuple[str, ...] | None = None
    expected: tuple[int, int, int] | None = None
    identities: bool = False


def build_entry(source: Source, options: Options, writer: EntryWriter, report: Report) -> None:
    """Decode a source into a cache entry.

    Raises:
        DataError: an image can't be read (and ``corrupt`` is "refuse"), sizes or channels differ, a label is unusable,
            or nothing is left.
    """
    with warnings.catch_warnings():
        # Pillow warns about odd metadata and very large pictures. Neither is for the reader of a progress line.
        warnings.simplefilter("ignore")
        _build(source, options, writer, report)


def _build(source: Source, options: Options, writer: EntryWriter, report: Report) -> None:
    reading = source.read()
    if options.identities and not reading.labelled:
        raise DataError(
            f"{source.where} has no labels, and identities are told by them: make one folder of images a person, or "
            "add a label column."
        )
    examples: Iterable[Example] = reading.examples
    if options.part is not None:
        examples = itertools.compress(examples, _part(source, options.part, options.identities))
    names: list[str] = []
    labels: list[object] = []
    skipped: list[str] = []
    last = time.monotonic()
    with contextlib.closing(_decoded(iter(examples), options, source.where)) as chunks:
        for chunk in chunks:
            images = []
            for example, image in chunk:
                if image is None:
                    skipped.append(example.name)
                    continue
                images.append(image)
                names.append(example.name)
                labels.append(example.label)
            if images:
                writer.append(np.stack(images))
            if time.monotonic() - last > _REPORT_SECONDS:
                last = time.monotonic()
                report(f"Decoding {source.where}: {len(names):,} images")
    if not names:
        why = f"all of its {len(skipped)} images are damaged" if skipped else "it has no images"
        raise DataError(f"Nothing can be read from {source.where} ({options.part or 'all of it'}): {why}; add images.")
    if not reading.labelled:
        writer.finish(None, (), tuple(skipped))
        return
    numbers, classes = encode_labels(
        labels,
        names,
        source.where,
        declared=reading.classes,
        classes=options.classes,
        occurring=options.identities,
    )
    writer.finish(numbers, classes, tuple(skipped))


def _part(source: Source, part: Literal["train", "test"], identities: bool) -> list[bool]:
    """Which examples belong to one side of our split, from a first pass that decodes nothing."""
    labels: list[str] = []
    digests: list[bytes] = []
    for example in source.read().examples:
        labels.append(str(example.label))
        digests.append(b"" if identities else _digest(example.image))
    if identities and len(set(labels)) < 2:
        raise DataError(
            f"{source.where} has images of one identity, and some are needed to train on and others to test on: add "
            "folders or labels of others."
        )
    test = identity_split(labels, TEST_FRACTION) if identities else content_split(labels, digests, TEST_FRACTION)
    return [bool(mine) for mine in (test if part == "test" else ~test)]


def _digest(image: bytes | Path | NDArray[np.uint8]) -> bytes:
    if isinstance(image, Path):
        return file_digest(image)
    content = image if isinstance(image, bytes) else image.tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()


Decoded = list[tuple[Example, NDArray[np.uint8] | None]]


def _decoded(examples: Iterator[Example], options: Options, where: str) -> Generator[Decoded]:
    """Chunks of examples with their pixels ``[c H W]``, None for those to leave out; in order, few at a time."""
    decode: Callable[[Example], NDArray[np.uint8] | None] = _Decoder(options, where)
    first: Decoded = []
    for example in examples:  # the first readable image settles the shape, and so how many fit into a chunk
        first.append((example, decode(example)))
        if first[-1][1] is not None:
            break
    yield first
    last = first[-1][1] if first else None
    if last is None:
        return
    size = max(1, min(128, _CHUNK_BYTES // last.nbytes))
    workers = os.cpu_count() or 1
    pending: deque[Future[Decoded]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="vitrail-decode") as pool:
        try:
            while chunk := list(itertools.islice(examples, size)):
                pending.append(pool.submit(lambda chunk: [(example, decode(example)) for example in chunk], chunk))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Decoder:
    """Decodes examples to one shape: the one asked for, the training split's, or the first image's own."""

    def __init__(self, options: Options, where: str):
        self._options = options
        self._where = where
        self._model = "the training images" if options.expected else ""
        self._shape = options.expected

    def __call__(self, example: Example) -> NDArray[np.uint8] | None:
        try:
            image = open_image(example.image, example.name, REPLACE_OR_SKIP)
        except UnreadableImageError:
            if self._options.corrupt == "skip":
                return None
            raise
        array = to_array(image, self._options.channels or self._channels(image, example), self._options.image_size)
        if self._shape is None:
            self._shape, self._model = (array.shape[0], array.shape[1], array.shape[2]), example.name
        if array.shape != self._shape:
            raise DataError(
                f"The images of {self._where} differ in size: {example.name} has {array.shape[1]}x{array.shape[2]} "
                f"pixels and {self._model} {self._shape[1]}x{self._shape[2]} (height x width); resize them all with "
                f"--image-size {min(self._shape[1:])} (image_size={min(self._shape[1:])})."
            )
        return array

    def _channels(self, image: Image.Image, example: Example) -> Literal[1, 3]:
        found = natural_channels(image)
        if self._shape is not None and found != self._shape[0]:
            kinds = {1: "grey (1 channel)", 3: "colour (3 channels)"}
            raise DataError(
                f"The images of {self._where} differ in channels: {example.name} is {kinds[found]} and {self._model} "
                f"{kinds[self._shape[0]]}; read them all alike with --channels 3 or --channels 1 (channels=)."
            )
        return found
