"""Two processes train the face network that one does: they share batches, and mine each as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.recipes.runs import open_run

OPTIONS = ["--network", "vit", "--dim", "16", "--heads", "2", "--depth", "2", "--mlp-dim", "32", "--patch-size", "4"]
OPTIONS += ["--batch-size", "25", "--per-person", "5", "--epochs", "3", "--precision", "float32", "--flip"]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    for person in range(15):
        pattern = np.random.default_rng(person).integers(0, 256, (12, 12, 3))
        folder = tmp_path / "people" / ("train" if person < 10 else "test") / f"p{person}"
        folder.mkdir(parents=True)
        for number in range(5):
            noise = np.random.default_rng(100 * person + number).normal(0, 60, pattern.shape)
            Image.fromarray((pattern + noise).clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    command = ["-m", "vitrail", "train", "faces", "--data", "people", *OPTIONS]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    for name, launch, more in (
        ("one", [sys.executable], []),
        ("two", two, []),
        ("parts", two, ["--micro-batches", "3"]),
    ):
        done = subprocess.run(
            [*launch, *command, "--run", name, *more],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / name / "evaluation.json").read_text())["people"] == 5
    images = torch.randint(0, 256, (7, 3, 12, 12), dtype=torch.uint8)
    alone, figures = open_run(tmp_path / "one").embed(images), first_line(tmp_path / "one")
    for name in ("two", "parts"):
        # Weights that the loss doesn't depend on, as the biases of keys, follow the rounding; embeddings don't.
        torch.testing.assert_close(open_run(tmp_path / name).embed(images), alone, atol=1e-3, rtol=0)
        assert first_line(tmp_path / name) == pytest.approx(figures, abs=1e-4)


def first_line(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    return found
