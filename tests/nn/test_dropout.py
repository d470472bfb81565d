"""Dropout: as many zeros as asked for, an unchanged mean, and a gradient that is dropped where the value was."""

import pytest
import torch

from vitrail.nn.dropout import drop


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_dropped_is_the_one_asked_for_and_the_mean_stays(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = drop(torch.ones(1001, 503, dtype=dtype), probability)
    share = (dropped == 0).float().mean().item()
    assert abs(share - probability) < 5 * (probability * (1 - probability) / dropped.numel()) ** 0.5
    assert dropped.float().mean().item() == pytest.approx(1, abs=0.01)
    assert len(dropped.unique()) == 2


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    gone = (drop(torch.ones(1_000_000), 0.5) == 0).float() - 0.5
    for distance in range(1, 9):
        assert abs((gone[distance:] * gone[:-distance]).mean().item()) < 0.00125  # five deviations


@pytest.mark.parametrize("shape", [(), (1,), (7,), (0, 3), (2, 3, 5)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    assert drop(torch.ones(shape), 0.5).shape == shape


def test_the_gradient_is_that_of_the_kept_entries_and_nothing_to_drop_is_no_work() -> None:
    x = torch.ones(50, 3, requires_grad=True)
    dropped = drop(x, 0.3)
    dropped.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, dropped.detach())
    assert drop(x, 0.0) is x
