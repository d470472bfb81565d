"""All that a run needs to go on, as plain values and tensors; and back into the run.

There is no random state: every draw is a function of the seed and the step (``nn/randomness.py``), and no scheduler:
the learning rate is a function of the step.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vitrail.errors import CheckpointError
from vitrail.train.average import WeightAverage
from vitrail.train.sharding import assign, whole
from vitrail.train.step import OneStep


def take(module: nn.Module, one: OneStep) -> dict[str, Any]:
    """Weights, buffers, moments and average. Collective when sharded."""
    return {
        "model": {name: whole(value) for name, value in module.state_dict().items()},
        "optimizer": one.optimizers.state_dict(),
        "average": None if one.average is None else one.average.state_dict(),
    }


def put_back(state: Mapping[str, Any], module: nn.Module, one: OneStep, where: Path) -> None:
    """Undo ``take``.

    Raises:
        CheckpointError: it is of another model; names the first tensor that doesn't fit.
    """
    own, saved = module.state_dict(), state["model"]
    for name in sorted(own.keys() | saved.keys()):
        found = _shape(saved[name]) if name in saved else "missing"
        expected = _shape(own[name]) if name in own else "none"
        if found != expected:
            raise CheckpointError(
                f"{where} is a checkpoint of another model ({name} is {found} there, but {expected} here): "
                f"name another folder for a new run."
            )
    for name, value in own.items():
        if isinstance(value, Tensor):
            assign(value, saved[name])
    one.optimizers.load_state_dict(state["optimizer"])
    if one.average is not None:
        one.average.load_state_dict(state["average"])


def to_use(module: nn.Module, state: Mapping[str, Any], average: WeightAverage | None) -> dict[str, Tensor]:
    """The weights to use of a snapshot: averaged ones where there are, under all names of a shared tensor."""
    tensors = {name: value for name, value in state["model"].items() if isinstance(value, Tensor)}
    if average is not None:
        owner = {id(parameter): name for name, parameter in average.parameters.items()}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            if id(parameter) in owner and name in tensors:
                tensors[name] = state["average"][owner[id(parameter)]]
    return tensors


def _shape(value: Any) -> str:
    return "x".join(map(str, value.shape)) or "a number" if isinstance(value, Tensor) else type(value).__name__
