"""Batches of texts by a budget of tokens: many short texts or a few long ones, little of it padding.

Texts of like length are put together: an epoch's texts are shuffled, sorted by length, and cut where a batch, padded on
both sides, would exceed the budget; the batches then come in random order. Each step's batch is a function of the seed
and the step, and every split into processes sees its rows of the same one.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from torch import Tensor

from vitrail.data.batches import own_parts
from vitrail.errors import DataError
from vitrail.nn.randomness import derive_seed

IGNORED = -100
"""Stands in ``TextBatch.labels`` where there is no token to predict."""

LIKE = 8
"""Lengths that differ by less than this are alike: within them, chance decides who meets whom."""


@dataclass(frozen=True)
class TokenPairs:
    """Sources and targets as tokens, cut to a model's lengths.

    Attributes:
        sources: each with its end token.
        targets: each with its end token.
        cut_sources: how many were too long and were cut.
        cut_targets: likewise.
    """

    sources: Sequence[NDArray[np.int32]]
    targets: Sequence[NDArray[np.int32]]
    cut_sources: int = 0
    cut_targets: int = 0

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.sources)


@dataclass
class TextBatch:
    """Some rows of a global batch.

    Attributes:
        source: int64 ``[b s]``, padded.
        source_mask: bool ``[b s]``, True = a token.
        target: int64 ``[b n]``, beginning with the start token.
        labels: int64 ``[b n]``, the token after each of ``target``; ``IGNORED`` where there is none.
        indices: int64 ``[b]``, the pairs' numbers.
        rows: which rows of the global batch these are.
        total: how many rows the global batch has.
    """

    source: Int64[Tensor, "b s"]
    source_mask: Bool[Tensor, "b s"]
    target: Int64[Tensor, "b n"]
    labels: Int64[Tensor, "b n"]
    indices: Int64[Tensor, " b"]
    rows: range
    total: int


@dataclass(frozen=True)
class Plan:
    """An epoch: which pairs meet in each of its batches."""

    batches: Sequence[NDArray[np.int64]]

    def padding(self, pairs: TokenPairs) -> float:
        """Share of the tokens, source and target, that are padding."""
        held = sum(len(pairs.sources[row]) + len(pairs.targets[row]) for rows in self.batches for row in rows)
        padded = sum(len(rows) * sum(_longest(pairs, rows)) for rows in self.batches)
        return 1 - held / padded


def plan_by_tokens(pairs: TokenPairs, budget: int, seed: int, epoch: int) -> Plan:
    """Batches of at most ``budget`` tokens, padded source and target together.

    Raises:
        DataError: a pair alone exceeds the budget.
    """
    random = np.random.default_rng(derive_seed(seed, "texts", epoch))
    source = np.array([len(text) for text in pairs.sources])
    target = np.array([len(text) for text in pairs.targets])
    if len(pairs) and int((source + target).max()) > budget:
        raise DataError(
            f"a batch of {budget:,} tokens can't hold the longest pair, of {int((source + target).max()):,}: raise the "
            "batch's tokens, or cut texts shorter."
        )
    order = np.lexsort((random.random(len(pairs)), target // LIKE, source // LIKE))
    batches: list[NDArray[np.int64]] = []
    begin = longest_source = longest_target = 0
    for place, row in enumerate(order):
        wide, high = max(longest_source, int(source[row])), max(longest_target, int(target[row]))
        if (place + 1 - begin) * (wide + high) > budget:
            batches.append(order[begin:place])
            begin, wide, high = place, int(source[row]), int(target[row])
        longest_source, longest_target = wide, high
    batches.append(order[begin:])
    return Plan([batches[place] for place in random.permutation(len(batches))])


def plan_by_count(pairs: TokenPairs, count: int, seed: int, epoch: int) -> Plan:
    """Batches of ``count`` pairs at random, each padded to its longest: what most trainers do."""
    order = np.random.default_rng(derive_seed(seed, "texts", epoch)).permutation(len(pairs))
    return Plan([order[place : place + count] for place in range(0, len(order), count)])


def make_pairs(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    end: int,
    longest_source: int,
    longest_target: int,
) -> TokenPairs:
    """Pairs that end with the end token, cut where they exceed a model's lengths.

    Args:
        sources: tokens of each document.
        targets: tokens of its summary.
        end: the token that ends a text.
        longest_source: tokens of a source at most, its end included.
        longest_target: tokens of a target at most, its end included.
    """

    def ended(texts: Sequence[Sequence[int]], longest: int) -> list[NDArray[np.int32]]:
        return [np.array([*text[: longest - 1], end], np.int32) for text in texts]

    return TokenPairs(
        ended(sources, longest_source),
        ended(targets, longest_target),
        sum(len(text) >= longest_source for text in sources),
        sum(len(text) >= longest_target for text in targets),
    )


class TextBatches:
    """Endless training batches; each item is the list of this process's micro-batches for one step of the optimizer.

    Args:
        pairs: the texts.
        tokens: of a batch at most, over all processes: padded sources and targets together.
        seed: decides the order.
        pad: the token that fills up.
        start: the token that targets are begun with.
        count: pairs in a batch instead, drawn at random.
        micro_batches: how many parts this process gets its share in.
        rank: which of ``world_size`` processes this is.
        world_size: how many processes share a batch.
        device: where batches are put.

    Raises:
        DataError: no texts, or a pair larger than the budget.
        ConfigError: counts that can't be meant.
    """

    def __init__(
        self,
        pairs: TokenPairs,
        tokens: int,
        *,
        seed: int,
        pad: int,
        start: int,
        count: int | None = None,
        micro_batches: int = 1,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self._mine = own_parts(rank, world_size, micro_batches)
        if not len(pairs):
            raise DataError("there is no text to train on: name data with at least one document and its summary.")
        self._pairs, self._tokens, self._count, self._seed = pairs, tokens, count, seed
        self._pad, self._start, self._device = pad, start, torch.device(device)
        self._parts = world_size * micro_batches
        self._step = 0
        self._plans: list[Plan] = []
        self._ends: list[int] = []  # steps up to and including each epoch planned
        self.steps_per_epoch = len(self._plan(0).batches)
        self.padding = self._plan(0).padding(pairs)

    def __iter__(self) -> Iterator[list[TextBatch]]:
        while True:
            batches = self._prepare(self._step)
            self._step += 1
            yield batches

    def state_dict(self) -> Mapping[str, Any]:
        """The number of steps handed out."""
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after as many steps."""
        self._step = int(state["step"])

    def _plan(self, epoch: int) -> Plan:
        while len(self._ends) <= epoch:
            number = len(self._ends)
            if self._count is None:
                plan = plan_by_tokens(self._pairs, self._tokens, self._seed, number)
            else:
                plan = plan_by_count(self._pairs, self._count, self._seed, number)
            self._ends.append((self._ends[-1] if self._ends else 0) + len(plan.batches))
            self._plans = [*self._plans[-1:], plan]
        return self._plans[epoch - len(self._ends)]

    def _prepare(self, step: int) -> list[TextBatch]:
        epoch = bisect_right(self._ends, step)
        while epoch >= len(self._ends):
            self._plan(len(self._ends))
            epoch = bisect_right(self._ends, step)
        chosen = self._plan(epoch).batches[step - (self._ends[epoch - 1] if epoch else 0)]
        bounds = [len(chosen) * part // self._parts for part in range(self._parts + 1)]
        return [
            collate(
                self._pairs,
                chosen[bounds[part] : bounds[part + 1]],
                pad=self._pad,
                start=self._start,
                rows=range(bounds[part], bounds[part + 1]),
                total=len(chosen),
                device=self._device,
            )
            for part in self._mine
        ]


def collate(
    pairs: TokenPairs,
    chosen: NDArray[np.int64],
    *,
    pad: int,
    start: int,
    rows: range | None = None,
    total: int | None = None,
    device: torch.device | str = "cpu",
) -> TextBatch:
    """Some pairs as one padded batch; an empty choice gives a batch without rows, one token wide."""
    longest_source, longest_target = _longest(pairs, chosen) if len(chosen) else (1, 1)
    source = torch.full((len(chosen), longest_source), pad)
    mask = torch.zeros(len(chosen), longest_source, dtype=torch.bool)
    target = torch.full((len(chosen), longest_target), pad)
    labels = torch.full((len(chosen), longest_target), IGNORED)
    for row, pair in enumerate(chosen.tolist()):
        text, summary = torch.from_numpy(pairs.sources[pair]), torch.from_numpy(pairs.targets[pair])
        source[row, : len(text)], mask[row, : len(text)] = text.long(), True
        labels[row, : len(summary)] = summary.long()
        target[row, 0], target[row, 1 : len(summary)] = start, summary[:-1].long()
    return TextBatch(
        source.to(device),
        mask.to(device),
        target.to(device),
        labels.to(device),
        torch.from_numpy(chosen),
        range(len(chosen)) if rows is None else rows,
        len(chosen) if total is None else total,
    )


def _longest(pairs: TokenPairs, rows: NDArray[np.int64]) -> tuple[int, int]:
    return max(len(pairs.sources[row]) for row in rows), max(len(pairs.targets[row]) for row in rows)
