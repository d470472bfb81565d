"""A summarizer's training cut off in the middle of an epoch, by SIGKILL, and shared by two processes."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vitrail.recipes.text_runs import open_text_run

OPTIONS = ["--data", "texts.jsonl", "--preset", "tiny", "--vocabulary", "290", "--longest-document", "53"]
OPTIONS += ["--longest-summary", "13", "--batch-size", "500", "--epochs", "3", "--precision", "float32", "--test", "0"]
OPTIONS += ["--save-every", "5"]

KILLED = """
import os, signal, sys
from vitrail.cli import main
from vitrail.text.objective import SummaryObjective

whole, steps = SummaryObjective.loss, 0

def loss(self, batch, random):
    global steps
    if self.module.training:
        steps += 1
        if steps > {steps}:
            os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, batch, random)

SummaryObjective.loss = loss
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with ``texts.jsonl``, of unequal lengths."""
    chance = random.Random(5)
    words = ("house", "river", "cloud", "stone", "bread", "glass", "tower")
    rows = [
        {
            "document": " ".join(chance.choice(words) for _ in range(chance.randint(2, 40))),
            "summary": " ".join(chance.choice(words) for _ in range(chance.randint(1, 6))),
            "split": ("validation", *["train"] * 9)[number % 10],
        }
        for number in range(170)
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def start(folder: Path, launch: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *launch, "train", "summarizer", *OPTIONS, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return open_text_run(folder).model.state_dict()


def test_killed_in_the_middle_of_an_epoch_it_goes_on_to_the_bit(texts: Path) -> None:
    assert start(texts, ["-m", "vitrail"], "--run", "whole").returncode == 0
    for steps in (8, 11):  # the second time counted from the checkpoint that it goes on from
        killed = start(texts, ["-c", KILLED.format(steps=steps)], "--run", "cut")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = start(texts, ["-m", "vitrail"], "--run", "cut")
    assert done.returncode == 0, done.stderr
    assert "going on after step 15 of" in done.stdout
    expected = weights(texts / "whole")
    assert all(torch.equal(found, expected[name]) for name, found in weights(texts / "cut").items())
    assert (texts / "cut" / "metrics.jsonl").read_text() == (texts / "whole" / "metrics.jsonl").read_text()


def test_two_processes_learn_what_one_does(texts: Path) -> None:
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--", "-m", "vitrail"]
    for name, launch, more in (
        ("one", ["-m", "vitrail"], []),
        ("two", two, []),
        ("parts", two, ["--micro-batches", "3"]),
    ):
        done = start(texts, launch, "--run", name, "--dropout", "0", "--epochs", "2", *more)
        assert done.returncode == 0, done.stderr
    alone = json.loads((texts / "one" / "metrics.jsonl").read_text().splitlines()[-1])
    source, target = torch.tensor([[5, 7, 11, 1]]), torch.tensor([[1, 13, 17]])
    with torch.no_grad():
        expected = open_text_run(texts / "one").model(source, target)
        for name in ("two", "parts"):
            figures = json.loads((texts / name / "metrics.jsonl").read_text().splitlines()[-1])
            assert figures == pytest.approx(alone, rel=1e-4)
            # A bias that the loss hardly depends on, as that of keys, follows the rounding; logits don't.
            torch.testing.assert_close(open_text_run(texts / name).model(source, target), expected, atol=1e-3, rtol=0)
