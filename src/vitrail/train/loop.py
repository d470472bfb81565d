"""The training loop, one for everything: steps, figures, evaluation, checkpoints, signals.

It knows no model and no data: an ``Objective`` gives sums of a loss, ``Batches`` give micro-batches. One process or
several (``torchrun --nproc-per-node 2 -m vitrail train ...``); only the first one writes and reports.

The order within a step makes resuming exact: step, line of figures, evaluation, picture, trace, checkpoint. What is
written down of steps up to n is on the disk before a checkpoint of step n. What is written after it is done again on
resume: lines are cut off, files replaced.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitrail.errors import ConfigError
from vitrail.files import output_errors
from vitrail.train import snapshot
from vitrail.train.checkpoint import Checkpoints, load_state
from vitrail.train.config import TrainConfig, match_config
from vitrail.train.events import (
    Evaluated,
    Event,
    Finished,
    Interrupted,
    Pictured,
    Resumed,
    Saved,
    Started,
    StepDone,
    Traced,
    ignore,
)
from vitrail.train.folder import claimed
from vitrail.train.journal import Journal, last_metrics
from vitrail.train.memory import keep_freed_memory
from vitrail.train.objective import AnyBatch, Batches, Objective
from vitrail.train.precision import pick_device, pick_precision
from vitrail.train.processes import Processes
from vitrail.train.sharding import gathered
from vitrail.train.signals import StopRequest
from vitrail.train.step import OneStep
from vitrail.train.weights import WEIGHTS, save_weights, weights_are_whole
from vitrail.train.window import Window

Evaluate = Callable[[nn.Module], Mapping[str, float]]
Picture = Callable[[nn.Module, Path], None]
Report = Callable[[Event], None]

MOST_TRACES = 1000
"""That one run writes: more are no series that anybody would look through."""


@dataclass(frozen=True)
class Traces:
    """What the module attends to as it learns: before the first step, every so many, and after the last.

    Raises:
        ConfigError: no number of steps.
    """

    every: int
    """Steps between two."""
    write: Callable[[nn.Module, int, Path], None]
    """Given the module as it will be used, how many steps it has done, and the file to write, whole or not at all."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"trace_every is {self.every}, but must be 1 or more: change --trace-every.")


@dataclass(frozen=True)
class TrainResult:
    """How a session of training ended."""

    steps: int
    """Steps done, over all sessions."""
    seconds: float
    """Of this session."""
    finished: bool
    """False where a signal stopped it; the same call then goes on."""
    metrics: dict[str, float]
    """The last value of each figure in ``metrics.jsonl``: "train/loss", "evaluation/accuracy"."""


def train(
    objective: Objective[AnyBatch],
    batches: Batches[AnyBatch],
    config: TrainConfig,
    folder: Path,
    *,
    evaluate: Evaluate | None = None,
    picture: Picture | None = None,
    traces: Traces | None = None,
    report: Report = ignore,
    describe: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train, or go on with the run in ``folder`` exactly where its last checkpoint was made.

    On a CPU a run that was killed and resumed has, bit for bit, the weights and ``metrics.jsonl`` of one that wasn't.
    Afterwards the module holds what ``model.safetensors`` does: the averaged weights, where the run averages.

    Args:
        objective: the module and its loss. All processes must have built the same one.
        batches: this process's micro-batches of each step.
        config: how to train.
        folder: the run; made if it is not there. Afterwards it has config.json, model.safetensors, state.pt,
            metrics.jsonl, timing.jsonl, TensorBoard's events, pictures/ and traces/.
        evaluate: module -> figures. Called with the weights to use, in evaluation mode, without gradients, under the
            run's precision, in every process (each sees all of the data, so that none has to wait for another).
        picture: draws the module's doings into the file it is given (a .png).
        traces: writes what the module attends to into files (.safetensors), in the first process.
        report: told what happens, in the first process.
        describe: what else belongs into config.json (the model, the data), as plain values.

    Raises:
        ConfigError: a configuration that can't be meant here, or differs from the one the run was begun with.
        CheckpointError: the folder's checkpoints are damaged, or of another model.
        NonFiniteLossError: the loss became NaN or infinite; the last checkpoint stands.
        OutputError: the folder can't be written; the last checkpoint stands.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        session = _Session(stack, objective, batches, config, folder, evaluate, picture, traces, report, describe or {})
        finished = session.run(stop)
        if session.one.average is not None:
            session.one.average.store()
        return TrainResult(session.step, session.seconds, finished, last_metrics(folder))


class _Session:
    """One session of a run: from its beginning or a checkpoint to its end or a signal."""

    def __init__(
        self,
        stack: ExitStack,
        objective: Objective[AnyBatch],
        batches: Batches[AnyBatch],
        config: TrainConfig,
        folder: Path,
        evaluate: Evaluate | None,
        picture: Picture | None,
        traces: Traces | None,
        report: Report,
        describe: Mapping[str, Any],
    ) -> None:
        self.module, self.batches, self.config, self.folder = objective.module, batches, config, folder
        self.evaluate, self.picture, self.traces = evaluate, picture, traces
        if traces is not None and config.steps > traces.every * MOST_TRACES:
            raise ConfigError(
                f"{config.steps:,} steps with a trace at every {traces.every:,} would write more than {MOST_TRACES:,} "
                f"traces: give --trace-every {-(-config.steps // MOST_TRACES):,} or more."
            )
        device = pick_device(config.device)
        if device == "cpu":
            keep_freed_memory()
        self.processes = Processes(device)
        self.report: Report = report if self.processes.is_main else ignore
        self.checkpoints = Checkpoints(folder)

        path: Path | None = None
        with self.processes.together():
            if self.processes.is_main:
                stack.enter_context(claimed(folder, {**describe, "train": asdict(config)}))
                path = self.checkpoints.find()
        path = self.processes.gather(path)[0]
        state: dict[str, Any] = {}
        with self.processes.together():
            if path is not None:
                state = load_state(path)
                match_config(state["config"], asdict(config), str(folder))

        # What "auto" meant when the run was begun stays, or a resumed run would be another on another machine.
        precision, reason = pick_precision(config.precision, device)
        if state and state["precision"] != precision:
            precision, reason = state["precision"], "as the run was begun"
        self.precision = precision
        self.module.train()
        self.one = OneStep(objective, config, precision, self.processes)
        if traces is not None and self.processes.sharded:
            raise ConfigError("traces need the whole model in one process, and --sharding fsdp spreads it: use ddp.")
        self.step, self.window = 0, Window()
        if path is not None:
            self._resume(state, path)
        self.journal = Journal(folder, self.step) if self.processes.is_main and self.step < config.steps else None
        if self.journal is not None:
            stack.callback(self.journal.close)
        self._begun = time.perf_counter()
        self._first_step, self._busy, self._images = self.step, 0.0, 0
        parameters = sum(parameter.numel() for parameter in self.one.optimizers.parameters.values())
        self.report(Started(self.step, config.steps, parameters, device, precision, reason, self.processes.count))

    @property
    def seconds(self) -> float:
        """Since the first step of this session."""
        return time.perf_counter() - self._begun

    def run(self, stop: StopRequest) -> bool:
        """Take the remaining steps; returns whether the run is finished."""
        with ExitStack() as stack:
            stream = iter(self.batches)
            stack.callback(getattr(stream, "close", lambda: None))  # a generator may hold a thread
            if self.step == 0:
                self._trace()
            while self.step < self.config.steps:
                begun = time.perf_counter()
                figures = self.one(self.step, next(stream), stop.wanted)
                self.step += 1
                self.window.add(figures)
                self._busy += time.perf_counter() - begun
                self._images += figures.images
                last = self.step == self.config.steps
                if last or self.step % self.config.log_every == 0:
                    self._log()
                if last or _due(self.step, self.config.evaluate_every):
                    self._look()
                if self.traces is not None and (last or _due(self.step, self.traces.every)):
                    self._trace()
                if last or figures.stop or _due(self.step, self.config.save_every):
                    self._save()
                if figures.stop and not last:
                    self.report(Interrupted(self.step, self.config.steps))
                    return False
        self.report(Finished(self.step, self.seconds))
        return True

    def _log(self) -> None:
        self.window.grad_norm += sum(self.one.gradient_norms())
        means = self.window.means()
        rate = self._images / self._busy if self._busy else 0.0
        left = (self.config.steps - self.step) * self.seconds / (self.step - self._first_step)
        timing = {"time/examples_per_second": rate, "time/seconds": self.seconds}
        self._write({f"train/{name}": value for name, value in means.items()}, timing)
        loss = means.pop("loss")
        self.report(StepDone(self.step, loss, means, rate, left))
        self.window, self._busy, self._images = Window(), 0.0, 0

    def _look(self) -> None:
        """Evaluate and draw, with the weights to use."""
        if self.evaluate is None and self.picture is None:
            return
        with self._for_use():
            if self.evaluate is not None:
                figures = {name: float(value) for name, value in self.evaluate(self.module).items()}
                self._write({f"evaluation/{name}": value for name, value in figures.items()}, {})
                self.report(Evaluated(self.step, figures))
            if self.picture is not None and (self.processes.is_main or self.processes.sharded):
                self._draw(self.picture)

    def _draw(self, picture: Picture) -> None:
        path = self.folder / "pictures" / f"step-{self.step:06d}.png"
        if not self.processes.is_main:  # sharded: all must run the module, one keeps the picture
            with tempfile.TemporaryDirectory() as elsewhere:
                picture(self.module, Path(elsewhere) / path.name)
            return
        part = path.with_name(f".part-{path.name}")
        with output_errors(path):
            path.parent.mkdir(exist_ok=True)
            try:
                picture(self.module, part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        self.report(Pictured(self.step, path))

    def _trace(self) -> None:
        """Write down what the module attends to, with the weights to use."""
        if self.traces is None:
            return
        path = self.folder / "traces" / f"step-{self.step:06d}.safetensors"
        with self.processes.together(), self._for_use():
            if self.processes.is_main:
                with output_errors(path):
                    path.parent.mkdir(exist_ok=True)
                self.traces.write(self.module, self.step, path)
                self.report(Traced(self.step, path))

    @contextlib.contextmanager
    def _for_use(self) -> Iterator[None]:
        """The module as it will be used: averaged weights, evaluation mode, no gradients; afterwards as it was."""
        modes = [(module, module.training) for module in self.module.modules()]
        average = self.one.average.in_place() if self.one.average is not None else contextlib.nullcontext()
        with average, gathered(self.one.root), torch.no_grad(), self.one.root.autocast():
            self.module.eval()
            try:
                yield
            finally:
                for module, training in modes:
                    module.training = training

    def _write(self, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        with self.processes.together():
            if self.journal is not None:
                self.journal.write(self.step, metrics, timing)

    def _save(self) -> None:
        self.window.grad_norm += sum(self.one.gradient_norms())
        taken = snapshot.take(self.module, self.one)
        with self.processes.together():
            if self.journal is not None:
                self.journal.sync()
                # First the weights: killed in between, the run repeats steps and writes the same weights again.
                save_weights(self.folder / WEIGHTS, snapshot.to_use(self.module, taken, self.one.average))
                path = self.checkpoints.save(
                    {
                        **taken,
                        "step": self.step,
                        "config": asdict(self.config),
                        "precision": self.precision,
                        "batches": dict(self.batches.state_dict()),
                        "window": self.window.state_dict(),
                    }
                )
                self.report(Saved(self.step, path))

    def _resume(self, state: Mapping[str, Any], path: Path) -> None:
        snapshot.put_back(state, self.module, self.one, path)
        self.batches.load_state_dict(state["batches"])
        self.step, self.window = state["step"], Window.from_state(state["window"])
        with self.processes.together():
            if self.processes.is_main and not weights_are_whole(self.folder):
                save_weights(self.folder / WEIGHTS, snapshot.to_use(self.module, state, self.one.average))
        self.report(Resumed(self.step, path, self.checkpoints.damaged))


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
