"""Keys and values that attention need not compute again: of a memory, and of the tokens written so far.

What is kept is *projected*: keeping a layer's inputs instead and projecting them anew at each step costs several times
as much. The cache grows in place, in steps of its own size, so that a token costs no copy of what is before it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class KeyValues(NamedTuple):
    """Keys and values of one attention, cut into heads."""

    keys: Float[Tensor, "b h s d"]
    values: Float[Tensor, "b h s d"]

    @property
    def laid_out(self) -> bool:
        """Whether they lie as ``for_few_queries`` puts them."""
        return self.keys.stride(-2) == 1 < self.keys.stride(-1)

    def for_few_queries(self) -> "KeyValues":
        """The same numbers, laid out to be read again and again by few queries: each head's keys by their dimensions.

        A processor then reads all of them from one end to the other, in two thirds of the time; elsewhere, nothing is
        gained.
        """
        if self.keys.device.type != "cpu" or self.keys.dtype != torch.float32:
            return KeyValues(self.keys.contiguous(), self.values.contiguous())
        return KeyValues(self.keys.mT.contiguous().mT, self.values.contiguous())

    def take(self, rows: Int64[Tensor, " b"]) -> "KeyValues":
        """Those of some examples, in this order, laid out as they are."""
        keys = self.keys.mT[rows].mT if self.laid_out else self.keys[rows]
        return KeyValues(keys, self.values[rows])


class GrowingKeyValues:
    """The keys and values of one self-attention, to which each step adds its own."""

    FIRST = 64
    """Positions that there is room for at first."""

    def __init__(self) -> None:
        self._room: KeyValues | None = None
        self.length = 0

    def append(self, keys: Float[Tensor, "b h n d"], values: Float[Tensor, "b h n d"]) -> KeyValues:
        """Add positions; all there are now, as a view that the next call leaves as it is."""
        end = self.length + keys.shape[2]
        if self._room is None or end > self._room.keys.shape[2]:
            size = max(self.FIRST, 2 * self.length, end)
            self._room = KeyValues(self._grown(keys, size, 0), self._grown(values, size, 1))
        self._room.keys[:, :, self.length : end] = keys
        self._room.values[:, :, self.length : end] = values
        self.length = end
        return self._held(self._room)

    def take(self, rows: Int64[Tensor, " b"]) -> None:
        """Keep only some examples, in this order."""
        if self._room is not None:
            self._room = self._room.take(rows)

    def _held(self, room: KeyValues) -> KeyValues:
        return KeyValues(room.keys[:, :, : self.length], room.values[:, :, : self.length])

    def _grown(self, like: Tensor, size: int, part: int) -> Tensor:
        b, h, _, d = like.shape
        grown = torch.empty(b, h, size, d, dtype=like.dtype, device=like.device)
        if self._room is not None:
            grown[:, :, : self.length] = self._held(self._room)[part]
        return grown
