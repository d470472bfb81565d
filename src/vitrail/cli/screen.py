"""What a command shows while it works: a progress bar on a terminal, a line every ten seconds elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

    from vitrail.recipes.events import Event
    from vitrail.train.events import Started, StepDone

QUIET = 10.0
"""Seconds between lines about steps where there is no terminal."""


class Screen:
    """Where a command speaks. Use it as a context: leaving it takes the progress bar away.

    Args:
        stream: where to write; standard output if None.
        clock: seconds that only grow, to be replaced in tests.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stdout
        self._clock = clock
        self._bar: Progress | None = None
        self._steps = 0
        self._loss = ""
        self._announced = ""
        self._folders: dict[str, Path] = {}
        self._spoke = clock()
        # Under torchrun every process runs the command; one of them speaks.
        self._silent = os.environ.get("RANK", "0") != "0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end_bar()

    def say(self, text: str) -> None:
        """One line (or more) for the reader, above the progress bar if there is one."""
        if self._silent:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)
        self._spoke = self._clock()

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
        """Rows under heads; the first ``left`` columns stand to the left, figures to the right."""
        widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
        for row in [heads, ["-" * width for width in widths], *rows]:
            names = map(str.ljust, row[:left], widths[:left])
            numbers = map(str.rjust, row[left:], widths[left:])
            self.say("  ".join([*names, *numbers]).rstrip())

    def report(self, event: "Event") -> None:
        """Show what a recipe or its training run tells about itself."""
        # Only now: these come with torch, which a help page can do without.
        from vitrail.recipes.events import Note
        from vitrail.train.events import (
            Evaluated,
            Finished,
            Interrupted,
            Pictured,
            Resumed,
            Saved,
            Started,
            StepDone,
            Traced,
        )

        match event:
            case Note():
                self.say(event.text)
            case Started():
                self._start(event)
            case Resumed():
                damaged = f" ({event.damaged} is damaged and was left alone)" if event.damaged else ""
                self.say(f"going on after step {event.step} of {event.path}{damaged}")
            case StepDone():
                self._step(event)
            case Evaluated():
                self.say(f"step {event.step}: {figures(event.scalars)}")
            case Pictured():
                self._kept("pictures of how it goes on", event.path.parent)
            case Traced():
                self._kept("traces of how it goes on", event.path.parent)
            case Finished():
                self._end_bar()
                self.say(f"{event.step:,} steps done{self._loss}, {duration(event.seconds)}")
            case Interrupted():
                self._end_bar()
            case Saved():
                pass

    def _start(self, event: "Started") -> None:
        self._steps, self._loss = event.steps, ""
        if event.step == event.steps:
            self.say(f"all {event.steps:,} steps were done before")
            return
        announcement = (
            f"training {event.parameters:,} parameters for {event.steps - event.step:,} steps on {event.device}, "
            f"{event.precision} ({event.precision_reason})"
            + (f", {event.processes} processes" if event.processes > 1 else "")
        )
        if announcement != self._announced:  # fine-tuning with several seeds says it once
            self.say(announcement)
            self._announced = announcement
        if self._stream.isatty() and not self._silent:
            self._start_bar(event.step, event.steps)

    def _start_bar(self, done: int, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=Console(file=self._stream),
            transient=True,
            expand=True,
        )
        self._bar.add_task("steps", total=steps, completed=done, figures="")
        self._bar.start()

    def _step(self, event: "StepDone") -> None:
        self._loss = f", loss {event.loss:.4g}"
        speed = (
            f"loss {event.loss:.4g}  {event.examples_per_second:,.0f} examples/s  {duration(event.seconds_left)} left"
        )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=event.step, figures=speed)
        elif self._clock() - self._spoke >= QUIET:
            self.say(f"step {event.step}/{self._steps}  {speed}")

    def _kept(self, what: str, folder: Path) -> None:
        """Say once where files of a kind are."""
        if self._folders.get(what) != folder:
            self.say(f"{what}: {folder}")
            self._folders[what] = folder

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def figures(scalars: Mapping[str, float]) -> str:
    """Named figures in a row: ``accuracy 0.912  loss 0.31``."""
    return "  ".join(f"{name} {value:.4g}" for name, value in scalars.items())


def duration(seconds: float) -> str:
    """A length of time as a person says it: ``41 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
