"""What one pass costs: multiply-adds and weights of any module, counted by PyTorch itself without computing anything.

Counted are the products of matrices: linear maps, convolutions, queries with keys, weights with values. Norms, pooling,
activations, softmax and additions are left out, as is usual; what FaceNet calls FLOPS are multiply-adds in this sense.
Training costs three times as much (a backward pass is two forward passes).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of one forward pass."""

    total: int
    """All of it."""
    modules: Mapping[str, int]
    """Those of each module that was called, by its name, what is inside it included; left out where there are none."""

    def of(self, part: str) -> int:
        """Those of one part: a module, or what holds modules without being called itself (``blocks``)."""
        if part in self.modules:
            return self.modules[part]
        inside = [name for name in self.modules if name.startswith(f"{part}.")]
        outermost = [name for name in inside if not any(name.startswith(f"{other}.") for other in inside)]
        return sum(self.modules[name] for name in outermost)


def multiply_adds(module: nn.Module, *inputs: Tensor) -> MultiplyAdds:
    """Count one forward pass over ``inputs``, of which only the shapes matter; one image is a batch of one.

    Runs on PyTorch's meta device, where tensors have a shape and no numbers: a hundred million weights take no time.
    The module may live anywhere and stays as it is.
    """
    tensors = {name: x.to("meta") for name, x in (*module.named_parameters(), *module.named_buffers())}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(module, tensors, tuple(x.to("meta") for x in inputs))
    # PyTorch counts a multiply-add as two operations, and begins each name with the class of the whole.
    modules = {
        name.partition(".")[2]: sum(counts.values()) // 2
        for name, counts in counter.get_flop_counts().items()
        if "." in name
    }
    return MultiplyAdds(counter.get_total_flops() // 2, modules)


def count_weights(module: nn.Module) -> int:
    """Entries of the weights of linear maps and convolutions; biases and norms left out, as FaceNet counts."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim > 1)
