"""The residual stream: what enters a stack of blocks and what leaves each of them.

The block of an attention is the element of a list that it stands in: ``encoder.layer.3`` of
``encoder.layer.3.attention.self``. One block may be called several times: ALBERT has one for all its layers.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class Residuals:
    """Of each block, what went in at first and what came out each time [n m], by the block's path."""

    entered: dict[str, np.ndarray] = field(default_factory=dict)
    left: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def after(self, block: str | None, call: str) -> np.ndarray | None:
        """What left a block when the attention of this name was called in it."""
        states = self.left.get(block or "", [])
        return states[min(int(call.partition("@")[2] or 1), len(states)) - 1] if states else None


def block_of(root: nn.Module, path: str) -> str | None:
    """Path of the block that an attention stands in, None where it stands in no list."""
    names = path.split(".")
    found = None
    for end in range(1, len(names) + 1):
        if names[end - 1].isdigit() and isinstance(root.get_submodule(".".join(names[: end - 1])), nn.ModuleList):
            found = ".".join(names[:end])
            # A stage of several blocks (Swin) is no block; a block of several sublayers (T5) is one.
            if "stage" not in type(root.get_submodule(found)).__name__.lower():
                break
    return found


@contextmanager
def residuals(root: nn.Module) -> Iterator[Residuals]:
    """Collect what enters and leaves every element of every list of modules; hooks are taken off again."""
    found = Residuals()
    handles: list[Any] = []

    def entering(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            x = next((x for x in (*args, *kwargs.values()) if _is_stream(x)), None)
            if x is not None:
                found.entered.setdefault(name, _array(x))

        return hook

    def leaving(name: str) -> Any:
        def hook(module: nn.Module, args: object, output: Any) -> None:
            x = next((x for x in (output if isinstance(output, tuple) else (output,)) if _is_stream(x)), None)
            if x is not None:
                found.left.setdefault(name, []).append(_array(x))

        return hook

    try:
        for name, module in root.named_modules():
            if isinstance(module, nn.ModuleList):
                for index, block in enumerate(module):
                    path = f"{name}.{index}" if name else str(index)
                    handles.append(block.register_forward_pre_hook(entering(path), with_kwargs=True))
                    handles.append(block.register_forward_hook(leaving(path)))
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def left_as(block: nn.Module, states: Tensor, call: int) -> Iterator[None]:
    """While open, a block's call of this number (from 1) leaves these states [b n m] behind, whatever it computed."""
    calls = 0

    def hook(module: nn.Module, args: object, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != call:
            return None
        if isinstance(output, Tensor):
            return states.to(output)
        place = next(place for place, x in enumerate(output) if _is_stream(x))
        return (*output[:place], states.to(output[place]), *output[place + 1 :])

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _is_stream(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.ndim == 3 and len(x) == 1


def _array(x: Tensor) -> np.ndarray:
    array: np.ndarray = x[0].detach().to("cpu", torch.float32).numpy().copy()
    return array
