"""TensorBoard's own page, photographed; and what is said where that can't be."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main
from vitrail.errors import ConfigError
from vitrail.homework.pack_screenshot import HEIGHT, SCALE, WIDTH, photograph
from vitrail.train.journal import Journal

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def events(here: Path) -> Path:
    """A folder with the event files of a training."""
    folder = Path("runs/homework-summarization")
    folder.mkdir(parents=True)
    journal = Journal(folder, 0)
    for step in range(1, 41):
        journal.write(step, {"train/loss": 6 / step, "train/accuracy": 0.1}, {"time/step": 0.5})
        if step % 20 == 0:
            journal.write(step, {"evaluation/loss": 7 / step, "evaluation/accuracy": step / 80}, {})
    journal.close()
    return folder


def test_without_event_files_there_is_nothing_to_photograph(here: Path) -> None:
    shot = photograph(here)
    assert (shot.picture, shot.why) == (None, "there are no event files")


def test_without_a_browser_it_is_said_and_drawn(
    events: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(events))
    assert photograph(events).why == "there is no Chromium or Chrome"
    assert main(["homework", "pack"]) == 0
    said = capsys.readouterr().out
    assert "written/pictures/curves.png" in said
    assert "apt-get install chromium" in said
    text = Path("written/answers.md").read_text()
    assert "this is no picture of TensorBoard, for there is no Chromium or Chrome: Vitrail drew" in text
    assert "drawn by Vitrail" in text
    assert not Path("written/pictures/tensorboard.png").exists()


def test_a_browser_that_is_not_there_is_a_mistake(events: Path) -> None:
    with pytest.raises(ConfigError, match="there is no program 'netscape' to take pictures with"):
        photograph(events, "netscape")


def test_a_browser_that_is_none_is_said(events: Path) -> None:
    program = events / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    os.chmod(program, 0o755)
    shot = photograph(events, str(program.absolute()))
    assert shot.picture is None
    assert shot.why.startswith("it could not be photographed (")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium")
def test_tensorboard_is_photographed(events: Path) -> None:
    """Its bar is orange, and there are lines below it."""
    shot = photograph(events, str(CHROMIUM))
    assert shot.picture is not None, shot.why
    with Image.open(io.BytesIO(shot.picture)) as picture:
        assert picture.size == (SCALE * WIDTH, SCALE * HEIGHT)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.abs(pixels[30, 900] - (245, 124, 0)) < 40).all()
    dark = (pixels[300:, 500:].max(2) < 120).sum()
    assert dark > 3000, "lines, their axes and their numbers"
