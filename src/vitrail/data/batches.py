"""``ImageSet`` → batches on a device, for training (``ImageBatches``) and for evaluation (``in_order``).

Which image is in which row of which step is a function of the seed alone, and so is every random choice for it:
nothing but the step's number has to be saved, and any split into processes and micro-batches sees its share of the
same global batch. The next steps' batches are made in a thread while the caller works on this one.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vitrail.data.ahead import ahead
from vitrail.data.augment import NO_AUGMENTATION, Augmentation, Draws, apply, draw
from vitrail.data.images import ImageSet
from vitrail.data.mixing import Mixing, draw_mixing, mix
from vitrail.data.pixels import affine, normalise
from vitrail.errors import ConfigError, DataError
from vitrail.nn.randomness import RowRandom, derive_seed


@dataclass
class ImageBatch:
    """Some rows of a global batch.

    Attributes:
        images: float32 ``[b c H W]``, normalised by the training set's mean and standard deviation, on the device.
        labels: int64 ``[b]`` on the device, or None.
        mixed: the partners' labels ``[b]`` and the weight ``[b]`` of the own ones, where images were mixed and have
            labels: the loss is ``weight * CE(labels) + (1 - weight) * CE(labels_b)``.
        indices: int64 ``[b]`` on the CPU, the images' rows in the set.
        rows: which rows of the global batch these are.
        total: how many rows the global batch has.
    """

    images: Float[Tensor, "b c H W"]
    labels: Int64[Tensor, " b"] | None
    mixed: tuple[Int64[Tensor, " b"], Float[Tensor, " b"]] | None
    indices: Int64[Tensor, " b"]
    rows: range
    total: int


def own_parts(rank: int, world_size: int, micro_batches: int) -> range:
    """Which of the ``world_size * micro_batches`` parts of a global batch are this process's.

    Raises:
        ConfigError: counts that can't be meant.
    """
    if micro_batches < 1 or not 0 <= rank < world_size:
        raise ConfigError(
            f"{micro_batches} micro-batches for process {rank} of {world_size} can't be meant: at least one "
            "micro-batch, and processes counted from 0."
        )
    return range(rank * micro_batches, (rank + 1) * micro_batches)


class ImageBatches:
    """Endless training batches; each item is the list of this process's micro-batches for one step of the optimizer.

    An epoch's last images that don't fill a batch are left out; each epoch leaves out others.
    One iteration at a time: ``state_dict`` counts the steps handed out by the latest.

    Args:
        images: the set.
        batch_size: images of one step, over all processes and micro-batches.
        seed: decides the order and every random choice.
        augmentation: what is done to the images.
        shuffle: a new order each epoch; otherwise the set's own.
        micro_batches: how many parts this process gets its share in.
        rank: which of ``world_size`` processes this is.
        world_size: how many processes share a batch.
        device: where batches are put.
        labels: give labels, where the set has them.
        choose: step → the rows of the set that its global batch is made of, in place of epochs; a pure function.

    Raises:
        DataError: the batch is larger than the set.
        ConfigError: a batch too small for its parts, or counts that can't be meant.
    """

    def __init__(
        self,
        images: ImageSet,
        batch_size: int,
        *,
        seed: int,
        augmentation: Augmentation = NO_AUGMENTATION,
        shuffle: bool = True,
        micro_batches: int = 1,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        labels: bool = True,
        choose: Callable[[int], Int64[Tensor, " b"]] | None = None,
    ):
        mine = own_parts(rank, world_size, micro_batches)
        parts = world_size * micro_batches
        if batch_size < parts:
            raise ConfigError(
                f"A batch of {batch_size} can't be shared by {world_size} processes with {micro_batches} micro-batches "
                f"each: make it at least {parts}."
            )
        if batch_size > len(images):
            raise DataError(
                f"A batch of {batch_size:,} is larger than {images.name} ({len(images):,} images): "
                f"use a batch size of at most {len(images)}."
            )
        self.steps_per_epoch = len(images) // batch_size
        self._reader = _Reader(images, torch.device(device), labels)
        self._augmentation = augmentation
        self._size = images.image_size
        self._seed = seed
        self._shuffle = shuffle
        self._choose = choose
        self._total = batch_size
        bounds = [batch_size * part // parts for part in range(parts + 1)]
        self._rows = [range(bounds[part], bounds[part + 1]) for part in mine]
        self._step = 0
        self._epoch_order: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))

    def __iter__(self) -> Iterator[list[ImageBatch]]:
        with contextlib.closing(ahead(self._prepare, self._step)) as prepared:
            for step, batches in enumerate(prepared, self._step + 1):
                self._step = step
                yield batches

    def state_dict(self) -> dict[str, int]:
        """How many steps were handed out; with the arguments of this object that is all there is to know."""
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after that many steps; holds for iterations started from now on."""
        self._step = int(state["step"])

    def _prepare(self, step: int) -> list[ImageBatch]:
        indices = self._indices(step)
        everyone = RowRandom(self._seed, step, range(self._total), self._total)
        draws = draw(everyone, self._augmentation, self._size)
        mixing = draw_mixing(everyone, self._augmentation, self._size) if self._augmentation.mixes else None
        return [self._part(indices, rows, draws, mixing) for rows in self._rows]

    def _part(self, indices: Tensor, rows: range, draws: Draws, mixing: Mixing | None) -> ImageBatch:
        own = torch.arange(rows.start, rows.stop)
        pixels = self._augmented(indices, own, draws)
        labels = self._reader.labels_of(indices[own])
        mixed = None
        if mixing is not None:
            mixing = mixing.take(own, self._reader.device)
            if len(rows) == self._total:
                partners = pixels[mixing.partner.to(pixels.device)]
            else:
                # A partner may be another process's: it is read and augmented here too, with its own row's draws.
                partners = self._augmented(indices, mixing.partner, draws)
            pixels = mix(pixels, partners, mixing)
            others = self._reader.labels_of(indices[mixing.partner])
            mixed = None if others is None else (others, mixing.weight)
        scale, shift = affine(self._reader.images.mean, self._reader.images.std, self._reader.device)
        return ImageBatch(pixels.mul_(scale / 255).add_(shift), labels, mixed, indices[own], rows, self._total)

    def _augmented(self, indices: Tensor, rows: Tensor, draws: Draws) -> Float[Tensor, "b c H W"]:
        pixels = self._reader.pixels_of(indices[rows])
        return apply(pixels, draws.take(rows, self._reader.device), self._augmentation, self._reader.images.mean)

    def _indices(self, step: int) -> Int64[Tensor, " b"]:
        """Which images the global batch of a step is made of."""
        if self._choose is not None:
            return self._choose(step)
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self._total
        if not self._shuffle:
            return torch.arange(start, start + self._total)
        if self._epoch_order[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch))
            self._epoch_order = (epoch, torch.randperm(len(self._reader.images), generator=generator))
        return self._epoch_order[1][start : start + self._total]


def in_order(
    images: ImageSet, batch_size: int, *, device: torch.device | str = "cpu", labels: bool = True
) -> Iterator[ImageBatch]:
    """Every image once, in the set's order, normalised and otherwise untouched; the last batch may be smaller."""
    if batch_size < 1:
        raise ConfigError(f"A batch of {batch_size} images can't be meant: give a positive number.")
    reader = _Reader(images, torch.device(device), labels)
    for start in range(0, len(images), batch_size):
        rows = range(start, min(start + batch_size, len(images)))
        indices = torch.arange(rows.start, rows.stop)
        pixels = normalise(reader.pixels_of(indices), images.mean, images.std)
        yield ImageBatch(pixels, reader.labels_of(indices), None, indices, rows, len(images))


class _Reader:
    """Rows of an image set as tensors on a device."""

    def __init__(self, images: ImageSet, device: torch.device, labels: bool):
        if str(device) == "cuda":
            # "cuda" means another device in another thread: settle it in the caller's.
            device = torch.device("cuda", torch.cuda.current_device())
        self.images = images
        self.device = device
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes to it
            self._pixels = torch.from_numpy(images.pixels)
        self._labels = None if images.labels is None or not labels else torch.from_numpy(images.labels)

    def pixels_of(self, indices: Int64[Tensor, " b"]) -> UInt8[Tensor, "b c H W"]:
        # index_select reads only these rows, and lets other threads run while the disk is waited for.
        pixels = self._pixels.index_select(0, indices)
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        return pixels.to(self.device, non_blocking=True)

    def labels_of(self, indices: Int64[Tensor, " b"]) -> Int64[Tensor, " b"] | None:
        return None if self._labels is None else self._labels[indices].to(self.device, non_blocking=True)
