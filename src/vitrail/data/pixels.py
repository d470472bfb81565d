"""Between uint8 pixels and what a network is given: float32, mean 0 and spread 1 over the training set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def normalise(
    images: UInt8[Tensor, "b c H W"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "b c H W"]:
    """Pixels 0-255 → float32 ``(pixels / 255 - mean) / std``, with mean and std per channel."""
    scale, shift = affine(mean, std, images.device)
    return images.to(torch.float32).mul_(scale / 255).add_(shift)


def denormalise(
    images: Float[Tensor, "b c H W"], mean: Sequence[float], std: Sequence[float]
) -> UInt8[Tensor, "b c H W"]:
    """The pixels 0-255 nearest to normalised images; values outside are cut off."""
    scale, shift = affine(mean, std, images.device)
    return ((images.float() - shift) / scale * 255).round_().clamp_(0, 255).to(torch.uint8)


def affine(mean: Sequence[float], std: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift ``[c 1 1]`` that take pixels in [0, 1] to normalised ones."""
    spread = torch.tensor(std, dtype=torch.float64).view(-1, 1, 1)
    centre = torch.tensor(mean, dtype=torch.float64).view(-1, 1, 1)
    return (1 / spread).float().to(device), (-centre / spread).float().to(device)
