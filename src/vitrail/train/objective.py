"""What the loop asks of a model and of data: two small protocols, so that ``train`` knows neither.

An objective gives *sums* and a *count*, never means. The loop adds them up over micro-batches and processes and divides
once, by the global count: only so does a batch cut into unequal parts (masked tokens, sentences of unequal length)
give the gradient of the whole batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from vitrail.nn.randomness import RowRandom

LossSums = tuple[Float[Tensor, ""], Tensor, dict[str, Float[Tensor, ""]]]
"""(sum of the loss, what it is summed over, further sums over the same count), each a 0-dimensional tensor."""


class Batch(Protocol):
    """A part of one step's global batch. It may also have ``indices``, which then name it in an error."""

    @property
    def rows(self) -> range:
        """Which rows of the global batch these are."""

    @property
    def total(self) -> int:
        """How many rows the global batch has."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)
AnyBatch_co = TypeVar("AnyBatch_co", bound=Batch, covariant=True)
AnyBatch_contra = TypeVar("AnyBatch_contra", bound=Batch, contravariant=True)


class Objective(Protocol[AnyBatch_contra]):
    """A module and what it is trained for."""

    @property
    def module(self) -> nn.Module:
        """The module whose parameters are trained; those with ``requires_grad=False`` stay as they are.

        It may offer ``parameter_depth(name) -> int`` and ``depth_count`` (for layer-wise decay) and
        ``no_weight_decay() -> set[str]``.
        """

    def loss(self, batch: AnyBatch_contra, random: RowRandom) -> LossSums:
        """Sums over the batch's rows. All randomness beyond dropout comes from ``random``.

        Returns:
            (loss sum with a gradient, count, scalars: sums over the same count); the names of the scalars are the
            same for every batch.
        """


@runtime_checkable
class AccumulatingObjective(Protocol):
    """An objective that runs backward by itself: for losses on the whole batch's embeddings (gradient caching)."""

    def accumulate(self, batch: Any, random: RowRandom, backward: Callable[[Tensor], None]) -> LossSums:
        """As ``loss``, but ``backward`` was already called on everything; the tensors carry no gradient."""


class Batches(Protocol[AnyBatch_co]):
    """An endless stream of optimizer steps' data, which can be continued where it stopped."""

    def __iter__(self) -> Iterator[Sequence[AnyBatch_co]]:
        """Each item: the micro-batches of one optimizer step of this process."""

    def state_dict(self) -> Mapping[str, Any]:
        """Where the stream stands, counting what was handed out and not what was fetched ahead; plain values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from there."""
