"""Positions against MAE's formula, computed naively."""

import math

import numpy as np
import pytest
import torch

from vitrail.nn.positions import interpolate_positions, sincos, sincos_2d


def reference(rows: int, columns: int, dim: int) -> np.ndarray:
    """facebookresearch/mae util/pos_embed.py, number by number: x first, sines before cosines, in float64."""
    table = np.zeros((rows * columns, dim))
    quarter = dim // 4
    for row in range(rows):
        for column in range(columns):
            for half, position in enumerate((column, row)):
                for i in range(quarter):
                    angle = position / 10_000 ** (i / quarter)
                    table[row * columns + column, half * 2 * quarter + i] = math.sin(angle)
                    table[row * columns + column, half * 2 * quarter + quarter + i] = math.cos(angle)
    return table


@pytest.mark.parametrize(("grid", "dim"), [((3, 5), 28), ((7, 2), 12), ((1, 1), 4), ((14, 14), 768)])
def test_two_dimensional_table_is_maes(grid: tuple[int, int], dim: int) -> None:
    expected = reference(*grid, dim)
    table = sincos_2d(grid, dim)
    assert table.dtype == torch.float32
    np.testing.assert_allclose(table.numpy(), expected, atol=6e-8, rtol=0)  # float32 rounding only


def test_one_dimensional_table() -> None:
    table = sincos(torch.tensor([0.0, 2.5]), 6, temperature=100.0)
    assert table.shape == (2, 6)
    assert torch.equal(table[0], torch.tensor([0.0, 0, 0, 1, 1, 1]))
    expected = [f(2.5 / 100 ** (i / 3)) for f in (math.sin, math.cos) for i in range(3)]
    np.testing.assert_allclose(table[1].numpy(), expected, atol=1e-7)


def test_positions_differ_from_each_other() -> None:
    table = sincos_2d((5, 7), 28)
    distances = torch.cdist(table, table) + torch.eye(35)
    assert distances.min() > 0.1


def test_widths_that_can_not_be_are_refused() -> None:
    with pytest.raises(ValueError, match="need an even width, not 7"):
        sincos(torch.arange(3.0), 7)
    with pytest.raises(ValueError, match="need a width divisible by 4, not 6"):
        sincos_2d((2, 3), 6)


def test_interpolation_keeps_the_same_grid_untouched() -> None:
    table = torch.randn(15, 7)
    assert interpolate_positions(table, (3, 5), (3, 5)) is table


def test_interpolation_knows_rows_from_columns() -> None:
    """A table that only depends on the row still does so on the new grid; likewise for columns."""
    rows = torch.arange(3.0)[:, None].expand(3, 5).reshape(15, 1)
    carried = interpolate_positions(rows, (3, 5), (7, 11)).reshape(7, 11)
    assert torch.allclose(carried, carried[:, :1].expand(7, 11), atol=1e-6)
    assert (carried[1:, 0] > carried[:-1, 0]).all()
    columns = torch.arange(5.0)[None].expand(3, 5).reshape(15, 1)
    carried = interpolate_positions(columns, (3, 5), (7, 11)).reshape(7, 11)
    assert torch.allclose(carried, carried[:1].expand(7, 11), atol=1e-6)
    assert (carried[0, 1:] > carried[0, :-1]).all()


def test_interpolation_is_bicubic_between_pixel_centres() -> None:
    """Doubling one axis: a new row lies a quarter step off an old one, with the weights of Keys (a = -0.75)."""
    table = torch.randn(7, 1)
    carried = interpolate_positions(table, (7, 1), (14, 1))

    def keys(x: float, a: float = -0.75) -> float:
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a

    at = 3.25  # the centre of new row 7: (7 + 0.5) / 2 - 0.5
    expected = sum(keys(at - i) * float(table[i]) for i in range(2, 6))
    assert float(carried[7]) == pytest.approx(expected, abs=1e-5)


def test_interpolation_keeps_the_type() -> None:
    assert interpolate_positions(torch.randn(6, 5).bfloat16(), (2, 3), (4, 3)).dtype == torch.bfloat16


def test_a_table_of_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="a table of 15 positions does not fit a grid of 4 x 5 patches"):
        interpolate_positions(torch.randn(15, 7), (4, 5), (2, 2))
