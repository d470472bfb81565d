"""Small image files and sets in the forms that a source may have."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from vitrail.data import ImageSet

HEIGHT, WIDTH = 7, 5


def encode(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def colour(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_classes(folder: Path, counts: dict[str, int], seed: int = 0) -> None:
    """Class folders with so many 7x5 colour PNGs each, no two alike."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            seed += 1
            (folder / name / f"{number}.png").write_bytes(encode(colour(seed)))


def write_parquet(path: Path, images: Sequence[object], labels: Sequence[object] | None = None) -> Path:
    columns: dict[str, Sequence[object]] = {"image": images}
    if labels is not None:
        columns["label"] = labels
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def image_set(count: int = 41, channels: int = 3, height: int = HEIGHT, width: int = WIDTH) -> ImageSet:
    """A labelled set of four classes in memory, its pixels drawn at random."""
    draw = np.random.default_rng(3)
    return ImageSet(
        name="made",
        split="train",
        pixels=draw.integers(0, 256, (count, channels, height, width), dtype=np.uint8),
        labels=draw.integers(0, 4, count),
        classes=("a", "b", "c", "d"),
        mean=(0.5, 0.4, 0.3)[:channels],
        std=(0.2, 0.3, 0.25)[:channels],
        fingerprint="0",
        skipped=(),
    )
