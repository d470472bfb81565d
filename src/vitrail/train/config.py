"""How a run is trained: one frozen dataclass, whose field docstrings are the command line's help."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vitrail.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """Optimizer, schedule, precision, and how often to look and save.

    Raises:
        ConfigError: a value that can't be meant.
    """

    steps: int
    """Optimizer steps of the whole run."""
    batch_size: int
    """Examples in one optimizer step (of texts: their tokens), over all processes and micro-batches."""
    micro_batches: int = 1
    """Parts that each process cuts its share of a batch into, to save memory (gradient accumulation)."""
    lr: float = 1e-3
    """Highest learning rate of AdamW, after warm-up."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """"muon": Muon for the matrices inside blocks, AdamW for everything else."""
    muon_lr: float | None = None
    """Highest learning rate of Muon; None: the same as lr (its updates are scaled to AdamW's size)."""
    weight_decay: float = 0.05
    """Decoupled weight decay of matrices; biases, norms and tables of vectors have none."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the mean and the mean square of gradients."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after warm-up."""
    final_lr_fraction: float = 0.0
    """Learning rate at the last step, as a fraction of the highest."""
    layer_decay: float = 1.0
    """Factor on the learning rate per layer, from the last towards the first (1: off)."""
    clip: float = 0.0
    """Largest allowed norm of the whole gradient (0: off)."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, which is then what is evaluated and kept (0: off)."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 autocast where the processor multiplies bf16 matrices natively, else float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    seed: int = 0
    """Seed of everything random in the run."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between checkpoints; the last step is always saved (0: only the last)."""
    evaluate_every: int = 0
    """Steps between evaluations and pictures; the last step always has one (0: only the last)."""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """With several processes: a full copy of the model on each (ddp), or its parts spread over them (fsdp)."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "micro_batches", "log_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("warmup_steps", "save_every", "evaluate_every", "seed"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("lr", "muon_lr"):
            value = getattr(self, name)
            self._require(name, value is None or (math.isfinite(value) and value > 0), "a positive number")
        for name in ("weight_decay", "clip"):
            self._require(name, math.isfinite(getattr(self, name)) and getattr(self, name) >= 0, "0 or more")
        self._require("layer_decay", 0 < self.layer_decay <= 1, "in (0, 1]")
        self._require("final_lr_fraction", 0 <= self.final_lr_fraction <= 1, "in [0, 1]")
        self._require("ema", 0 <= self.ema < 1, "in [0, 1)")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "in [0, 1) each")
        self._require("warmup_steps", self.warmup_steps <= self.steps, f"at most steps, which is {self.steps}")
        for name, choices in (
            ("optimizer", ("adamw", "muon")),
            ("schedule", ("cosine", "linear", "constant")),
            ("precision", ("auto", "float32", "bf16")),
            ("device", ("auto", "cpu", "cuda")),
            ("sharding", ("ddp", "fsdp")),
        ):
            self._require(name, getattr(self, name) in choices, "one of " + ", ".join(choices))

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(f"{name} is {getattr(self, name)!r}, but must be {expected}: change --{_flag(name)}.")


HOW_NOT_WHAT = frozenset(
    {
        "micro_batches", "device", "sharding", "log_every", "save_every", "evaluate_every",  # how it is carried out
        "trace_every",  # what is looked at meanwhile
        "run", "data",  # where files lie; the data itself is known by its fingerprint
    }
)  # fmt: skip
"""Names, at any depth of a configuration, that don't say what is learned: these may change when a run goes on."""


def match_config(found: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> None:
    """Refuse to go on with a run under another configuration than the one it was begun with.

    Also ``steps`` is refused: the schedule of the learning rate is stretched over them, so the steps already done
    would not be those of the longer run.

    Args:
        found: what the run was begun with, plain values, nested or not.
        wanted: what is asked for now.
        where: the run, for the message.

    Raises:
        ConfigError: names the first value that differs, the old and the new one.
    """
    for name in sorted((found.keys() | wanted.keys()) - HOW_NOT_WHAT):
        old, new = _plain(found.get(name)), _plain(wanted.get(name))
        if isinstance(old, dict) and isinstance(new, dict):
            match_config(old, new, where)
        elif old != new:
            raise ConfigError(
                f"{where} was begun with {_flag(name)} {old!r}, but now it is {new!r}: "
                f"give the old value again to go on with that run, or name another folder for a new one."
            )


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _flag(name: str) -> str:
    return name.replace("_", "-")
