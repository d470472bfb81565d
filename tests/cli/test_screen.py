"""What is shown: lines where there is no terminal, a bar where there is one, one voice among many processes."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from vitrail.cli.screen import Screen, duration, figures
from vitrail.recipes.events import Note
from vitrail.train.events import Evaluated, Finished, Interrupted, Pictured, Resumed, Saved, Started, StepDone, Traced

STARTED = Started(0, 1300, 1_234_567, "cpu", "bf16", "the processor multiplies bf16", 1)


def step(number: int) -> StepDone:
    return StepDone(number, 0.123456, {"lr": 0.1}, 1711.4, 83.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_come_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with Screen(stream, clock) as screen:
        screen.report(STARTED)
        for number in range(100, 1301, 100):
            clock.now += 3
            screen.report(step(number))
        screen.report(Finished(1300, 39.0))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training 1,234,567 parameters for 1,300 steps on cpu, bf16 (the processor multiplies bf16)"
    assert [line.split()[1] for line in lines[1:-1]] == ["400/1300", "800/1300", "1200/1300"]
    assert lines[1] == "step 400/1300  loss 0.1235  1,711 examples/s  1 min 23 s left"
    assert lines[-1] == "1,300 steps done, loss 0.1235, 39 s"


def test_other_events_are_a_line_each_or_none(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.report(Resumed(17, Path("state.pt"), Path("newer.pt")))
        screen.report(Evaluated(19, {"accuracy": 0.5, "loss": 2.25}))
        screen.report(Pictured(19, Path("pictures/a.png")))
        screen.report(Pictured(23, Path("pictures/b.png")))
        screen.report(Traced(19, Path("traces/a.safetensors")))
        screen.report(Traced(23, Path("traces/b.safetensors")))
        screen.report(Saved(19, Path("state.pt")))
        screen.report(Interrupted(19, 23))
        screen.report(Note("the test set is read"))
    assert stream.getvalue().splitlines() == [
        "going on after step 17 of state.pt (newer.pt is damaged and was left alone)",
        "step 19: accuracy 0.5  loss 2.25",
        "pictures of how it goes on: pictures",
        "traces of how it goes on: traces",
        "the test set is read",
    ]


def test_a_finished_run_is_not_announced_as_training() -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.report(replace(STARTED, step=1300))
    assert stream.getvalue() == "all 1,300 steps were done before\n"


def test_the_same_training_again_is_announced_once() -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        for seconds in (2.0, 3.0):
            screen.report(STARTED)
            screen.report(Finished(1300, seconds))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["training", "1,300", "1,300"]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Screen(stream) as screen:
        screen.report(STARTED)
        screen.report(step(650))
        screen.report(Evaluated(650, {"accuracy": 0.75}))
    shown = stream.getvalue()
    assert "650/1300" in shown
    assert "1,711 examples/s" in shown
    assert "step 650: accuracy 0.75" in shown
    assert shown.endswith("\x1b[?25h") or "\x1b[?25h" in shown.split("650/1300")[-1], "the cursor comes back"


def test_an_error_takes_the_bar_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with contextlib.suppress(RuntimeError), Screen(stream) as screen:
        screen.report(STARTED)
        raise RuntimeError
    assert "\x1b[?25h" in stream.getvalue()


def test_one_process_speaks_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.say("hello")
        screen.report(STARTED)
    assert stream.getvalue() == ""


def test_a_table_is_aligned() -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        screen.table(["probe", "accuracy"], [["linear", "0.93"], ["fine-tuning", "0.975"]])
    assert stream.getvalue().splitlines() == [
        "probe        accuracy",
        "-----------  --------",
        "linear           0.93",
        "fine-tuning     0.975",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7530, "2 h 05 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_figures_are_named() -> None:
    assert figures({"loss": 1 / 3, "accuracy": 1.0}) == "loss 0.3333  accuracy 1"
