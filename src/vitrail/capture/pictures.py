"""What the positions of an image are: patches in a grid, after tokens of no place such as CLS."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitrail.errors import DataError
from vitrail.trace import Axis

IMAGE = "image"
"""Name of the image that patches are cut from."""


def patch_axis(
    length: int,
    pixels: tuple[int, int],
    patch: tuple[int, int],
    *,
    name: str = "patches",
    visible: np.ndarray | None = None,
    hidden: np.ndarray | None = None,
    image: str | None = IMAGE,
) -> Axis | None:
    """The axis of an image's patches, row by row, or None where the length doesn't fit to them.

    Args:
        length: positions; more than patches means that tokens without a place come first.
        pixels: height and width of the image.
        patch: height and width of a patch.
        name: of the axis.
        visible: which patches stand there, in this order; all of them unless given.
        hidden: flags of patches that the encoder didn't see.
        image: name of the image.
    """
    grid = pixels[0] // patch[0], pixels[1] // patch[1]
    places = np.arange(grid[0] * grid[1]) if visible is None else visible
    extra = length - len(places)
    if not len(places) or not 0 <= extra <= MOST_EXTRA:
        return None
    texts = [f"[{i}]" for i in range(extra)] + [f"{p // grid[1]},{p % grid[1]}" for p in places]
    if extra == 1:
        texts[0] = "[CLS]"
    return Axis(
        name,
        "patches",
        length,
        texts=tuple(texts),
        special=np.arange(length) < extra,
        grid=grid,
        patch=patch,
        places=np.concatenate([np.full(extra, -1), places]).astype(np.int32),
        hidden=hidden,
        image=image,
    )


MOST_EXTRA = 16
"""Tokens without a place that a vision model may read: CLS, a distilled one, registers."""


def renamed(axis: Axis, name: str) -> Axis:
    """The same axis under another name."""
    return replace(axis, name=name)


def pixel_tensor(image: Any, processor: Any | None) -> Tensor:
    """The numbers that a model reads, [1 c H W]: through its processor, or as they are where they are a tensor.

    Raises:
        DataError: there is no processor for an image that is no tensor, or the file is no image.
    """
    if isinstance(image, Tensor):
        return image if image.ndim == 4 else image[None]
    if processor is None:
        raise DataError(
            "an image needs the model's image processor to become numbers; give processor=…, or a tensor [c H W]"
        )
    if isinstance(image, str | Path):
        from PIL import Image, UnidentifiedImageError

        try:
            image = Image.open(image).convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{image} can't be read as an image; give a JPEG, PNG or the like") from error
    pixels: Tensor = processor(images=image, return_tensors="pt")["pixel_values"]
    return pixels


def seen_image(pixels: Tensor, processor: Any | None) -> np.ndarray:
    """The image as the model saw it, uint8 [H W 3]: cut and scaled, its colours as they were."""
    first = pixels[0].detach().float().cpu()
    mean, std = (getattr(processor, f"image_{name}", None) for name in ("mean", "std"))
    if mean is not None and std is not None:
        first = first * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    elif first.min() < 0 or first.max() > 1:
        first = (first - first.min()) / (first.max() - first.min()).clamp_min(1e-6)
    first = first if len(first) == 3 else first[:1].expand(3, -1, -1)
    image: np.ndarray = (first.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return image
