"""The figures since the last line of ``metrics.jsonl``, as sums; part of a checkpoint, so that no step is lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vitrail.train.step import StepFigures


@dataclass
class Window:
    """Sums over some steps."""

    steps: int = 0
    loss: float = 0.0
    count: float = 0.0
    grad_norm: float = 0.0
    lr: float = 0.0
    """Of the latest step."""
    scalars: dict[str, float] = field(default_factory=dict)

    def add(self, figures: StepFigures) -> None:
        """Take in one step."""
        self.steps += 1
        self.loss += figures.loss
        self.count += figures.count
        self.lr = figures.lr
        for name, value in figures.scalars.items():
            self.scalars[name] = self.scalars.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Loss and scalars per example (or whatever the objective counts), learning rate, mean norm of the gradient."""
        count = max(self.count, 1.0)
        return {
            "loss": self.loss / count,
            **{name: value / count for name, value in self.scalars.items()},
            "lr": self.lr,
            "grad_norm": self.grad_norm / max(self.steps, 1),
        }

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "scalars": dict(self.scalars)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Window":
        """Undo ``state_dict``."""
        return cls(**{**state, "scalars": dict(state["scalars"])})
