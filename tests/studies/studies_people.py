"""Made-up people in a folder."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 12


def write_people(folder: Path, people: range, each: int, suffix: str = "png") -> None:
    """Each person is a pattern under noise."""
    for person in people:
        pattern = np.random.default_rng(person).integers(0, 256, (4, 4, 3)).repeat(3, 0).repeat(3, 1)
        (folder / f"p{person:02d}").mkdir(parents=True)
        for number in range(each):
            noise = np.random.default_rng(1000 * person + number).normal(0, 60, pattern.shape)
            image = (pattern + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / f"p{person:02d}" / f"{number:02d}.{suffix}")
