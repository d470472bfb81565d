"""Random blocks of tokens that come again: what ``induction`` trains and scores its models on.

A block has between 4 and 16 tokens, all different, in an order that nobody has seen before: what comes next can only be
known from the first time. Scores are taken on a block *twice*. Training shows a block once and then *pieces* of it, cut
and joined at random. Were it shown twice there too, one look at a fixed distance would do for blocks of a length, and
two-layer models learn a mixture of such looks, with a loss near 0 and without an induction head.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import IGNORED
from vitrail.text.passages import PassageBatch

VOCABULARY = 64
"""Tokens that there are."""
SHORTEST, LONGEST = 4, 16
"""Tokens of a block; those that are shown twice have the most."""
LENGTH = 2 * LONGEST
"""Tokens of a sequence."""
CUT = 0.25
"""Probability with which a piece ends after a token."""


def twice(random: RowRandom) -> Int64[Tensor, "b n"]:
    """Blocks of the greatest length, each followed by itself."""
    block = random.uniform("order", VOCABULARY).argsort(dim=1)[:, :LONGEST]
    return block.repeat(1, 2)


def pieces(random: RowRandom) -> PassageBatch:
    """Blocks, each followed by pieces of itself; asked for are the tokens that go on with a piece."""
    rows = len(random.rows)
    block = random.uniform("order", VOCABULARY).argsort(dim=1)
    size = SHORTEST + random.integers("size", LONGEST + 1 - SHORTEST)
    cut = random.uniform("cut", LENGTH) < CUT
    begin = (random.uniform("begin", LENGTH) * (size - 1)[:, None]).long()
    places, goes_on = torch.zeros(rows, LENGTH, dtype=torch.int64), torch.zeros(rows, LENGTH, dtype=torch.bool)
    for place in range(1, LENGTH):
        following = places[:, place - 1] + 1
        again = place > size  # the block itself is not cut
        ends = (following >= size) | (again & cut[:, place])
        places[:, place] = torch.where(ends, begin[:, place], following)
        goes_on[:, place] = again & ~ends
    tokens = block.gather(1, places)
    following = torch.full_like(tokens, IGNORED)
    following[:, :-1] = torch.where(goes_on[:, 1:], tokens[:, 1:], IGNORED)
    return PassageBatch(tokens, following, torch.arange(rows), random.rows, random.total)


class PieceBatches:
    """An endless stream of ``pieces``, other ones in every step.

    Args:
        rows: sequences of a batch.
        seed: decides all of them.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self._rows, self._seed, self._step = rows, seed, 0

    def __iter__(self) -> Iterator[list[PassageBatch]]:
        while True:
            batch = pieces(RowRandom(self._seed, self._step, range(self._rows), self._rows))
            self._step += 1
            yield [batch]

    def state_dict(self) -> Mapping[str, Any]:
        """The number of steps handed out."""
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after as many steps."""
        self._step = int(state["step"])
