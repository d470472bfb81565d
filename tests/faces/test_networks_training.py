"""How the networks begin, and that each learns: no batch norm helps them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.faces import tables
from vitrail.faces.networks import NETWORKS, FaceNetwork, initialise, nns2
from vitrail.faces.tables import Inception, Pool
from vitrail.faces.triplets import triplet_loss

Optimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.001, momentum=0.9),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, 5e-4),
    "adam": lambda parameters: torch.optim.Adam(parameters, 3e-4),
}


def people(identities: int, each: int, size: tuple[int, int], seed: int = 11) -> tuple[Tensor, Tensor]:
    """Smooth random patterns, a quarter of each image its own and the rest its identity's; and the identities."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(identities, 1, 3, 7, 5, generator=random).expand(-1, each, -1, -1, -1)
    coarse = coarse + torch.randn(identities, each, 3, 7, 5, generator=random) / 2
    images = F.interpolate(coarse.flatten(0, 1), size=size, mode="bilinear").clamp(-2, 2) / 2
    return images, torch.arange(identities).repeat_interleave(each)


def spread(embeddings: Tensor) -> Tensor:
    """The mean squared distance of different images."""
    return torch.pdist(embeddings).square().mean()


@pytest.mark.parametrize("name", ["nn4", "nns1", "nns2"])
def test_activations_keep_their_size_through_all_layers(name: str) -> None:
    torch.manual_seed(1)
    network = NETWORKS[name](128)
    images, _ = people(7, 1, network.image_size)
    gains: dict[str, float] = {}

    def measure(name: str, before: Tensor, after: Tensor) -> None:
        gains[name] = float(after.square().mean() / before.square().mean())

    for layer_name, layer in network.layers.named_children():
        layer.register_forward_hook(lambda _, given, y, name=layer_name: measure(name, given[0], y))
    with torch.no_grad():
        embeddings = network(images)
    assert gains.keys() == dict(network.layers.named_children()).keys()
    # Of 3x3 windows that overlap the largest numbers are kept: this and nothing else makes numbers much larger.
    largest = {row.name for row in network.table.rows if isinstance(row, Pool)}
    largest |= {row.name for row in network.table.rows if isinstance(row, Inception) and row.stride == 2}
    size = 1.0
    for layer_name, gain in gains.items():
        size *= gain
        low, high = (1.2, 3.0) if layer_name in largest else (0.5, 1.5)
        assert low < gain < high, gains
        assert 0.3 < size < 10, gains
    assert 0.05 < spread(embeddings) < 1


def test_centred_filters_keep_images_apart() -> None:
    """As He et al. draw them, NN4's embeddings begin as if collapsed."""
    images, _ = people(7, 1, (96, 96))
    network = FaceNetwork(tables.NN4)
    spreads = []
    for centring in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        initialise(network, centring)
        with torch.no_grad():
            spreads.append(float(spread(network(images))))
    assert spreads[0] < 0.03
    assert spreads[0] * 5 < spreads[1] < spreads[2]


def total_loss(network: FaceNetwork, images: Tensor, labels: Tensor) -> float:
    """The hinge summed over all triplets of a batch."""
    with torch.no_grad():
        return float(triplet_loss(network(images), labels, mining="all", reduction="sum")[0])


def train(network: FaceNetwork, optimizer: Optimizer, images: Tensor, labels: Tensor, *, half: bool) -> list[float]:
    """Thirty steps on one batch; the loss over all triplets before, and after each ten steps."""
    stepper = optimizer(list(network.parameters()))
    losses = [total_loss(network, images, labels)]
    for step in range(30):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            embeddings = network(images)
        loss, _ = triplet_loss(embeddings, labels, mining="all")
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        if step % 10 == 9:
            losses.append(total_loss(network, images, labels))
    return losses


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_the_smallest_network_learns(optimizer: str, half: bool) -> None:
    torch.manual_seed(2)
    network = nns2(16)
    losses = train(network, OPTIMIZERS[optimizer], *people(5, 3, (70, 58)), half=half)
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_learns_at_its_own_size(name: str) -> None:
    """With the optimizer of the paper."""
    torch.manual_seed(2)
    network = NETWORKS[name](64)
    losses = train(network, OPTIMIZERS["adagrad"], *people(3, 2, network.image_size), half=False)
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["nn2", "nn4", "nns1"])
def test_larger_networks_learn_with_other_optimizers(name: str, optimizer: str) -> None:
    """NN1 reads no images as small as these, and with them NN3 is NN2."""
    torch.manual_seed(2)
    network = NETWORKS[name](64)
    losses = train(network, OPTIMIZERS[optimizer], *people(5, 3, (64, 64)), half=False)
    assert losses[-1] < losses[0] / 2
