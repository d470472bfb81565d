"""What is kept while a module learns: at which steps, of which weights, without disturbing it, and on after a stop."""

from pathlib import Path

import pytest
import torch
from torch import nn
from train_toy import ToyBatches, ToyNet, ToyObjective, toy_config

from vitrail.errors import ConfigError, OutputError
from vitrail.train import Traces, load_weights, train
from vitrail.train.events import Event, Saved, Traced


def keep(module: nn.Module, step: int, path: Path) -> None:
    """Also disturbs the global random state, as a careless caller would."""
    assert not module.training
    assert not torch.is_grad_enabled()
    torch.rand(step + 1)
    path.write_text(f"{step} {module.get_parameter('head.bias').sum().item()}")


def steps(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in sorted((folder / "traces").iterdir())]


def test_before_the_first_step_every_so_many_and_after_the_last(tmp_path: Path) -> None:
    events: list[Event] = []
    objective = ToyObjective(ToyNet())
    begun = objective.module.get_parameter("head.bias").sum().item()
    train(objective, ToyBatches(), toy_config(ema=0.9), tmp_path / "a", traces=Traces(16, keep), report=events.append)
    assert steps(tmp_path / "a") == [0, 16, 32, 40]
    told = [event for event in events if isinstance(event, Traced)]
    assert [event.step for event in told] == [0, 16, 32, 40]
    assert [event.path for event in told] == sorted((tmp_path / "a" / "traces").iterdir())
    kept = load_weights(tmp_path / "a")
    assert told[0].path.read_text() == f"0 {begun}"
    assert told[-1].path.read_text() == f"40 {kept['head.bias'].sum().item()}", "the weights to use: the average"
    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(ema=0.9), tmp_path / "b")
    for name, tensor in load_weights(tmp_path / "b").items():
        assert torch.equal(tensor, kept[name]), name
    assert not (tmp_path / "b" / "traces").exists()


def test_a_run_that_was_stopped_goes_on_with_them(tmp_path: Path) -> None:
    def go(folder: Path, stop: int = -1) -> None:
        def hear(event: Event) -> None:
            if isinstance(event, Saved) and event.step == stop:
                raise KeyboardInterrupt

        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), folder, traces=Traces(8, keep), report=hear)

    go(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", stop=21)
    assert steps(tmp_path / "cut") == [0, 8, 16]
    go(tmp_path / "cut")
    assert steps(tmp_path / "cut") == steps(tmp_path / "whole") == [0, 8, 16, 24, 32, 40]
    for path in (tmp_path / "whole" / "traces").iterdir():
        assert (tmp_path / "cut" / "traces" / path.name).read_bytes() == path.read_bytes()
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "cut" / "traces").iterdir())
    go(tmp_path / "cut")
    after = sorted(path.stat().st_mtime_ns for path in (tmp_path / "cut" / "traces").iterdir())
    assert before == after, "of a finished run nothing is written anew"


def test_one_that_cannot_be_written_ends_the_run_and_leaves_the_others(tmp_path: Path) -> None:
    def full(module: nn.Module, step: int, path: Path) -> None:
        if step == 16:
            raise OutputError(f"{path} can't be written: free some space.")
        keep(module, step, path)

    with pytest.raises(OutputError, match=r"step-000016.safetensors can't be written"):
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), tmp_path, traces=Traces(8, full))
    assert steps(tmp_path) == [0, 8]
    assert (tmp_path / "state.pt").exists()


def test_what_makes_no_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trace_every is -3, but must be 1 or more"):
        Traces(-3, keep)
    with pytest.raises(ConfigError, match=r"2,001 steps with a trace at every 2 .* give --trace-every 3 or more"):
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(steps=2001), tmp_path, traces=Traces(2, keep))
    assert not tmp_path.joinpath("traces").exists()
