"""Subsets and held-out sets."""

from pathlib import Path

import numpy as np
import pytest
from data_pictures import image_set

from vitrail.data import hold_out
from vitrail.data import images as images_module


@pytest.mark.parametrize("in_memory", [True, False])
def test_subset(cache: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    if not in_memory:
        monkeypatch.setattr(images_module, "_IN_MEMORY", 100)
    images = image_set()
    rows = [7, 3, 3, 40]
    part = images.subset(rows)
    assert isinstance(part.pixels, np.memmap) is not in_memory
    assert np.array_equal(part.pixels, images.pixels[rows])
    assert images.labels is not None
    assert part.labels is not None
    assert part.labels.tolist() == images.labels[rows].tolist()
    assert part.fingerprint not in (images.fingerprint, images.subset([3, 7, 3, 40]).fingerprint)
    assert part.fingerprint == images.subset(np.array(rows)).fingerprint
    assert not list(cache.glob("**/*"))  # the temporary file has no name


def test_hold_out_is_stratified_and_only_the_seeds() -> None:
    images = image_set(101)
    train, held = hold_out(images, 0.2, seed=5)
    assert (len(train), len(held)) == (80, 21)
    assert images.labels is not None
    assert held.labels is not None
    shares = np.bincount(held.labels, minlength=4) - 0.2 * np.bincount(images.labels)
    assert np.abs(shares).max() < 1
    both = sorted(pixels.tobytes() for pixels in np.concatenate([train.pixels, held.pixels]))
    assert both == sorted(pixels.tobytes() for pixels in images.pixels)
    assert hold_out(images, 0.2, seed=5)[1].fingerprint == held.fingerprint
    assert hold_out(images, 0.2, seed=6)[1].fingerprint != held.fingerprint
