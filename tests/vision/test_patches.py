"""Patches against a naive loop, both orders, any channels and shapes, there and back."""

import pytest
import torch
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.vision.patches import PatchOrder, grid_of, pair, patchify, unpatchify

B, C, P, Q, ROWS, COLUMNS = 2, 5, 3, 7, 11, 13
ORDERS: tuple[PatchOrder, ...] = ("p q c", "c p q")


def images(channels: int = C) -> Tensor:
    """Every pixel a number of its own."""
    return torch.arange(B * channels * ROWS * P * COLUMNS * Q).reshape(B, channels, ROWS * P, COLUMNS * Q).float()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [1, 3, C])
def test_patchify_is_the_naive_loop(order: PatchOrder, channels: int) -> None:
    x = images(channels)
    patches = patchify(x, (P, Q), order)
    assert patches.shape == (B, ROWS * COLUMNS, P * Q * channels)
    for row in range(ROWS):
        for column in range(COLUMNS):
            window = x[:, :, row * P : (row + 1) * P, column * Q : (column + 1) * Q]
            for i in range(P):
                for j in range(Q):
                    for c in range(channels):
                        place = (i * Q + j) * channels + c if order == "p q c" else (c * P + i) * Q + j
                        assert torch.equal(patches[:, row * COLUMNS + column, place], window[:, c, i, j])


@pytest.mark.parametrize("order", ORDERS)
def test_unpatchify_undoes_patchify(order: PatchOrder) -> None:
    x = images()
    assert torch.equal(unpatchify(patchify(x, (P, Q), order), (P, Q), (ROWS, COLUMNS), order), x)


def test_a_square_grid_needs_no_telling() -> None:
    x = torch.randn(B, C, 5 * P, 5 * Q)
    assert torch.equal(unpatchify(patchify(x, (P, Q)), (P, Q)), x)
    square = torch.randn(B, C, 15, 15)
    assert torch.equal(unpatchify(patchify(square, 3), 3), square)


def test_bytes_and_integers_are_patches_too() -> None:
    x = torch.randint(256, (B, C, 6, 9), dtype=torch.uint8)
    assert patchify(x, 3).dtype == torch.uint8
    assert torch.equal(unpatchify(patchify(x, 3), 3, (2, 3)), x)


def test_patchify_carries_gradients() -> None:
    x = images().requires_grad_()
    patchify(x, (P, Q)).square().sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, 2 * x.detach())


@pytest.mark.parametrize(("size", "patch"), [((33, 21), (3, 2)), ((32, 30), 4), ((2, 2), 3), ((4, 4), 0), ((4, 4), -2)])
def test_a_patch_that_does_not_divide_the_image_is_refused(size: tuple[int, int], patch: int | tuple[int, int]) -> None:
    p, q = pair(patch)
    message = (
        rf"images of {size[0]}x{size[1]} pixels can't be cut into patches of {p}x{q}; choose a patch size that divides"
    )
    with pytest.raises(ConfigError, match=message):
        patchify(torch.zeros(1, 1, *size), patch)
    with pytest.raises(ConfigError, match=message):
        grid_of(size, patch)


def test_patches_that_make_no_picture_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"15 patches don't make a square grid; give the grid"):
        unpatchify(torch.zeros(1, 15, 12), 2)
    with pytest.raises(ConfigError, match=r"15 patches don't make a grid of 4x4; give the grid"):
        unpatchify(torch.zeros(1, 15, 12), 2, (4, 4))
    with pytest.raises(ConfigError, match=r"patches of 13 numbers don't hold 2x2 pixels"):
        unpatchify(torch.zeros(1, 15, 13), 2, (3, 5))
