"""FaceNet's layers against PyTorch's own forms and naive loops; every dimension is a different prime."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.faces import layers
from vitrail.faces.layers import Convolution, L2Pool, Maxout, MaxPool, ResponseNorm, UnitVectors


def maps(*shape: int, dtype: torch.dtype = torch.float64, last: bool = False) -> Tensor:
    x = 3 * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(5))
    return (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_()


def gradients(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's outputs and the gradient that arrives at its input for a fixed, uneven gradient of the outputs."""
    x.grad = None
    y = layer(x)
    y.backward(torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape))
    assert x.grad is not None
    return y.detach(), x.grad.clone()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("block", [1, 500, layers.BLOCK])
@pytest.mark.parametrize(
    ("size", "alpha", "k", "c"),
    [(5, 1e-4, 1.0, 7), (5, 0.3, 2.0, 7), (3, 1.0, 1.0, 11), (7, 0.5, 1.0, 2), (1, 1.0, 1.0, 3)],
)
def test_response_norm_is_pytorchs(
    size: int, alpha: float, k: float, c: int, block: int, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients, in either order of memory, however many images are worked on at once."""
    monkeypatch.setattr(layers, "BLOCK", block)
    x = maps(13, c, 5, 3, last=last)
    found, expected = (gradients(norm, x) for norm in (ResponseNorm(size, alpha, k), _theirs(size, alpha, k)))
    torch.testing.assert_close(found[0], expected[0], atol=1e-13, rtol=1e-12)
    torch.testing.assert_close(found[1], expected[1], atol=1e-13, rtol=1e-12)
    assert found[0].stride() == x.stride()


def _theirs(size: int, alpha: float, k: float) -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(size, alpha, layers.BETA, k)


def test_response_norm_is_krizhevskys_formula() -> None:
    """Section 3.3, number by number; their alpha stands before a sum, ours before a mean."""
    x = maps(2, 7, 1, 1).detach()
    alpha, k, n = 0.2, 2.0, 5
    expected = torch.empty_like(x)
    for image in range(2):
        for i in range(7):
            window = range(max(0, i - n // 2), min(7, i + n // 2 + 1))
            total = sum(float(x[image, j]) ** 2 for j in window)
            expected[image, i] = x[image, i] / (k + alpha * total) ** 0.75
    torch.testing.assert_close(ResponseNorm(n, alpha * n, k)(x), expected)


def test_response_norm_works_in_float32_under_half_precision() -> None:
    x = maps(3, 7, 5, 2, dtype=torch.float32)
    half = x.detach().to(torch.bfloat16).requires_grad_()
    found = gradients(ResponseNorm(5, 0.5), half)
    exact = gradients(ResponseNorm(5, 0.5), half.detach().float().requires_grad_())
    assert found[0].dtype == found[1].dtype == torch.bfloat16
    torch.testing.assert_close(found[0], exact[0].to(torch.bfloat16))
    torch.testing.assert_close(found[1].float(), exact[1], atol=0.02, rtol=0.02)


def test_response_norm_of_nothing() -> None:
    x = torch.zeros(0, 7, 5, 3, requires_grad=True)
    value, gradient = gradients(ResponseNorm(), x)
    assert value.shape == gradient.shape == x.shape
    value, gradient = gradients(ResponseNorm(), torch.zeros(2, 7, 5, 3, requires_grad=True))
    assert not value.any()
    torch.testing.assert_close(gradient, torch.linspace(-1, 2, 210).view(2, 7, 5, 3))  # y = x / k^β near 0


def test_response_norm_without_a_middle_is_refused() -> None:
    with pytest.raises(ConfigError, match="over 4 channels has no middle one; choose an odd number"):
        ResponseNorm(4)


@pytest.mark.parametrize(("stride", "rows", "columns"), [(1, 7, 5), (2, 4, 3)])
def test_l2_pooling_is_the_norm_of_each_window(stride: int, rows: int, columns: int) -> None:
    x = maps(2, 3, 7, 5)
    found, gradient = gradients(L2Pool(stride), x)
    assert found.shape == (2, 3, rows, columns)
    padded = F.pad(x.detach(), (1, 1, 1, 1))
    for i in range(rows):
        for j in range(columns):
            window = padded[:, :, i * stride : i * stride + 3, j * stride : j * stride + 3]
            torch.testing.assert_close(found[:, :, i, j], window.square().sum(dim=(2, 3)).sqrt())
    _, expected = gradients(nn.Sequential(nn.ZeroPad2d(1), nn.LPPool2d(2, 3, stride)), x)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_l2_pooling_passes_no_gradient_through_empty_windows(dtype: torch.dtype) -> None:
    """PyTorch's own gives NaN there."""
    x = torch.zeros(1, 2, 7, 7, dtype=dtype)
    x[0, 0, 0, 0] = 3.0
    x.requires_grad_()
    y = L2Pool(1)(x)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad[0, 0, 0, 0] == 4  # four windows see it, and nothing else: each has slope 1
    assert x.grad.count_nonzero() == 1
    torch.testing.assert_close(y[0, 0, :2, :2], torch.full((2, 2), 3.0, dtype=dtype))
    assert y[0, 1].max() < 1e-15


def test_l2_pooling_of_tiny_numbers_keeps_a_slope_of_at_most_one() -> None:
    for size in (1e-25, 1e-19, 1e-18, 1e-9):
        x = torch.full((1, 1, 1, 1), size, requires_grad=True)
        L2Pool(1)(x).backward()
        assert x.grad is not None
        assert 0 <= x.grad.item() <= 1.001


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (7, 2), (5, 2)])
def test_convolutions_and_pools_halve_as_the_tables_do(kernel: int, stride: int) -> None:
    """Half of 55 is 28 there."""
    x = torch.randn(1, 3, 55, 22)
    size = (math.ceil(55 / stride), math.ceil(22 / stride))
    y = Convolution(3, 2, kernel, stride)(x)
    assert y.shape[2:] == MaxPool(stride)(x).shape[2:] == L2Pool(stride)(x).shape[2:] == size
    assert y.min() == 0


def test_maxout_keeps_the_larger_of_two_maps() -> None:
    layer = Maxout(5, 7)
    x = torch.randn(3, 5)
    for row in range(3):
        for unit in range(7):
            pieces = [x[row] @ layer.linear.weight[2 * unit + i] + layer.linear.bias[2 * unit + i] for i in range(2)]
            torch.testing.assert_close(layer(x)[row, unit], max(pieces))


def test_unit_vectors() -> None:
    x = torch.randn(5, 7, dtype=torch.bfloat16)
    x[2] = 0
    y = UnitVectors()(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.norm(dim=1), torch.tensor([1.0, 1, 0, 1, 1]))
    assert UnitVectors()(x.double()).dtype == torch.float64
