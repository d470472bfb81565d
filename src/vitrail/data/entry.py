"""What an entry of the image cache is on disk: written once, then mapped.

A folder with

- ``pixels.u8``: every image, uint8 ``[n c H W]``, nothing else, so that it can be mapped as it is;
- ``labels.i64``: int64 ``[n]``, absent without labels;
- ``header.json``: shape, classes, statistics, fingerprint, and a checksum of itself.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
"""Raised when entries of before can't be used any more: decoding or layout changed."""


@dataclass(frozen=True)
class Header:
    """What is known about an entry beside its pixels; the fields are those of ``ImageSet``."""

    count: int
    channels: int
    height: int
    width: int
    labelled: bool
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """An opened entry: pixels uint8 ``[n c H W]`` mapped read-only, labels int64 ``[n]`` or None."""

    header: Header
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


class EntryWriter:
    """Appends images to an entry that is being built; never holds more than the chunk it is given.

    Pixels are written, not stored through a map: on a full disk a write raises an error, a map kills the process.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._pixels: BinaryIO = (folder / "pixels.u8").open("wb")
        self._digest = hashlib.blake2b(digest_size=16)
        self._shape: tuple[int, int, int] | None = None
        self._count = 0
        self._sums = np.zeros(0, np.int64)
        self._squares = np.zeros(0, np.int64)

    def append(self, chunk: NDArray[np.uint8]) -> None:
        """Add images ``[k c H W]``, of one shape for the whole entry."""
        if self._shape is None:
            self._shape = (chunk.shape[1], chunk.shape[2], chunk.shape[3])
            self._sums = np.zeros(chunk.shape[1], np.int64)
            self._squares = np.zeros(chunk.shape[1], np.int64)
        chunk = np.ascontiguousarray(chunk)
        self._pixels.write(chunk.data)
        self._digest.update(chunk.data)
        self._count += len(chunk)
        # Whole numbers: the statistics don't depend on how the set was cut into chunks.
        self._sums += chunk.sum(axis=(0, 2, 3), dtype=np.int64)
        self._squares += np.square(chunk, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.int64)

    def finish(self, labels: NDArray[np.int64] | None, classes: tuple[str, ...], skipped: tuple[str, ...]) -> None:
        """Write what stands beside the pixels, and make all of it durable."""
        assert self._shape is not None, "an entry without images is refused before this"
        channels, height, width = self._shape
        values = self._count * height * width
        mean = self._sums / values / 255
        variance = np.maximum(self._squares / values / 255**2 - mean**2, 0)
        if labels is not None:
            (self._folder / "labels.i64").write_bytes(labels.astype("<i8").tobytes())
            self._digest.update(labels.astype("<i8").tobytes())
        self._digest.update(repr((self._count, self._shape, classes)).encode())
        header = Header(
            count=self._count,
            channels=channels,
            height=height,
            width=width,
            labelled=labels is not None,
            classes=classes,
            mean=tuple(mean.tolist()),
            # A channel that never changes has no spread; one grey level instead keeps the division harmless.
            std=tuple(np.maximum(np.sqrt(variance), 1 / 255).tolist()),
            fingerprint=self._digest.hexdigest(),
            skipped=skipped,
        )
        (self._folder / "header.json").write_text(_sealed(header))
        self.close(durable=True)
        for path in self._folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())

    def close(self, durable: bool = False) -> None:
        """Close the pixel file; may be called again."""
        if durable:
            self._pixels.flush()
        # A buffer that could not be written is lost with its folder; closing must not hide the first error.
        with contextlib.suppress(OSError):
            self._pixels.close()


def open_entry(folder: Path) -> Entry | None:
    """The entry in ``folder``; None if there is none, or one that is cut short or altered."""
    try:
        header = _unsealed((folder / "header.json").read_text())
        if header is None:
            return None
        shape = (header.count, header.channels, header.height, header.width)
        if (folder / "pixels.u8").stat().st_size != int(np.prod(shape, dtype=np.int64)):
            return None
        pixels = np.memmap(folder / "pixels.u8", np.uint8, "r", shape=shape)
        labels = None
        if header.labelled:
            labels = np.fromfile(folder / "labels.i64", "<i8").astype(np.int64)
            if labels.shape != (header.count,) or not ((labels >= 0) & (labels < len(header.classes))).all():
                return None
    except (OSError, ValueError):
        return None
    return Entry(header, pixels, labels)


def _sealed(header: Header) -> str:
    content = json.dumps(asdict(header))
    return json.dumps({"format": FORMAT, "checksum": hashlib.blake2b(content.encode()).hexdigest(), "header": content})


def _unsealed(text: str) -> Header | None:
    outer = json.loads(text)
    if not isinstance(outer, dict) or outer.get("format") != FORMAT or not isinstance(outer.get("header"), str):
        return None
    content: str = outer["header"]
    if hashlib.blake2b(content.encode()).hexdigest() != outer.get("checksum"):
        return None
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(content).items()
    }
    return Header(**fields)
