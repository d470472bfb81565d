"""Two processes do what one does: the same losses and weights for the same global batch, and they stop together."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from train_toy import AccumulatingToy, ToyBatches, ToyNet, ToyObjective, evaluate, toy_config

from vitrail.train import load_weights, train
from vitrail.train.checkpoint import STATE, load_state

Scenario = dict[str, Any]
PROGRAM = Path(__file__).with_name("train_pair.py")

SAME: dict[str, Scenario] = {
    "plain": {"config": {"clip": 0.5, "ema": 0.9}},
    "unequal-parts": {"config": {"batch_size": 23, "micro_batches": 2}, "keep": 0.3},
    "muon": {"config": {"optimizer": "muon", "micro_batches": 3, "weight_decay": 0.2}},
    "own-backward": {"config": {"batch_size": 23, "micro_batches": 2, "clip": 0.5}, "accumulate": True},
}
FAULTS: dict[str, Scenario] = {
    "term": {"config": {}, "fault": [1, 10, "term"]},
    "nan": {"config": {"batch_size": 23}, "fault": [1, 10, "nan"]},
    "full": {"config": {}, "fault": [0, 10, "full"]},
}
SHARDED: dict[str, Scenario] = {
    "fsdp": {"config": {"sharding": "fsdp", "clip": 0.5, "ema": 0.9, "micro_batches": 2}},
    "fsdp-muon": {"config": {"sharding": "fsdp", "optimizer": "muon"}},
    "fsdp-stopped": {"config": {"sharding": "fsdp", "ema": 0.9}, "fault": [1, 10, "term"]},
    "fsdp-own-backward": {"config": {"sharding": "fsdp"}, "accumulate": True},
}


def in_pairs(work: Path, scenarios: dict[str, Scenario]) -> dict[str, list[dict[str, Any]]]:
    """Run scenarios in two processes, one after the other; both processes' results."""
    given = [
        {"folder": str(work / name), "keep": 0.7, "accumulate": False, "fault": None, **scenario}
        for name, scenario in scenarios.items()
    ]
    (work / "scenarios.json").write_text(json.dumps(given))
    processes = []
    for rank in range(2):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
        }
        command = [sys.executable, str(PROGRAM), str(work)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    ends = [process.communicate(timeout=150)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(ends)
    both = [json.loads((work / f"results-{rank}.json").read_text()) for rank in range(2)]
    return {name: [results[place] for results in both] for place, name in enumerate(scenarios)}


def alone(folder: Path, scenario: Scenario) -> None:
    config = toy_config(**{**scenario["config"], "sharding": "ddp", "micro_batches": 1})
    objective = (AccumulatingToy if scenario.get("accumulate") else ToyObjective)(
        ToyNet(dropout=0.0), scenario.get("keep", 0.7)
    )
    train(objective, ToyBatches(config.batch_size), config, folder, evaluate=evaluate)


def compare(pair: Path, one: Path, tolerance: float = 1e-5) -> None:
    ours, theirs = load_weights(one), load_weights(pair)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if name != "seen":  # counts forward passes of a process
            torch.testing.assert_close(
                theirs[name], tensor, rtol=tolerance, atol=tolerance, msg=lambda text, n=name: f"{n}: {text}"
            )
    lines = [[json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()] for path in (pair, one)]
    assert len(lines[0]) == len(lines[1]) > 10
    for pair_line, one_line in zip(*lines, strict=True):
        assert pair_line == pytest.approx(one_line, rel=tolerance, abs=tolerance)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    work = tmp_path_factory.mktemp("pairs")
    return work, in_pairs(work, {**SAME, **FAULTS})


Pairs = tuple[Path, dict[str, list[dict[str, Any]]]]


@pytest.mark.parametrize("name", SAME)
def test_two_processes_learn_what_one_does(pairs: Pairs, tmp_path: Path, name: str) -> None:
    work, results = pairs
    alone(tmp_path, SAME[name])
    compare(work / name, tmp_path)
    assert [result["finished"] for result in results[name]] == [True, True]
    assert results[name][1]["told"] == 0  # only the first one reports


def test_a_signal_to_one_stops_both_at_the_same_step(pairs: Pairs) -> None:
    work, results = pairs
    assert [(result["finished"], result["steps"]) for result in results["term"]] == [(False, 12), (False, 12)]
    assert load_state(work / "term" / STATE)["step"] == 12


def test_a_run_of_two_goes_on_with_one(pairs: Pairs, tmp_path: Path) -> None:
    work, _ = pairs
    config = toy_config()
    train(ToyObjective(ToyNet(dropout=0.0)), ToyBatches(), config, work / "term", evaluate=evaluate)
    alone(tmp_path, {"config": {}})
    compare(work / "term", tmp_path)


def test_a_bad_loss_in_one_stops_both_and_is_named(pairs: Pairs) -> None:
    work, results = pairs
    for result in results["nan"]:
        assert result["error"] == "NonFiniteLossError"
        assert "became nan in step 11, in rows 11 to 22 (indices 10011, 10012, " in result["text"]
    assert load_state(work / "nan" / STATE)["step"] == 7


def test_a_full_disk_stops_both(pairs: Pairs) -> None:
    work, results = pairs
    for result in results["full"]:
        assert result["error"] == "OutputError"
        assert "No space left on device" in result["text"]
    assert load_state(work / "full" / STATE)["step"] == 7


@pytest.mark.slow
def test_torchrun_stops_and_goes_on(tmp_path: Path) -> None:
    """SIGTERM to torchrun itself, as a cluster sends it: both processes save; the same command then finishes."""
    config = {"steps": 2500, "log_every": 100, "save_every": 0, "evaluate_every": 0}
    run = tmp_path / "run"
    scenario = {"folder": str(run), "config": config, "keep": 0.7, "accumulate": False, "fault": None}
    (tmp_path / "scenarios.json").write_text(json.dumps([scenario]))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, str(PROGRAM), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as first:
        while first.poll() is None and not (run / "metrics.jsonl").exists():
            time.sleep(0.1)
        time.sleep(1)
        first.terminate()
    stopped = load_state(run / STATE)["step"]
    assert 0 < stopped < 2500
    assert subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode == 0
    alone(tmp_path / "one", {"config": config})
    lines = [(path / "metrics.jsonl").read_text().splitlines() for path in (run, tmp_path / "one")]
    assert len(lines[0]) == len(lines[1])
    for pair_line, one_line in list(zip(*lines, strict=True))[:5]:  # later, rounding has grown through 1,000s of steps
        assert json.loads(pair_line) == pytest.approx(json.loads(one_line), rel=1e-3)


@pytest.mark.slow
def test_sharded_parameters_learn_the_same(tmp_path: Path) -> None:
    results = in_pairs(tmp_path, SHARDED)
    # Muon's own iteration is in bf16, which makes more of a gradient's last bit than float32 does.
    for name, tolerance in (("fsdp", 1e-5), ("fsdp-muon", 2e-3)):
        alone(tmp_path / "one" / name, SHARDED[name])
        compare(tmp_path / name, tmp_path / "one" / name, tolerance)
    assert [result["steps"] for result in results["fsdp-stopped"]] == [12, 12]
    (tmp_path / "again").mkdir()
    (tmp_path / "fsdp-stopped").rename(tmp_path / "again" / "fsdp-stopped")
    in_pairs(tmp_path / "again", {"fsdp-stopped": {"config": {"sharding": "fsdp", "ema": 0.9}}})
    alone(tmp_path / "whole", {"config": {"ema": 0.9}})
    compare(tmp_path / "again" / "fsdp-stopped", tmp_path / "whole")
    for result in results["fsdp-own-backward"]:
        assert result["error"] == "ConfigError"
        assert "use --sharding ddp" in result["text"]
