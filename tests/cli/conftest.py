"""Two small runs on digits that the commands' tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main

SMALL = ["--dim", "16", "--heads", "2", "--depth", "1", "--mlp-dim", "32", "--epochs", "1", "--batch-size", "479"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``runs/mae`` (no CLS), ``runs/cls`` (with CLS), ``runs/vit`` and ``three.png``."""
    folder = tmp_path_factory.mktemp("commands")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "mae", "--run", "runs/mae", *SMALL]) == 0
        assert main(["train", "mae", "--run", "runs/cls", "--preset", "tiny", "--pool", "cls", *SMALL]) == 0
        assert main(["train", "vit", "--run", "runs/vit", *SMALL]) == 0
    finally:
        os.chdir(before)
    Image.fromarray(np.arange(121, dtype=np.uint8).reshape(11, 11)).save(folder / "three.png")
    return folder


@pytest.fixture
def small() -> list[str]:
    """Options for a model and a training so small that they take a second."""
    return SMALL


@pytest.fixture
def here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the runs as the working folder."""
    monkeypatch.chdir(runs)
    return runs
