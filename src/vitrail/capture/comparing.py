"""Is a model's output the same with and without capture? A sample of its numbers, and their largest difference."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

SAMPLE = 2**16
"""Numbers of each tensor that are compared, at most."""


def sampled(output: object) -> list[Tensor]:
    """Numbers from all over every tensor of an output; a copy, so that the output can be let go."""
    return [_spaced(x) for x in tensors_of(output) if x.is_floating_point()]


def output_difference(before: list[Tensor], after: list[Tensor]) -> float:
    """Largest difference, relative to the tensor's largest number where that is above 1; infinite for other shapes."""
    if [len(x) for x in before] != [len(x) for x in after]:
        return float("inf")
    gaps = [float((x - y).abs().max()) / max(1.0, float(x.abs().max())) for x, y in zip(before, after, strict=True)]
    return max(gaps, default=0.0)


def _spaced(x: Tensor) -> Tensor:
    flat = x.detach().flatten()
    step = max(1, len(flat) // SAMPLE)
    found: Tensor = flat[::step].float().nan_to_num().clone() if len(flat) else torch.zeros(1)
    return found


def tensors_of(output: object) -> Iterator[Tensor]:
    """Every tensor in what a model gives: tuples, lists, mappings and dataclasses of any depth, in their order."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from tensors_of(part)
    elif isinstance(output, tuple | list):
        for part in output:
            yield from tensors_of(part)
    elif hasattr(output, "__dataclass_fields__"):
        for part in vars(output).values():
            yield from tensors_of(part)
