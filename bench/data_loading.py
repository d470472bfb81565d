"""Loading and augmenting training images: ``ImageBatches`` beside a plain per-image PIL pipeline in a DataLoader.

Both crop with 4 pixels of padding, mirror at random and normalise, on CIFAR-10 (JPEG) where it is beside the checkout,
else on as many generated JPEGs of that size. The plain pipeline decodes a JPEG from the parquet file's bytes for each
image, pads, crops and mirrors it with PIL, and makes a normalised tensor, in a ``torch.utils.data.DataLoader`` with 0
and with 2 workers; the better of the two counts. Sides take turns, so that other work on the machine meets both;
it still hurts the workers most, so that only figures from a machine at rest (load near 0 before) are worth quoting.

    python bench/data_loading.py [--seconds 2] [--rounds 3]
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from vitrail.data import Augmentation, ImageBatches, ImageSet, load_images

CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10" / "cifar10_jpeg_train.parquet"
PADDING = 4
BATCHES = (128, 256, 512)


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """The pipeline of most tutorials: one image at a time, from JPEG to normalised tensor."""

    def __init__(self, parquet: Path, mean: tuple[float, ...], std: tuple[float, ...]):
        table = pq.read_table(parquet, columns=["image", "label"])
        self.files = [row["bytes"] for row in table["image"].to_pylist()]
        self.labels = table["label"].to_pylist()
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        image = Image.open(io.BytesIO(self.files[row])).convert("RGB")
        width, height = image.size
        padded = Image.new("RGB", (width + 2 * PADDING, height + 2 * PADDING))
        padded.paste(image, (PADDING, PADDING))
        left, top = (int(torch.randint(2 * PADDING + 1, ())) for _ in range(2))
        image = padded.crop((left, top, left + width, top + height))
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
        return (pixels - self.mean) / self.std, self.labels[row]


def plain(dataset: PerImage, batch_size: int, workers: int) -> Generator[int]:
    """Sizes of the plain pipeline's batches, epoch after epoch."""
    loader = DataLoader(
        dataset, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        for images, _ in loader:
            yield len(images)


def ours(images: ImageSet, batch_size: int) -> Generator[int]:
    """Sizes of our batches."""
    augmentation = Augmentation(crop_padding=PADDING, flip=True)
    for parts in ImageBatches(images, batch_size, seed=0, augmentation=augmentation):
        yield sum(len(part.images) for part in parts)


def rate(batches: Generator[int], seconds: float) -> float:
    """Images per second, once the pipeline is running."""
    for _ in range(4):
        next(batches)
    start = time.perf_counter()
    done = 0
    while (spent := time.perf_counter() - start) < seconds:
        done += next(batches)
    return done / spent


def generated(folder: Path, count: int = 20_000) -> Path:
    """A parquet file like CIFAR-10's, of smooth random pictures."""
    draw = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
        files.append({"bytes": buffer.getvalue(), "path": None})
    path = folder / "generated" / "train.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"image": files, "label": draw.integers(0, 10, count)}), path)
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side; the median counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parquet = CIFAR if CIFAR.is_file() else generated(Path(folder))
        data = str(parquet.parent)  # the whole folder: a file by itself would be split into train and test
        start = time.perf_counter()
        images = load_images(data, cache=Path(folder))
        first = time.perf_counter() - start
        start = time.perf_counter()
        load_images(data, cache=Path(folder))
        again = time.perf_counter() - start
        measure(options.seconds, options.rounds, parquet, images, first, again)


def measure(seconds: float, rounds: int, parquet: Path, images: ImageSet, first: float, again: float) -> None:
    """The table, then one line of JSON."""
    dataset = PerImage(parquet, images.mean, images.std)
    real = parquet == CIFAR
    load = os.getloadavg()[0]
    print(f"{'CIFAR-10 (JPEG)' if real else 'generated JPEGs'}; load average of the machine before: {load:.1f}")
    print(f"{torch.get_num_threads()} threads on {os.cpu_count()} cores")
    print(f"first load (decodes {len(images):,} images): {first:.2f} s; every later load: {again * 1000:.1f} ms")
    print(f"{'batch':>6} {'ours':>12} {'PIL, 0 workers':>15} {'PIL, 2 workers':>15} {'ratio':>7}   images/s")
    rows = []
    for batch_size in BATCHES:
        sides: dict[str, Callable[[], Generator[int]]] = {
            "ours": lambda size=batch_size: ours(images, size),
            "pil_0": lambda size=batch_size: plain(dataset, size, 0),
            "pil_2": lambda size=batch_size: plain(dataset, size, 2),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, start in sides.items():
                batches = start()
                rates[name].append(rate(batches, seconds))
                batches.close()
        median = {name: statistics.median(values) for name, values in rates.items()}
        ratio = median["ours"] / max(median["pil_0"], median["pil_2"])
        shown = f"{median['ours']:>12,.0f} {median['pil_0']:>15,.0f} {median['pil_2']:>15,.0f}"
        print(f"{batch_size:>6} {shown} {ratio:>6.1f}x")
        rows.append({"batch": batch_size, **{name: round(value) for name, value in median.items()}, "ratio": ratio})
    print(
        json.dumps(
            {
                "bench": "data_loading",
                "data": "cifar10-jpeg" if real else "generated",
                "threads": torch.get_num_threads(),
                "load_before": round(load, 2),
                "first_load_s": round(first, 2),
                "later_load_s": round(again, 5),
                "batches": [{**row, "ratio": round(row["ratio"], 1)} for row in rows],
                "smallest_ratio": round(min(row["ratio"] for row in rows), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
