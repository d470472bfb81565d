"""Which module is running: every listener asks here under which name a call is to be written down.

Hooks on all modules keep a stack; they are taken off again whatever happens. Modules that look like attention, ran, and
were not heard by any listener are named at the end, with the reason.
"""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vitrail.capture.call import Call, Record
from vitrail.capture.refusals import reason_of

ATTENTION = re.compile("attention|attn", re.IGNORECASE)
"""A class with this in its name is taken for attention."""

OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states", "memory")
"""Arguments that, where given, make an attention a cross-attention."""


@runtime_checkable
class Edit(Protocol):
    """Changes to what an attention computes, head by head (``vitrail.capture.interventions``)."""

    def inputs(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values to go on with; the same objects where nothing is changed."""
        ...

    def output(self, name: str, output: Tensor) -> Tensor:
        """What the heads give ``[b h q dv]``, to go on with."""
        ...


class Tracker:
    """Names calls, hands them on, and knows what was missed."""

    def __init__(
        self, root: nn.Module, record: Record, each: Callable[[Call], None] | None, edit: Edit | None, graph: bool
    ) -> None:
        self.root, self.record, self.each, self.edit, self.graph = root, record, each, edit, graph
        self.paused = 0
        self.names = {id(module): name for name, module in root.named_modules()}
        self.running: list[nn.Module] = []
        self._cross: list[bool] = []
        self._ran: dict[str, nn.Module] = {}
        self._heard: Counter[str] = Counter()
        self._handles: list[Any] = []

    def hook(self) -> None:
        """Put hooks on all modules."""
        for module in self.root.modules():
            self._handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))

    def unhook(self) -> None:
        """Take all hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.running.clear()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.running.append(module)
        looks = bool(ATTENTION.search(type(module).__name__))
        self._cross.append(looks and _reads_another(module, args, kwargs))
        if looks:
            self._ran[self.names[id(module)]] = module

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        while self.running:
            last = self.running.pop()
            self._cross.pop()
            if last is module:
                break

    @property
    def ran(self) -> bool:
        """Whether anything was run that looks like attention."""
        return bool(self._ran)

    @property
    def inside_attention(self) -> bool:
        """Whether the running module, or what it is part of, looks like attention."""
        return any(ATTENTION.search(type(module).__name__) for module in self.running[-3:])

    def current(self) -> nn.Module:
        """The innermost module that is running."""
        return self.running[-1] if self.running else self.root

    def hear(self, call: Call, module: nn.Module | None = None) -> None:
        """Write a call down under the name of the module that made it."""
        layer = self.names.get(id(module or self.current()), "")
        self._heard[layer] += 1
        count = self._heard[layer]
        cross = call.cross or "cross" in layer.lower() or any(self._cross[-3:])
        call = replace(call, name=layer if count == 1 else f"{layer}@{count}", cross=cross)
        if not self.graph:
            call = call.detached()
        if self.each is None:
            self.record.calls.append(call)
        else:
            self.each(call)

    def on_path(self, heads: Tensor) -> Tensor:
        """What the heads give, so that gradients can be asked for also where all parameters are frozen."""
        if self.graph and not heads.requires_grad and torch.is_grad_enabled():
            heads.requires_grad_()
        return heads

    def name_next(self, module: nn.Module | None = None) -> str:
        """The name that the module's next call will be given."""
        layer = self.names.get(id(module or self.current()), "")
        return f"{layer}@{self._heard[layer] + 1}" if self._heard[layer] else layer

    @property
    def heard(self) -> int:
        """How many calls were written down."""
        return self._heard.total()

    def missed(self) -> dict[str, str]:
        """Paths of what looks like attention, ran and was not heard, with the reason."""
        heard = list(self._heard)
        found: dict[str, str] = {}
        for name, module in self._ran.items():
            related = any(name == "" or _within(other, name) or _within(name, other) for other in heard)
            inner = any(other != name and _within(other, name) for other in self._ran)
            if not related and not inner:
                found[name] = reason_of(module)
        return found


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}.")


def _reads_another(module: nn.Module, args: Iterable[Any], kwargs: dict[str, Any]) -> bool:
    if any(kwargs.get(name) is not None for name in OTHER_SEQUENCE):
        return True
    names = list(inspect.signature(module.forward).parameters)
    return any(name in OTHER_SEQUENCE and value is not None for name, value in zip(names, args, strict=False))
