"""Probes: small classifiers on frozen features, which measure what an encoder has learned.

* ``fit_linear``: multinomial logistic regression, solved to its optimum by full-batch L-BFGS. With ``batch_norm`` the
  features are brought to mean 0 and variance 1 first, which is MAE's BatchNorm(affine=False) in the limit of a full
  batch (He et al. 2021, appendix A.1; there by LARS in 90 epochs, here by a solver in seconds, to the same optimum).
* ``fit_attentive``: a few learned queries pool the patch tokens, a linear map reads what they found (Chen et al. 2022;
  the lean form of Psomas et al. 2025: keys and values are the tokens themselves, since a key projection folds into the
  queries and a value projection into the last map).
* ``neighbour_votes``: k nearest neighbours by cosine, each voting with exp(similarity / temperature) (Wu et al. 2018).

How strongly to regularise is the caller's choice, to be made on images held out of the training set.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitrail.errors import DataError

LEAST = 100
"""Steps that an attentive probe is trained for at least."""


class LinearProbe(nn.Module):
    """Logits as an affine map of features that were shifted and scaled by fixed statistics.

    Args:
        shift: subtracted from the features, ``[d]``.
        scale: the features are divided by it, ``[d]`` or ``[1]``.
        classes: how many classes there are.
    """

    def __init__(self, shift: Float[Tensor, " d"], scale: Float[Tensor, " s"], classes: int) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.linear = nn.Linear(len(shift), classes)
        nn.init.zeros_(self.linear.weight)  # the optimum does not depend on the start
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b v"]:
        """The logits of each class."""
        logits: Tensor = self.linear((features - self.shift) / self.scale)
        return logits


def fit_linear(
    features: Float[Tensor, "b d"],
    labels: Int64[Tensor, " b"],
    classes: int,
    penalties: tuple[float, ...],
    *,
    batch_norm: bool = True,
    iterations: int = 100,
) -> Iterator[tuple[float, LinearProbe]]:
    """Logistic regression for each penalty in turn, from the strongest to the weakest.

    Minimises mean cross-entropy + penalty/2 · |W|² (the bias is free). Each fit starts where the last one ended, so a
    whole path costs little more than its last point.

    Args:
        penalties: the strengths to solve for, in any order.
        batch_norm: each feature to mean 0 and variance 1; else all features are centred (which the bias absorbs) and
            share one scale (which the penalty absorbs): the plain probe on raw features.
        iterations: at most so many of L-BFGS a penalty.

    Yields:
        (penalty, probe); the probe is a copy, so that it can be kept.
    """
    shift = features.mean(0)
    deviation = features.std(0, correction=0)
    # A feature that never changes says nothing; dividing by its spread of zero would say NaN.
    scale = torch.where(deviation > 1e-6, deviation, 1.0) if batch_norm else deviation.square().mean().sqrt()[None]
    scale = scale.clamp_min(1e-6)
    inputs = (features - shift) / scale
    weight = torch.zeros(classes, features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(classes, device=features.device, requires_grad=True)
    for penalty in sorted(penalties, reverse=True):
        _minimise(inputs, labels, weight, bias, penalty, iterations)
        probe = LinearProbe(shift, scale, classes).requires_grad_(False).to(features.device)
        probe.linear.weight.copy_(weight.detach())
        probe.linear.bias.copy_(bias.detach())
        yield penalty, probe


def _minimise(inputs: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, penalty: float, iterations: int) -> None:
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        history_size=20,
        tolerance_grad=1e-5,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(inputs, weight, bias), labels) + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss.item()

    solver.step(closure)


class AttentiveProbe(nn.Module):
    """Learned queries that each pool the tokens by attention, and a linear map from all they pooled to the classes.

    Args:
        mean: of each channel over all tokens of the training set, ``[d]``.
        deviation: likewise the standard deviation, ``[d]``.
        queries: ``[m d]``.
        weight: of the linear map, ``[v m*d]``.
        bias: ``[v]``.
    """

    def __init__(
        self,
        mean: Float[Tensor, " d"],
        deviation: Float[Tensor, " d"],
        queries: Float[Tensor, "m d"],
        weight: Float[Tensor, "v md"],
        bias: Float[Tensor, " v"],
    ) -> None:
        super().__init__()
        for name, tensor in {"mean": mean, "deviation": deviation, "queries": queries}.items():
            self.register_buffer(name, tensor)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    mean: Tensor
    deviation: Tensor
    queries: Tensor
    weight: Tensor
    bias: Tensor

    def pool(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b m d"]:
        """What each of the m queries sees: its weighted mean of the standardised tokens."""
        return _pool(tokens, self.queries, self.mean, self.deviation)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b v"]:
        """The logits of each class."""
        return F.linear(self.pool(tokens).flatten(1), self.weight, self.bias)


def _pool(tokens: Tensor, queries: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    # The tokens are standardised on paper only. In the scores the shift is the same for every token, so softmax
    # ignores it, and the scale moves into the small queries; the mean of standardised tokens is the standardised
    # mean. So the large tensor is read twice, in its own type, and never written.
    scores = F.linear(tokens, (queries / deviation).to(tokens.dtype)).mT.float() * queries.shape[1] ** -0.5
    pooled: Tensor = (scores.softmax(-1).to(tokens.dtype) @ tokens).float()
    return (pooled - mean) / deviation


def fit_attentive(
    tokens: Float[Tensor, "b n d"],
    labels: Int64[Tensor, " b"],
    classes: int,
    weight_decays: tuple[float, ...],
    *,
    queries: int = 8,
    epochs: int = 20,
    batch_size: int = 512,
    lr: float = 2e-3,
    seed: int = 0,
) -> Iterator[tuple[float, AttentiveProbe]]:
    """Train an attentive probe for each weight decay, with AdamW and a cosine that ends at zero.

    The probes share nothing but the batches that they see: reading the tokens is what takes the time.

    Args:
        tokens: patch tokens without CLS; in bfloat16 they take half the room and a fifth of the time.
        weight_decays: strengths of the decay of the last map; the queries are not decayed.
        epochs: passes over the tokens, or ``LEAST`` steps where that is more (few labels make short epochs).
        seed: draws the queries' start and the order of the batches.

    Yields:
        (weight decay, probe).
    """
    generator = torch.Generator().manual_seed(seed)
    dim, count = tokens.shape[-1], len(weight_decays)
    mean, deviation = _token_statistics(tokens)
    start = torch.randn(queries, dim, generator=generator).to(tokens.device)
    sought = nn.Parameter(start.repeat(count, 1))  # the queries of one probe after another
    weights: list[Tensor] = [nn.Parameter(start.new_zeros(classes, queries * dim)) for _ in weight_decays]
    bias = nn.Parameter(start.new_zeros(count, 1, classes))
    groups: list[dict[str, object]] = [{"params": [sought, bias], "weight_decay": 0.0}]
    groups += [{"params": [w], "weight_decay": decay} for w, decay in zip(weights, weight_decays, strict=True)]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    batch_size = min(batch_size, len(tokens))
    steps = max(LEAST, epochs * len(tokens) // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    batches = _shuffled(len(tokens), batch_size, generator)
    for _ in range(steps):
        rows = next(batches).to(tokens.device)
        pooled = _pool(tokens.index_select(0, rows), sought, mean, deviation)
        seen = rearrange(pooled, "b (s m) d -> s b (m d)", s=count)
        logits = torch.baddbmm(bias, seen, torch.stack(weights).mT)
        loss = F.cross_entropy(logits.flatten(0, 1), labels[rows].repeat(count)) * count
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for place, (decay, weight) in enumerate(zip(weight_decays, weights, strict=True)):
        own = sought.detach()[place * queries : (place + 1) * queries]
        yield decay, AttentiveProbe(mean, deviation, own, weight.detach(), bias.detach()[place, 0])


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of one batch after another, for ever; a rest too small for a batch waits for another epoch."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch_size)[: count // batch_size]


def _token_statistics(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, in pieces, so that no float copy of all tokens is made."""
    total = torch.zeros(tokens.shape[-1], dtype=torch.float64, device=tokens.device)
    squares = torch.zeros_like(total)
    for piece in tokens.split(1024):
        values = piece.double()
        total += values.sum((0, 1))
        squares += values.square().sum((0, 1))
    count = tokens.shape[0] * tokens.shape[1]
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
    return mean.float(), torch.where(deviation > 1e-6, deviation, 1.0).float()


def neighbour_votes(
    features: Float[Tensor, "b d"],
    labels: Int64[Tensor, " b"],
    queries: Float[Tensor, "q d"],
    classes: int,
    *,
    neighbours: tuple[int, ...],
    temperature: float = 0.07,
) -> dict[int, Float[Tensor, "q v"]]:
    """Votes of the nearest training images for each class, for several numbers of neighbours at once.

    A neighbour of cosine similarity s votes exp(s / temperature) for its class.

    Args:
        features: of the training images.
        queries: features of the images to classify.
        neighbours: the numbers of neighbours to count, each at most b.

    Raises:
        DataError: fewer training images than neighbours.
    """
    most = max(neighbours)
    if most > len(features):
        raise DataError(
            f"{most} neighbours were asked for among {len(features)} images; ask for at most {len(features)}"
        )
    keys = F.normalize(features, dim=1)
    one_hot = F.one_hot(labels, classes).to(features.dtype)
    pieces: dict[int, list[Tensor]] = {k: [] for k in neighbours}
    for block in F.normalize(queries, dim=1).split(1000):
        similarity, index = (block @ keys.T).topk(most, dim=1)
        # The nearest one's weight is 1: a common factor changes no vote and overflows nothing.
        weight = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weight[:, :, None] * one_hot[index]
        for k in neighbours:
            pieces[k].append(votes[:, :k].sum(1))
    return {k: torch.cat(votes) for k, votes in pieces.items()}
