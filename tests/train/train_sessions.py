"""A program that trains the toy in sessions that are killed: a line of scenarios in, a line of exit codes out (JSON).

A scenario is {"folder", "config", "ends"}; each end is what befalls one session: null, or [kind, number]:
"step" (SIGKILL within that step's loss), "fsync" / "replace" / "replaced" (SIGKILL at that call, before or after a
rename), "after" (SIGKILL from outside after so many seconds), "term" (SIGTERM within that step).
Sessions are forks of this process, which imported everything and trained nothing: one costs a fraction of a second.
"""

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401  (all imported here so that forks need not)
import tensorboard.summary.writer.event_file_writer  # noqa: F401
import torch
import torch._dynamo  # every optimizer of PyTorch imports it
from train_toy import ToyBatches, ToyNet, ToyObjective, evaluate, toy_config

from vitrail.train import train


def count_down(function: Callable[..., Any], number: int, *, after: bool = False) -> Callable[..., Any]:
    """``function``, which kills its process in its ``number``-th call (from 0)."""
    calls = 0

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number + 1 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if calls == number + 1 and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly


def session(folder: Path, changes: dict[str, Any], end: tuple[str, float] | None) -> int:
    """Train; returns the exit code, if it lives to tell."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    config = toy_config(**changes)
    objective = ToyObjective(ToyNet())
    kind, number = end or ("", 0)
    if kind == "step":
        objective.loss = count_down(objective.loss, int(number))  # type: ignore[method-assign]
    elif kind == "term":
        steps, loss = [0], objective.loss

        def polite(*arguments: Any) -> Any:
            if steps[0] == int(number):
                os.kill(os.getpid(), signal.SIGTERM)
            steps[0] += 1
            return loss(*arguments)

        objective.loss = polite  # type: ignore[method-assign]
    elif kind == "fsync":
        os.fsync = count_down(os.fsync, int(number))
    elif kind in ("replace", "replaced"):
        os.replace = count_down(os.replace, int(number), after=kind == "replaced")
    batches = ToyBatches(config.batch_size, micro_batches=config.micro_batches)
    result = train(objective, batches, config, folder, evaluate=evaluate)
    return 0 if result.finished else 1


def run(folder: Path, changes: dict[str, Any], end: tuple[str, float] | None) -> int:
    """One session in a process of its own; returns its exit code, or minus the signal that ended it."""
    process = os.fork()
    if process == 0:
        code = 3
        try:
            code = session(folder, changes, end)
        finally:
            sys.stderr.flush()
            os._exit(code)
    if end is not None and end[0] == "after":
        time.sleep(end[1])
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        ends = [[run(Path(s["folder"]), s["config"], end) for end in s["ends"]] for s in json.loads(line)]
        print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    main()
