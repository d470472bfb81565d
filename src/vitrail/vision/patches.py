"""Images as sequences of patches, and back.

Patches run row by row from the top left. Inside a patch the numbers are ordered ``"p q c"`` (pixel by pixel, colours
innermost: facebookresearch/mae, Hugging Face ViTMAE) or ``"c p q"`` (channel by channel: a convolution's weights,
and the course this project began with).
"""

from typing import Literal

from einops import rearrange
from jaxtyping import Shaped
from torch import Tensor

from vitrail.errors import ConfigError

PatchOrder = Literal["p q c", "c p q"]


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) from one number or two."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def grid_of(image_size: int | tuple[int, int], patch: int | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of patches in an image; ConfigError where the patch does not divide it."""
    (height, width), (p, q) = pair(image_size), pair(patch)
    if p < 1 or q < 1 or height % p or width % q or height < p or width < q:
        raise ConfigError(
            f"images of {height}x{width} pixels can't be cut into patches of {p}x{q}; "
            "choose a patch size that divides both sides, or resize with --image-size"
        )
    return height // p, width // q


def patchify(
    images: Shaped[Tensor, "b c H W"], patch: int | tuple[int, int], order: PatchOrder = "p q c"
) -> Shaped[Tensor, "b N pqc"]:
    """Cut images into patches; ``order`` says how one patch is laid out."""
    grid_of((images.shape[-2], images.shape[-1]), patch)
    p, q = pair(patch)
    patches: Tensor = rearrange(images, f"b c (rows p) (columns q) -> b (rows columns) ({order})", p=p, q=q)
    return patches


def unpatchify(
    patches: Shaped[Tensor, "b N pqc"],
    patch: int | tuple[int, int],
    grid: tuple[int, int] | None = None,
    order: PatchOrder = "p q c",
) -> Shaped[Tensor, "b c H W"]:
    """Put patches together again: the inverse of ``patchify``.

    Args:
        grid: rows and columns of patches; a square grid unless given.
    """
    p, q = pair(patch)
    count, length = patches.shape[-2:]
    side = round(count**0.5)
    rows, columns = grid or (side, side)
    if rows * columns != count:
        named = f"a grid of {rows}x{columns}" if grid else "a square grid"
        raise ConfigError(f"{count} patches don't make {named}; give the grid (rows, columns) they came from")
    if length % (p * q):
        raise ConfigError(
            f"patches of {length} numbers don't hold {p}x{q} pixels; give the patch size they were cut with"
        )
    images: Tensor = rearrange(
        patches, f"b (rows columns) ({order}) -> b c (rows p) (columns q)", rows=rows, p=p, q=q, c=length // (p * q)
    )
    return images
