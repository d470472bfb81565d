"""Texts as one stream of tokens, cut into passages of one length: what language models are trained and measured on.

All texts stand one after the other, each followed by the end token, and the stream is cut where a passage is full: no
token is padding (RoBERTa's FULL-SENTENCES: Liu et al. 2019, section 4.2). Each epoch the first cut falls elsewhere, and
the passages come in another order. Each step's batch is a function of the seed and the step, and every split into
processes sees its rows of the same one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from vitrail.data.batches import own_parts
from vitrail.errors import ConfigError, DataError
from vitrail.nn.randomness import derive_seed
from vitrail.text.batches import IGNORED

Stream = Int32[np.ndarray, " n"]
"""Tokens of all texts, in their order."""


@dataclass
class PassageBatch:
    """Some rows of a global batch.

    Attributes:
        tokens: int64 ``[b n]``.
        following: int64 ``[b n]``, the token after each; ``IGNORED`` where it isn't asked for.
        indices: int64 ``[b]``, where the passages begin in the stream.
        rows: which rows of the global batch these are.
        total: how many rows the global batch has.
    """

    tokens: Int64[Tensor, "b n"]
    following: Int64[Tensor, "b n"]
    indices: Int64[Tensor, " b"]
    rows: range
    total: int


def make_stream(texts: Sequence[Sequence[int]], end: int) -> Stream:
    """The end token, then each text with the end token after it."""
    stream = np.full(sum(map(len, texts)) + len(texts) + 1, end, np.int32)
    place = 1
    for text in texts:
        stream[place : place + len(text)] = text
        place += len(text) + 1
    return stream


class PassageBatches:
    """Endless training batches; each item is the list of this process's micro-batches for one step of the optimizer.

    An epoch's batches are of equal size, but for one row. What is before an epoch's first cut or too short for a
    passage at the end is left out of that epoch; each leaves out other tokens.

    Args:
        stream: of the texts.
        length: tokens of a passage.
        tokens: of a batch at most, over all processes.
        seed: decides cuts and order.
        micro_batches: how many parts this process gets its share in.
        rank: which of ``world_size`` processes this is.
        world_size: how many processes share a batch.
        device: where batches are put.

    Raises:
        DataError: fewer tokens than one passage needs in every epoch.
        ConfigError: counts that can't be meant.
    """

    def __init__(
        self,
        stream: Stream,
        length: int,
        tokens: int,
        *,
        seed: int,
        micro_batches: int = 1,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self._mine = own_parts(rank, world_size, micro_batches)
        if not 0 < length <= tokens:
            raise ConfigError(
                f"a batch of {tokens:,} tokens can't hold a passage of {length:,}: raise the batch's tokens, or take "
                "shorter passages."
            )
        self.passages = (len(stream) - length) // length
        if self.passages < 1:
            raise DataError(
                f"the texts have {len(stream) - 1:,} tokens, and passages of {length:,} need {2 * length:,} or more: "
                "name more data, or take shorter passages."
            )
        self._stream, self._length, self._seed, self._device = stream, length, seed, torch.device(device)
        self._parts = world_size * micro_batches
        self._step = 0
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self.steps_per_epoch = -(-self.passages // (tokens // length))

    def __iter__(self) -> Iterator[list[PassageBatch]]:
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

    def _begins(self, epoch: int) -> NDArray[np.int64]:
        """Where an epoch's passages begin, in their order."""
        if self._epoch[0] != epoch:
            random = np.random.default_rng(derive_seed(self._seed, "passages", epoch))
            first = int(random.integers(self._length))
            self._epoch = (epoch, first + self._length * random.permutation(self.passages))
        return self._epoch[1]

    def _prepare(self, step: int) -> list[PassageBatch]:
        epoch, place = divmod(step, self.steps_per_epoch)
        begin, end = (self.passages * edge // self.steps_per_epoch for edge in (place, place + 1))
        chosen = self._begins(epoch)[begin:end]
        bounds = [len(chosen) * part // self._parts for part in range(self._parts + 1)]
        return [
            cut(self._stream, chosen[bounds[part] : bounds[part + 1]], self._length, self._device,
                range(bounds[part], bounds[part + 1]), len(chosen))
            for part in self._mine
        ]  # fmt: skip


def cut(
    stream: Stream,
    begins: NDArray[np.int64],
    length: int,
    device: torch.device | str = "cpu",
    rows: range | None = None,
    total: int | None = None,
) -> PassageBatch:
    """The passages that begin at these places; after the stream's last token comes none (``IGNORED``)."""
    places = begins[:, None] + np.arange(length + 1)
    taken = torch.from_numpy(stream[np.minimum(places, len(stream) - 1)].astype(np.int64))
    taken[torch.from_numpy(places >= len(stream))] = IGNORED
    return PassageBatch(
        taken[:, :-1].to(device),
        taken[:, 1:].clone().to(device),
        torch.from_numpy(begins),
        range(len(begins)) if rows is None else rows,
        len(begins) if total is None else total,
    )


def windows(
    stream: Stream, length: int, overlap: int, rows: int, device: torch.device | str = "cpu"
) -> Iterator[PassageBatch]:
    """Passages in whose ``following`` each token of the stream but the first is asked for once, in order.

    Args:
        stream: of two tokens or more.
        length: of a passage; all are as long, unless the stream is shorter.
        overlap: tokens at a passage's beginning that are there to be seen only: what they are followed by was asked for
            in the passage before. The last passage may see more.
        rows: passages in a batch.
        device: where batches are put.
    """
    last = len(stream) - 1 - min(length, len(stream) - 1)
    step = length - overlap
    begins = np.unique(np.minimum(np.arange(0, len(stream) - 1, step), last))
    for row in range(0, len(begins), rows):
        batch = cut(stream, begins[row : row + rows], min(length, len(stream) - 1), device)
        for place in range(row, min(row + rows, len(begins))):
            if place:
                known = begins[place - 1] + batch.tokens.shape[1] - begins[place]
                batch.following[place - row, :known] = IGNORED
        yield batch
