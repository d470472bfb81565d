"""Multiply-adds of small modules, counted by hand."""

import pytest
import torch
from torch import nn

from vitrail.nn.attention import MultiHeadAttention
from vitrail.nn.blocks import BlockConfig, EncoderBlock
from vitrail.nn.cost import count_weights, multiply_adds


def test_a_linear_map() -> None:
    assert multiply_adds(nn.Linear(5, 7), torch.zeros(3, 5)).total == 3 * 5 * 7


@pytest.mark.parametrize(("stride", "rows", "columns"), [(1, 11, 13), (2, 6, 7)])
def test_a_convolution(stride: int, rows: int, columns: int) -> None:
    """Every output reads its whole window, also where that hangs over the edge."""
    layer = nn.Conv2d(3, 5, 7, stride, 3)
    assert multiply_adds(layer, torch.zeros(2, 3, 11, 13)).total == 2 * rows * columns * 3 * 5 * 7 * 7


def test_attention() -> None:
    n, d = 5, 14
    assert multiply_adds(MultiHeadAttention(d, 7), torch.zeros(1, n, d)).total == 4 * n * d * d + 2 * n * n * d


def test_norms_activations_and_pooling_are_free() -> None:
    module = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.LocalResponseNorm(3), nn.GroupNorm(1, 3))
    cost = multiply_adds(module, torch.zeros(1, 3, 4, 4))
    assert cost.total == 0
    assert cost.of("0") == 0


class Tower(nn.Module):
    """A stem, two blocks in a list that is never called itself, and one map that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 14)
        self.blocks = nn.ModuleList(EncoderBlock(BlockConfig(14, 7, 11)) for _ in range(2))
        self.blocks_head = nn.Linear(14, 14)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        twice: torch.Tensor = self.blocks_head(self.blocks_head(x))
        return twice


def test_parts_add_up() -> None:
    cost = multiply_adds(Tower(), torch.zeros(1, 5, 3))
    feed_forward = 2 * 5 * 14 * 11
    attention = 4 * 5 * 14 * 14 + 2 * 5 * 5 * 14
    assert cost.of("stem") == 5 * 3 * 14
    assert cost.of("blocks.1") == attention + feed_forward
    assert cost.of("blocks.1.feed_forward") == feed_forward
    assert cost.of("blocks") == 2 * (attention + feed_forward)
    assert cost.of("blocks_head") == 2 * 5 * 14 * 14
    assert cost.total == cost.of("stem") + cost.of("blocks") + cost.of("blocks_head")


def test_a_model_without_storage_is_counted_and_the_model_stays_as_it_is() -> None:
    with torch.device("meta"):
        assert multiply_adds(Tower(), torch.zeros(1, 5, 3)).total > 0
    tower = Tower()
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    multiply_adds(tower, torch.zeros(1, 5, 3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in tower.state_dict().items())
    assert tower(torch.zeros(1, 5, 3)).device.type == "cpu"


def test_weights_leave_biases_out() -> None:
    assert count_weights(nn.Sequential(nn.Conv2d(3, 5, 7), nn.GroupNorm(1, 5), nn.Linear(11, 13))) == 735 + 143
