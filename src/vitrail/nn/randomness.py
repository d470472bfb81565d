"""Random numbers that depend on what they are for, not on who draws them or when.

A step of training draws crops, masks and mixing weights for every image of its global batch. Drawn from one
running generator they would change with the number of processes, with micro-batches, and after a resume.
Here each draw is a pure function of (seed, step, name, row): any process can compute any row, nothing has to
be saved, and two processes see what one would.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from any mix of numbers and names; equal parts give equal seeds on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class RowRandom:
    """The random numbers of some rows of one step's global batch.

    Args:
        seed: the run's seed.
        step: the step of training, from 0.
        rows: which rows of the global batch are wanted.
        total: how many rows the global batch has.
    """

    seed: int
    step: int
    rows: range
    total: int

    def _generator(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, self.step, name))

    def _take(self, everyone: Tensor) -> Tensor:
        return everyone[self.rows.start : self.rows.stop : self.rows.step]

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform in [0, 1), float32 on the CPU, ``[rows, *shape]``; each name is a stream of its own."""
        return self._take(torch.rand(self.total, *shape, generator=self._generator(name)))

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal, float32 on the CPU, ``[rows, *shape]``."""
        return self._take(torch.randn(self.total, *shape, generator=self._generator(name)))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Integers in [0, high), int64 on the CPU, ``[rows, *shape]``."""
        return self._take(torch.randint(high, (self.total, *shape), generator=self._generator(name)))

    def permutation(self, name: str) -> Tensor:
        """For each of these rows another row of the *global* batch, as one permutation of it; int64 ``[rows]``."""
        return self._take(torch.randperm(self.total, generator=self._generator(name)))

    def shared(self, name: str, *shape: int) -> Tensor:
        """One uniform draw in [0, 1) for the whole global batch, float32 on the CPU, ``[*shape]``."""
        return torch.rand(*shape, generator=self._generator(name))
