"""Losses on the embeddings of a whole batch, with the memory of a part of it: gradient caching (arXiv:2101.06983).

Triplets are mined in batches of 1,800 faces (FaceNet, section 3.2), whose activations in NN2 alone are 75 GB. So the
batch is embedded twice. First without a graph, some images at a time; the embeddings give the loss and its gradient by
each of them. Then again, now with a graph that is thrown away after each part: as the gradient g of an embedding f(x)
is known, that of Σ g·f(x) is the gradient of the loss. Each part sees the random numbers again that it saw at first, so
dropout drops the same. It is exact as long as no row depends on others: batch normalisation is refused.

Several processes share a batch: each embeds its rows, all get all embeddings, in the batch's own order, and so mine the
same triplets, as one process alone would; each then carries the gradient of its own rows on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vitrail.errors import ConfigError
from vitrail.faces.gathering import gather_labels, gather_rows, process_count
from vitrail.faces.mining import Mining, full_precision, require_choices
from vitrail.faces.statistics import CollapseWatch, TripletStatistics
from vitrail.faces.triplets import triplet_loss
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.train.objective import LossSums


@runtime_checkable
class FaceBatch(Protocol):
    """One process's rows of a global batch of faces."""

    @property
    def images(self) -> Tensor:
        """``[b c H W]``, as the network wants them."""

    @property
    def labels(self) -> Tensor | None:
        """Whose face it is, ``[b]``."""

    @property
    def rows(self) -> range:
        """Which rows of the global batch these are."""

    @property
    def total(self) -> int:
        """How many rows the global batch has."""


EmbeddingLoss = Callable[[Tensor, Tensor, Tensor | None, torch.Generator], tuple[Tensor, TripletStatistics]]
"""(embeddings [b d], labels [b], fixed embeddings of the same rows [b d] if there are any, generator on the CPU) ->
(loss, statistics), for a whole global batch; the same in every process."""

FixedEmbeddings = Callable[[Any], Tensor]
"""A batch -> embeddings [b d] of its rows by another network, or from a file, that nothing is learned for."""


class EmbeddingObjective:
    """Trains a network by a loss on all embeddings of the global batch; an objective for the loop.

    What it counts are batches: the loop's sums are those of one batch, shared by the processes.

    Args:
        module: images ``[b c H W]`` -> embeddings ``[b d]``.
        loss: of the whole batch.
        chunk: how many images go through the network at once. If a process has more, gradients are cached: a batch
            costs four forward passes instead of three, and the memory of ``chunk`` images. Change it without fear: the
            gradient is the same.
        fixed: what gives ``loss`` its fixed embeddings.
        watch: ends a run that has collapsed.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: EmbeddingLoss,
        *,
        chunk: int = 32,
        fixed: FixedEmbeddings | None = None,
        watch: CollapseWatch | None = None,
    ) -> None:
        if chunk < 1:
            raise ConfigError(f"a chunk of {chunk} images can't be meant; give a positive number.")
        self.module, self.chunk = module, chunk
        self._loss, self._fixed, self._watch = loss, fixed, watch

    def loss(self, batch: FaceBatch, random: RowRandom) -> LossSums:
        """This process's share of the batch's loss, with the graph of all of its images."""
        labels = _labels(batch)
        embeddings = gather_rows(full_precision(self.module(batch.images)), batch.rows, batch.total)
        return self._share(*self._evaluate(embeddings, labels, batch, random))

    def accumulate(self, batch: FaceBatch, random: RowRandom, backward: Callable[[Tensor], None]) -> LossSums:
        """As ``loss``, but with backward, and with the memory of ``chunk`` images.

        Raises:
            ConfigError: micro-batches, batch normalisation, or a batch without labels.
            CollapseError: all embeddings have become one.
        """
        chunks = batch.images.split(self.chunk)
        if len(chunks) == 1:
            loss, count, scalars = self.loss(batch, random)
            backward(loss)
            return loss.detach(), count, scalars
        _require_independent_rows(self.module)
        labels = _labels(batch)
        states: list[_RandomState] = []
        parts: list[Tensor] = []
        with torch.no_grad():
            for images in chunks:
                states.append(_RandomState(images.device))
                parts.append(full_precision(self.module(images)))
            embeddings = gather_rows(torch.cat(parts), batch.rows, batch.total)
        embeddings.requires_grad_()
        loss, statistics = self._evaluate(embeddings, labels, batch, random)
        (gradient,) = torch.autograd.grad(loss, embeddings)
        own = gradient[batch.rows.start : batch.rows.stop].split(self.chunk)
        for images, state, toward in zip(chunks, states, own, strict=True):
            with state.again():
                backward((self.module(images).to(toward.dtype) * toward).sum())
        return self._share(loss.detach(), statistics)

    def _evaluate(
        self, embeddings: Tensor, labels: Tensor, batch: FaceBatch, random: RowRandom
    ) -> tuple[Tensor, TripletStatistics]:
        fixed = None
        if self._fixed is not None:
            with torch.no_grad():
                fixed = gather_rows(full_precision(self._fixed(batch)), batch.rows, batch.total)
        generator = torch.Generator().manual_seed(derive_seed(random.seed, random.step, "triplets"))
        loss, statistics = self._loss(embeddings, labels, fixed, generator)
        if self._watch is not None:
            self._watch.look(statistics)
        return loss, statistics

    def _share(self, loss: Tensor, statistics: TripletStatistics) -> LossSums:
        count = loss.new_ones((), dtype=torch.float64) / process_count()
        return loss * count, count, {name: value * count for name, value in statistics.scalars().items()}


def triplet_objective(
    module: nn.Module, *, margin: float = 0.2, mining: Mining = "semi-hard", chunk: int = 32, patience: int = 200
) -> EmbeddingObjective:
    """Train a network by ``triplet_loss``, the mean over a batch's triplets with positive loss.

    Args:
        patience: how many steps in a row the embeddings may all be one (``CollapseWatch``).
    """
    require_choices(mining, margin)

    def loss(
        embeddings: Tensor, labels: Tensor, fixed: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, TripletStatistics]:
        return triplet_loss(embeddings, labels, margin, mining, generator=generator)

    return EmbeddingObjective(module, loss, chunk=chunk, watch=CollapseWatch(margin, mining, patience))


class _RandomState:
    """The global random state, from which dropout draws, as it is now."""

    def __init__(self, device: torch.device) -> None:
        self._gpus = [device] if device.type == "cuda" else []
        self._states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in self._gpus)]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Inside the block it is that again; afterwards it goes on as if there had been no block."""
        with torch.random.fork_rng(self._gpus):
            torch.set_rng_state(self._states[0])
            for gpu, state in zip(self._gpus, self._states[1:], strict=True):
                torch.cuda.set_rng_state(state, gpu)
            yield


def _require_independent_rows(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and part.training:
            raise ConfigError(
                f"{name or 'the network'} normalises over a batch, so that parts of the batch don't embed as the whole "
                "does: put it into evaluation mode, use another normalisation, or a chunk as large as the batch."
            )


def _labels(batch: FaceBatch) -> Tensor:
    if batch.labels is None:
        raise ConfigError(
            "triplets need to know whose face each image is, and these have no labels: use labelled data."
        )
    return gather_labels(batch.labels.long(), batch.rows, batch.total)
