"""The exponential moving average of a module's weights: what a run evaluates and keeps, where it is on."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from vitrail.errors import CheckpointError
from vitrail.train.optim import trained_parameters
from vitrail.train.sharding import assign, whole


class WeightAverage:
    """After step t (from 1): average <- beta average + (1 - beta) weights, beta = min(decay, (1 + t) / (10 + t)).

    The smaller beta of the first steps lets the average forget the random beginning (as TensorFlow's and timm's do).
    Only trained parameters are averaged; buffers, such as BatchNorm's running statistics, are the current ones.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = trained_parameters(module)
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps (from 1)."""
        beta = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - beta)

    @torch.no_grad()
    def store(self) -> None:
        """Put the average into the module for good."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.average[name])

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the module has the averaged weights; afterwards exactly its own again."""
        with torch.no_grad():
            own = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.store()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(own[name])

    def state_dict(self) -> dict[str, Tensor]:
        """By parameter name, whole tensors on the CPU. Collective when sharded."""
        return {name: whole(tensor) for name, tensor in self.average.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what ``state_dict`` gave.

        Raises:
            CheckpointError: it is of other parameters.
        """
        if state.keys() != self.average.keys():
            differing = sorted(state.keys() ^ self.average.keys())[0]
            raise CheckpointError(
                f"the checkpoint and the model don't average the same parameters ({differing} is in one only): "
                f"name another folder for a new run."
            )
        for name, tensor in self.average.items():
            assign(tensor, state[name])
