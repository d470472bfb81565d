"""Small runs, on digits and on made-up people, that the commands' tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main

SMALL = ["--dim", "16", "--heads", "2", "--depth", "1", "--mlp-dim", "32", "--epochs", "1", "--batch-size", "479"]


FACES = ["--network", "vit", "--dim", "16", "--heads", "2", "--depth", "1", "--mlp-dim", "32", "--patch-size", "4"]
FACES += ["--batch-size", "20", "--per-person", "5", "--epochs", "2"]


def write_people(folder: Path) -> None:
    """12 people to train on and 7 others, 5 images each: a pattern and noise."""
    for person in range(19):
        pattern = np.random.default_rng(person).integers(0, 256, (12, 12, 3))
        place = folder / ("train" if person < 12 else "test") / f"p{person}"
        place.mkdir(parents=True)
        for number in range(5):
            noise = np.random.default_rng(100 * person + number).normal(0, 60, pattern.shape)
            Image.fromarray((pattern + noise).clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``runs/mae`` (no CLS), ``runs/cls`` (with CLS), ``runs/vit``, ``runs/faces`` (on ``people``) and
    ``three.png``."""
    folder = tmp_path_factory.mktemp("commands")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "mae", "--run", "runs/mae", *SMALL]) == 0
        assert main(["train", "mae", "--run", "runs/cls", "--preset", "tiny", "--pool", "cls", *SMALL]) == 0
        assert main(["train", "vit", "--run", "runs/vit", *SMALL]) == 0
        write_people(folder / "people")
        assert main(["train", "faces", "--run", "runs/faces", "--data", "people", *FACES]) == 0
    finally:
        os.chdir(before)
    Image.fromarray(np.arange(121, dtype=np.uint8).reshape(11, 11)).save(folder / "three.png")
    return folder


@pytest.fixture
def small() -> list[str]:
    """Options for a model and a training so small that they take a second."""
    return SMALL


@pytest.fixture
def small_faces() -> list[str]:
    """Options for a face network and a training so small that they take a second."""
    return FACES


@pytest.fixture
def here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the runs as the working folder."""
    monkeypatch.chdir(runs)
    return runs
