"""What a run writes down while it goes on.

``metrics.jsonl``  a line of figures at each ``log_every`` and each evaluation. A pure function of configuration and
                   data, without times: two runs, or one that was killed and resumed, give the same bytes.
``timing.jsonl``   throughput and time, line by line beside the metrics.
``events.out.*``   both, for TensorBoard.

Keys are the same in all three: ``train/loss``, ``evaluation/accuracy``. ``step`` counts the steps done.
When a run resumes, the lines after its checkpoint are cut off: the steps they tell of are done again.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from vitrail.files import output_errors, written_beside

METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"


class Journal:
    """The three records of the run in ``folder``, continued after ``step`` steps. One process writes."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._files: dict[str, TextIO] = {}
        for name in (METRICS, TIMING):
            path = folder / name
            _cut(path, step)
            with output_errors(path):
                self._files[name] = path.open("a", encoding="utf-8")
        self.folder = folder
        with output_errors(folder):
            self._events = EventFileWriter(str(folder))
        if step:
            self._purge(step + 1)

    def write(self, step: int, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Write down figures of ``step``.

        Raises:
            OutputError: the disk is full.
        """
        for name, figures in ((METRICS, metrics), (TIMING, timing)):
            if figures:
                with output_errors(self.folder / name):
                    print(_line(step, figures), file=self._files[name], flush=True)
        self._to_tensorboard(step, {**metrics, **timing})

    def sync(self) -> None:
        """Force everything to the disk: a checkpoint must not be newer than the lines before it.

        Raises:
            OutputError: the disk is full.
        """
        for name, file in self._files.items():
            with output_errors(self.folder / name):
                os.fsync(file.fileno())
        with output_errors(self.folder):
            self._events.flush()

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        with output_errors(self.folder):
            self._events.close()

    def _to_tensorboard(self, step: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        with output_errors(self.folder):
            self._events.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _purge(self, step: int) -> None:
        """Tell TensorBoard to forget what an earlier session wrote from ``step`` on."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._events.add_event(Event(wall_time=time.time(), step=step, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._events.add_event(Event(wall_time=time.time(), step=step, session_log=start))


def last_metrics(folder: Path) -> dict[str, float]:
    """The last value of each figure in ``metrics.jsonl``."""
    latest: dict[str, float] = {}
    for line in _lines(folder / METRICS):
        latest.update(line)
    latest.pop("step", None)
    return latest


def _cut(path: Path, step: int) -> None:
    """Drop lines after ``step``, and a last line that a killed process left unfinished."""
    if not path.exists():
        return
    kept = [line for line in _lines(path) if line["step"] <= step]
    with written_beside(path) as file:
        for line in kept:
            file.write((json.dumps(line) + "\n").encode())


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # cut short
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
    return lines


def _line(step: int, figures: Mapping[str, float]) -> str:
    # JSON has no NaN; a figure that isn't a number is null.
    return json.dumps({"step": step, **{name: x if math.isfinite(x) else None for name, x in figures.items()}})
