"""Harmonic embeddings: a new network v2 whose embeddings compare with those of an old one, v1 (FaceNet, appendix).

"We mix embeddings of v1 together with the embeddings v2, that are being learned. This is done inside the triplet loss"
and "the semi-hard negatives are selected from the whole set of both v1 and v2 embeddings" (figure 9). So the batch is
one pool of both, twice as large: any two of an identity are a pair, the two embeddings of one photograph too, and any
two of different identities may part. Then stored v1 embeddings need not be made anew when v2 takes over.

The paper leaves open what becomes of triplets wholly from v1. Nothing can be learned from them, as v1 stands still, and
they would only thin the mean: we leave them out, so that a pair of two v1 embeddings looks for negatives in v2 alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vitrail.errors import ConfigError, ModelError
from vitrail.faces.caching import EmbeddingObjective, FaceBatch, FixedEmbeddings
from vitrail.faces.mining import Mining, Reduction, full_precision, require_choices
from vitrail.faces.statistics import CollapseWatch, TripletStatistics, spread
from vitrail.faces.triplets import Roles, loss_of_roles


def harmonic_triplet_loss(
    embeddings: Float[Tensor, "b d"],
    fixed: Float[Tensor, "rows width"],
    labels: Shaped[Tensor, " b"],
    margin: float = 0.2,
    mining: Mining = "semi-hard",
    reduction: Reduction = "mean",
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, ""], TripletStatistics]:
    """The triplet loss of v2 beside v1: every triplet of the two that has a v2 embedding in it.

    Args:
        embeddings: v2's, with a gradient.
        fixed: v1's of the same faces; they get no gradient.
        labels, margin, mining, reduction, generator: as for ``triplet_loss``.

    Returns:
        (loss, statistics): counts are of triplets of the two, distances and variance of v2's embeddings alone.

    Raises:
        ConfigError: what ``triplet_loss`` refuses, or embeddings of different shapes.
    """
    if embeddings.shape != fixed.shape:
        raise ConfigError(
            f"the new embeddings are {_shape(embeddings)} and the fixed ones {_shape(fixed)}, which can't be compared: "
            "give the new network the embedding size of the old one, and both the same faces."
        )
    pool = torch.cat([full_precision(embeddings), full_precision(fixed.detach())])
    new = torch.arange(len(pool), device=labels.device) < len(embeddings)
    both = torch.ones_like(new)
    kinds = [Roles(new, both, both), Roles(~new, new, both), Roles(~new, ~new, new)]
    loss, statistics = loss_of_roles(pool, labels.repeat(2), kinds, margin, mining, reduction, generator)
    same, other, variance = spread(embeddings, labels)
    return loss, replace(statistics, same_distance=same, other_distance=other, variance=variance)


def harmonic_objective(
    module: nn.Module,
    fixed: FixedEmbeddings,
    *,
    margin: float = 0.2,
    mining: Mining = "semi-hard",
    chunk: int = 32,
    patience: int = 200,
) -> EmbeddingObjective:
    """Train v2 by ``harmonic_triplet_loss``.

    Args:
        module: v2.
        fixed: v1's embeddings of a batch, as ``embeddings_by(v1, chunk)``, or looked up.
        chunk: images that go through v2 at once.
        patience: how many steps in a row v2's embeddings may all be one.
    """
    require_choices(mining, margin)

    def loss(
        embeddings: Tensor, labels: Tensor, fixed: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, TripletStatistics]:
        assert fixed is not None
        return harmonic_triplet_loss(embeddings, fixed, labels, margin, mining, generator=generator)

    return EmbeddingObjective(module, loss, chunk=chunk, fixed=fixed, watch=CollapseWatch(margin, mining, patience))


def embeddings_by(network: nn.Module, chunk: int = 32) -> FixedEmbeddings:
    """A batch -> its embeddings by a network that stands still: in evaluation mode, ``chunk`` images at a time."""
    network.eval()

    @torch.no_grad()
    def embed(batch: FaceBatch) -> Tensor:
        network.to(batch.images.device)
        return torch.cat([full_precision(network(images)) for images in batch.images.split(chunk)])

    return embed


@dataclass(frozen=True)
class Phase:
    """A part of the training of v2, which starts from a network that was trained by itself."""

    name: str
    fresh: bool
    """Whether the embedding layer begins anew, from random weights."""
    whole: bool
    """Whether the whole network is trained, or its embedding layer alone."""


PHASES = (
    Phase("embedding layer", fresh=True, whole=False),
    Phase("whole network", fresh=False, whole=True),
)
"""The appendix's order: "first only the last layer is retrained, then we continue training the whole v2 network"."""


def begin(phase: Phase, network: nn.Module, embedding: nn.Module, seed: int) -> None:
    """Make v2 ready for a phase: which parameters are trained, and the embedding layer's fresh weights.

    Args:
        network: v2.
        embedding: its embedding layer, a part of it.
        seed: of the fresh weights.

    Raises:
        ModelError: ``embedding`` is no part of ``network``, or can't begin anew.
    """
    own = {id(parameter) for parameter in embedding.parameters()}
    layers = list(_layers(embedding))
    if not own <= {id(parameter) for parameter in network.parameters()} or not layers:
        raise ModelError(
            f"the embedding layer {type(embedding).__name__} holds no weights of the {type(network).__name__} that can "
            "begin anew: give the network's own last layer, as its Linear."
        )
    for parameter in network.parameters():
        parameter.requires_grad_(phase.whole or id(parameter) in own)
    if phase.fresh:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for layer in layers:
                layer.reset_parameters()  # type: ignore[operator]


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    return (part for part in module.modules() if callable(getattr(part, "reset_parameters", None)))


def _shape(tensor: Tensor) -> str:
    return f"{tensor.shape[0]} x {tensor.shape[1]}"
