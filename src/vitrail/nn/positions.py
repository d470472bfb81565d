"""Where a token is: two-dimensional sine-cosine tables, and learned tables carried to another grid.

Sine-cosine in two dimensions follows MAE's reference code: half of the width for x, half for y, each half as in
Attention Is All You Need (section 3.5) but with all sines before all cosines.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Grid = tuple[int, int]
"""Rows and columns of patches."""


def sincos(positions: Float[Tensor, " n"], dim: int, temperature: float = 10_000.0) -> Float[Tensor, "n dim"]:
    """Sines then cosines of ``positions`` at dim/2 frequencies, from 1 down to nearly 1/temperature."""
    if dim % 2:
        raise ValueError(f"sine-cosine positions need an even width, not {dim}")
    # float64, as in the reference: float32 angles would differ from it in the last places.
    frequencies = temperature ** -(torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    angles = positions.double()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def sincos_2d(grid: Grid, dim: int, temperature: float = 10_000.0) -> Float[Tensor, "N dim"]:
    """The table of a grid of patches, row by row: the first half of the width encodes x, the second y."""
    if dim % 4:
        raise ValueError(f"two-dimensional sine-cosine positions need a width divisible by 4, not {dim}")
    rows, columns = grid
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    halves = [sincos(axis.flatten().double(), dim // 2, temperature) for axis in (x, y)]
    return torch.cat(halves, dim=1)


def interpolate_positions(table: Float[Tensor, "N d"], source: Grid, target: Grid) -> Float[Tensor, "M d"]:
    """Carry a table of patch positions to another grid by bicubic interpolation (ViT, section 3.2).

    Args:
        table: one row a patch, no row for a CLS token.
        source: the grid that ``table`` belongs to; rows x columns must be N.
        target: the grid wanted.
    """
    if len(table) != source[0] * source[1]:
        raise ValueError(f"a table of {len(table)} positions does not fit a grid of {source[0]} x {source[1]} patches")
    if source == target:
        return table
    picture = rearrange(table, "(r c) d -> 1 d r c", r=source[0])
    resized = F.interpolate(picture.float(), size=target, mode="bicubic", align_corners=False)
    carried: Tensor = rearrange(resized, "1 d r c -> (r c) d")
    return carried.to(table.dtype)
