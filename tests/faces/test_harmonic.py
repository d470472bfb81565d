"""Triplets of two generations of embeddings are a naive loop's over both; only the new one learns, in two phases."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from triplets_naive import naive

from vitrail.errors import ConfigError, ModelError
from vitrail.faces.harmonic import PHASES, begin, embeddings_by, harmonic_objective, harmonic_triplet_loss
from vitrail.faces.mining import MININGS, Mining
from vitrail.nn.randomness import RowRandom

D = 5
LABELS = [3, 3, 8, 3, 1, 8, 5]
CERTAIN = [mining for mining in MININGS if mining != "random-semi-hard"]


def some(seed: int, rows: int = len(LABELS)) -> Tensor:
    noise = torch.randn(rows, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return F.normalize(noise, dim=1)


def on_a_grid(seed: int) -> Tensor:
    return torch.randint(3, (len(LABELS), 2), generator=torch.Generator().manual_seed(seed)).double() / 4


@pytest.mark.parametrize("mining", CERTAIN)
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_naive_loop_over_both(mining: Mining, ties: bool) -> None:
    new, old = (on_a_grid(1), on_a_grid(2)) if ties else (some(1), some(2))
    labels, margin = torch.tensor(LABELS), 0.25
    theirs = new.clone().requires_grad_()
    expected = naive(torch.cat([theirs, old]), labels.repeat(2), mining, margin, fixed=len(labels))
    (wanted,) = torch.autograd.grad(expected.loss, theirs)
    ours, given = new.clone().requires_grad_(), old.clone().requires_grad_()
    loss, found = harmonic_triplet_loss(ours, given, labels, margin, mining, "sum")
    loss.backward()
    torch.testing.assert_close(loss.detach(), expected.loss.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours.grad, wanted, rtol=1e-9, atol=1e-11)
    assert given.grad is None
    assert int(found.chosen) == len(expected.chosen)
    names = ("active", "pairs", "skipped", "triplets", "violating")
    assert {name: int(getattr(found, name)) for name in names} == {name: getattr(expected, name) for name in names}


def test_the_mean_is_over_triplets_with_positive_loss() -> None:
    new, old, labels = some(1), some(2), torch.tensor(LABELS)
    total, found = harmonic_triplet_loss(new, old, labels, reduction="sum")
    mean, _ = harmonic_triplet_loss(new, old, labels)
    torch.testing.assert_close(mean, total / found.active)


def test_the_spread_is_that_of_the_new_embeddings() -> None:
    """A collapse of v2 must show beside a v1 that stands."""
    new, old, labels = some(1)[:1].expand(len(LABELS), D), some(2), torch.tensor(LABELS)
    _, found = harmonic_triplet_loss(new, old, labels)
    assert float(found.variance) == float(found.other_distance) == pytest.approx(0, abs=1e-12)
    _, found = harmonic_triplet_loss(old, new, labels)
    assert float(found.variance) > 0.5


def test_one_identity_alone_has_no_triplet() -> None:
    new = some(1).requires_grad_()
    loss, found = harmonic_triplet_loss(new, some(2), torch.zeros(len(LABELS), dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == int(found.triplets) == 0
    assert new.grad is not None
    assert not new.grad.any()


def test_embeddings_of_other_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="new embeddings are 7 x 5 and the fixed ones 7 x 4, which can't be compared"):
        harmonic_triplet_loss(some(1), some(2)[:, :4], torch.tensor(LABELS))


class Tiny(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 2, 11), nn.Tanh(), nn.Dropout(0.4))
            self.embed = nn.Linear(11, D)

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.embed(self.body(images)), dim=1)


@dataclass
class Faces:
    images: Tensor
    labels: Tensor
    rows: range
    total: int


def faces(rows: int = 21) -> Faces:
    images = torch.randn(rows, 3, 2, 2, generator=torch.Generator().manual_seed(9))
    return Faces(images, torch.arange(rows) % 3, range(rows), rows)


def test_the_objective_is_the_loss_beside_the_old_network() -> None:
    old, new, batch = Tiny(1), Tiny(2).eval(), faces()
    random = RowRandom(0, 0, batch.rows, batch.total)
    objective = harmonic_objective(new, embeddings_by(old, chunk=4), chunk=5)
    loss, count, _ = objective.accumulate(batch, random, torch.Tensor.backward)
    cached = [parameter.grad.clone() for parameter in new.parameters() if parameter.grad is not None]
    assert len(cached) == 4
    assert all(parameter.grad is None for parameter in old.parameters())
    expected, _ = harmonic_triplet_loss(new(batch.images), old(batch.images), batch.labels)
    torch.testing.assert_close((loss / count).float(), expected.detach())
    for ours, theirs in zip(cached, torch.autograd.grad(expected, list(new.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_phases_are_the_appendix_s() -> None:
    network = Tiny(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.get_rng_state()
    first, second = PHASES
    begin(first, network, network.embed, seed=3)
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["embed.weight", "embed.bias"]
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"embed.weight", "embed.bias"}
    fresh = network.embed.weight.clone()
    begin(second, network, network.embed, seed=3)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(network.embed.weight, fresh)
    again = Tiny(5)
    begin(first, again, again.embed, seed=3)
    assert torch.equal(again.embed.weight, fresh)
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("layer", [nn.Linear(11, D), nn.ReLU()], ids=["another's", "without weights"])
def test_a_layer_that_is_not_its_embedding_is_refused(layer: nn.Module) -> None:
    with pytest.raises(
        ModelError, match=r"holds no weights of the Tiny that can begin anew: give the network's own last"
    ):
        begin(PHASES[0], Tiny(2), layer, seed=0)
