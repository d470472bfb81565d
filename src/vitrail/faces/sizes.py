"""How large each network is: weights and multiply-adds, beside what the paper says and beside ResNet-50.

What the paper calls FLOPS (section 3.3, figure 4) are multiply-adds; its weights leave biases out. So do ours.
"""

from dataclasses import dataclass

import torch

from vitrail.faces.networks import FaceNetwork
from vitrail.faces.tables import TABLES
from vitrail.nn.cost import count_weights, multiply_adds


@dataclass(frozen=True)
class NetworkSize:
    """One row of the comparison."""

    name: str
    image_size: tuple[int, int]
    """Height and width, in pixels."""
    weights: int
    multiply_adds: int
    """Of one image's forward pass."""
    paper_weights: int | None = None
    """As the paper rounds it; None where it says nothing."""
    paper_multiply_adds: int | None = None
    """As the paper rounds it; None where it says nothing."""
    layers: str = "the paper's"
    """Whose design the layers are."""


RESNET_50 = NetworkSize("ResNet-50", (224, 224), 25_557_032, 4_090_000_000, layers="He et al. 2015, for scale")
"""Not of the paper: all its parameters, biases and batch norm included, to the 1,000 classes of ImageNet."""


def network_sizes(embedding_dim: int = 128) -> list[NetworkSize]:
    """Every network, counted as built, in the order of the tables; ResNet-50 comes last."""
    rows = []
    for table in TABLES:
        with torch.device("meta"):
            network = FaceNetwork(table, embedding_dim)
            cost = multiply_adds(network, torch.empty(1, 3, *table.image_size))
        rows.append(
            NetworkSize(
                table.name,
                table.image_size,
                count_weights(network),
                cost.total,
                table.paper_weights,
                table.paper_multiply_adds,
                "ours, to the paper's budget: its own were never published" if table.ours else "the paper's",
            )
        )
    return [*rows, RESNET_50]
