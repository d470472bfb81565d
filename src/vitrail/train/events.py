"""What a run tells its caller while it goes on. The loop never prints: it hands these to ``report``."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """The run is set up and about to take its first step (of this session)."""

    step: int
    """Steps done before, in earlier sessions; 0 for a new run."""
    steps: int
    """Steps of the whole run."""
    parameters: int
    """Parameters that are trained."""
    device: str
    precision: str
    """"float32" or "bf16" (autocast)."""
    precision_reason: str
    """Why that precision, in words."""
    processes: int


@dataclass(frozen=True)
class Resumed:
    """A checkpoint was found and loaded."""

    step: int
    """Steps done at that checkpoint."""
    path: Path
    damaged: Path | None
    """The newer checkpoint that was damaged and left alone, if there was one."""


@dataclass(frozen=True)
class StepDone:
    """``log_every`` steps went by; the figures are means over the examples since the last such event."""

    step: int
    """Steps done."""
    loss: float
    scalars: dict[str, float]
    """The objective's own figures, and ``lr`` and ``grad_norm`` (before clipping, mean over the steps)."""
    examples_per_second: float
    """Rows of the global batches per second, evaluation and saving not counted."""
    seconds_left: float
    """At the rate of this session so far, evaluation and saving included."""


@dataclass(frozen=True)
class Evaluated:
    """The caller's ``evaluate`` gave these figures."""

    step: int
    scalars: dict[str, float]


@dataclass(frozen=True)
class Pictured:
    """The caller's ``picture`` wrote a file."""

    step: int
    path: Path


@dataclass(frozen=True)
class Traced:
    """The caller's ``traces`` wrote what the module attends to into a file."""

    step: int
    path: Path


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on the disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Interrupted:
    """SIGINT or SIGTERM came; the step was finished and saved."""

    step: int
    steps: int


@dataclass(frozen=True)
class Finished:
    """All steps are done and saved."""

    step: int
    seconds: float
    """Of this session."""


Event = Started | Resumed | StepDone | Evaluated | Pictured | Traced | Saved | Interrupted | Finished


def ignore(event: Event) -> None:
    """Report to nobody."""
