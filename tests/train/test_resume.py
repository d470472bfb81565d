"""A run that is killed, at any moment and any number of times, ends with the bytes of one that wasn't."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from train_toy import ToyBatches, ToyNet, ToyObjective, evaluate, toy_config

from vitrail.train import train
from vitrail.train.checkpoint import load_state
from vitrail.train.events import Event, Interrupted, Resumed, Started
from vitrail.train.journal import last_metrics

KILLED, STOPPED = -9, 1
End = tuple[str, float] | None
Sessions = Callable[[Sequence[Mapping[str, Any]]], list[list[int]]]

RUNS: dict[str, dict[str, Any]] = {
    "adamw": {"ema": 0.9, "clip": 0.5, "layer_decay": 0.8},
    "muon": {"optimizer": "muon", "micro_batches": 3, "schedule": "linear", "seed": 5},
    "bf16": {"precision": "bf16"},
}
SAME_BYTES = ("metrics.jsonl", "model.safetensors")


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """Runs scenarios (see train_sessions.py) in one program; gives how each session ended."""
    program = Path(__file__).with_name("train_sessions.py")
    errors = tmp_path_factory.mktemp("sessions") / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as server,
    ):

        def ask(scenarios: Sequence[Mapping[str, Any]]) -> list[list[int]]:
            assert server.stdin is not None
            assert server.stdout is not None
            print(json.dumps(scenarios), file=server.stdin, flush=True)
            answer = server.stdout.readline()
            assert "Traceback" not in errors.read_text(), errors.read_text()
            return json.loads(answer)  # type: ignore[no-any-return]

        yield ask
        server.communicate()


def same(one: Any, other: Any) -> bool:
    """Whether two states hold the same, bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def compare(killed: Path, whole: Path, states: Sequence[str] = ("state.pt", "state.previous.pt")) -> None:
    for name in SAME_BYTES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    for name in states:  # in bytes they may differ: pickle's short forms depend on which strings are one object
        assert same(load_state(killed / name), load_state(whole / name)), name
    assert not list(killed.glob("*.part"))
    assert not list(killed.glob("*.new"))


def check(sessions: Sessions, tmp_path: Path, changes: dict[str, Any], scenarios: Mapping[str, Sequence[End]]) -> None:
    """Each scenario's last session finishes; all earlier ones are killed."""
    asked = [{"folder": str(tmp_path / name), "config": changes, "ends": ends} for name, ends in scenarios.items()]
    whole = tmp_path / "whole"
    codes = sessions([{"folder": str(whole), "config": changes, "ends": [None]}, *asked])
    assert codes[0] == [0]
    for (name, ends), found in zip(scenarios.items(), codes[1:], strict=True):
        # one killed from outside may have been quicker
        expected = [{KILLED, 0} if end and end[0] == "after" else {KILLED if end else 0} for end in ends]
        assert all(code in allowed for code, allowed in zip(found, expected, strict=True)), (name, found)
        compare(tmp_path / name, whole)


@pytest.mark.parametrize("name", RUNS)
def test_killed_at_random_steps(sessions: Sessions, tmp_path: Path, name: str) -> None:
    draw = random.Random(name)
    micro = RUNS[name].get("micro_batches", 1)
    ends = [("step", draw.randrange(2, 14 * micro)) for _ in range(3)]
    check(sessions, tmp_path, RUNS[name], {"killed": [*ends, None], "before-any-save": [("step", 4), None]})


def test_killed_anywhere_in_saving(sessions: Sessions, tmp_path: Path) -> None:
    """Every forced write and both sides of every rename of the first saves, by count."""
    config = {**RUNS["adamw"], "steps": 16}
    ends = [("fsync", n) for n in range(17)] + [(kind, n) for kind in ("replace", "replaced") for n in range(8)]
    check(sessions, tmp_path, config, {f"{kind}-{number}": [(kind, number), None] for kind, number in ends})


@pytest.mark.slow
def test_killed_from_outside_at_any_time(sessions: Sessions, tmp_path: Path) -> None:
    """SIGKILL by the clock: in imports, set-up, steps, evaluation, saving; several times over."""
    draw = random.Random(0)
    scenarios = {str(n): [*(("after", draw.uniform(0.02, 0.5)) for _ in range(3)), None] for n in range(40)}
    check(sessions, tmp_path, RUNS["adamw"], scenarios)


def test_stopped_by_sigterm_goes_on_to_the_same_bytes(sessions: Sessions, tmp_path: Path) -> None:
    config = RUNS["adamw"]
    codes = sessions(
        [
            {"folder": str(tmp_path / "whole"), "config": config, "ends": [None]},
            {"folder": str(tmp_path / "stopped"), "config": config, "ends": [("term", 10), ("term", 0), None]},
        ]
    )
    assert codes == [[0], [STOPPED, STOPPED, 0]]
    compare(tmp_path / "stopped", tmp_path / "whole")


def test_a_signal_finishes_the_step_and_saves(tmp_path: Path) -> None:
    import signal

    class Asked(ToyObjective):
        def loss(self, batch: Any, random: Any) -> Any:
            if random.step == 4:
                signal.raise_signal(signal.SIGINT)
            return super().loss(batch, random)

    events: list[Event] = []
    before = signal.getsignal(signal.SIGINT)
    result = train(Asked(ToyNet()), ToyBatches(), toy_config(), tmp_path, report=events.append)
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.finished, result.steps) == (False, 6)  # noticed at the start of the next step
    assert events[-1] == Interrupted(6, 40)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 6


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    config = toy_config(ema=0.9)
    first = train(ToyObjective(ToyNet()), ToyBatches(), config, tmp_path, evaluate=evaluate)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    events: list[Event] = []
    again = ToyObjective(ToyNet())
    result = train(again, ToyBatches(), config, tmp_path, evaluate=evaluate, report=events.append)
    assert result.finished
    assert result.metrics == first.metrics == last_metrics(tmp_path)
    assert result.metrics.keys() >= {"train/loss", "train/accuracy", "train/lr", "evaluation/accuracy"}
    assert [type(event).__name__ for event in events] == ["Resumed", "Started", "Finished"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == written
    from vitrail.train import load_weights

    for name, tensor in load_weights(tmp_path).items():
        assert torch.equal(again.module.state_dict()[name], tensor), name


def test_another_logging_and_saving_rhythm_may_go_on(sessions: Sessions, tmp_path: Path) -> None:
    """What says how and not what may change, and the weights are still the same."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), whole)
    assert sessions([{"folder": str(parts), "config": {}, "ends": [("step", 16)]}]) == [[KILLED]]
    events: list[Event] = []
    changed = toy_config(log_every=5, save_every=0, evaluate_every=3)
    train(ToyObjective(ToyNet()), ToyBatches(), changed, parts, report=events.append)
    assert isinstance(events[0], Resumed)
    assert events[0].step == 14
    assert isinstance(events[1], Started)
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()


def test_precision_stays_as_the_run_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "auto" on another machine would be another run."""
    capable = {"amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    events: list[Event] = []
    config = toy_config(precision="auto", steps=20)

    class Stops(ToyObjective):
        def loss(self, batch: Any, random: Any) -> Any:
            import signal

            if random.step == 9:
                signal.raise_signal(signal.SIGTERM)
            return super().loss(batch, random)

    train(Stops(ToyNet()), ToyBatches(), config, tmp_path, report=events.append)
    capable["amx_bf16"] = False
    train(ToyObjective(ToyNet()), ToyBatches(), config, tmp_path, report=events.append)
    started = [event for event in events if isinstance(event, Started)]
    assert [event.precision for event in started] == ["bf16", "bf16"]
    assert started[0].precision_reason == "this processor has amx_bf16"
    assert started[1].precision_reason == "as the run was begun"
