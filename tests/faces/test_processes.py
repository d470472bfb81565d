"""Two processes mine the triplets of one: the same gradients, the same runs, the same refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from faces_toy import TinyNet, faces, run
from torch import Tensor

from vitrail.faces.caching import triplet_objective
from vitrail.nn.randomness import RowRandom
from vitrail.train import load_weights

PROGRAM = Path(__file__).with_name("faces_pair.py")
SAME: dict[str, dict[str, Any]] = {
    "cached": {"objective": {"chunk": 4}},
    "uncached": {"objective": {"chunk": 100}, "config": {"clip": 0.5}},
    "random": {"objective": {"chunk": 6, "mining": "random-semi-hard"}},
}
REFUSED = {"parts": {"objective": {"chunk": 4}, "config": {"micro_batches": 2}}}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("faces-pairs")
    (work / "scenarios.json").write_text(json.dumps({**SAME, **REFUSED}))
    processes = []
    for rank in range(2):
        places = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment = {**os.environ, **places, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost"}
        command = [sys.executable, str(PROGRAM), str(work)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        ends = [process.communicate(timeout=150)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(ends)
    return work


@pytest.mark.parametrize("name", ["cached", "uncached"])
def test_their_gradients_sum_to_those_of_one(pairs: Path, name: str) -> None:
    both = [torch.load(pairs / f"gradients-{rank}.pt", weights_only=True)[name] for rank in range(2)]
    network, batch = TinyNet().double(), faces(23, dtype=torch.float64)
    objective = triplet_objective(network, chunk=100, mining="hardest-semi-hard")
    objective.accumulate(batch, RowRandom(0, 0, batch.rows, batch.total), Tensor.backward)
    for parameter, first, second in zip(network.parameters(), *both, strict=True):
        assert parameter.grad is not None
        assert first.abs().max() > 1e-3
        assert second.abs().max() > 1e-3
        torch.testing.assert_close(first + second, parameter.grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", SAME)
def test_their_runs_are_those_of_one(pairs: Path, tmp_path: Path, name: str) -> None:
    run(tmp_path, SAME[name])
    ours, theirs = load_weights(tmp_path), load_weights(pairs / name)
    for parameter, value in ours.items():
        torch.testing.assert_close(theirs[parameter], value, rtol=1e-4, atol=1e-5)
    lines = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (tmp_path, pairs / name)]
    assert len(lines[0]) == len(lines[1]) == 12
    for one, two in zip(*lines, strict=True):
        assert json.loads(two) == pytest.approx(json.loads(one), rel=1e-3)


def test_micro_batches_are_refused_in_both(pairs: Path) -> None:
    for rank in range(2):
        end = json.loads((pairs / f"ends-{rank}.json").read_text())
        assert "ConfigError: the loss is that of the whole batch of 29 images, but only 1" in end["parts"]
        assert not any(end[name] for name in SAME)
