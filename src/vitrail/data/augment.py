"""Augmentation of a whole batch at once, as tensors on the batch's device.

Crop with padding and flip as usual since He et al. 2015 (arXiv:1512.03385, 4.2); random resized crop of Szegedy et al.
2014 (arXiv:1409.4842, 6); cutout of DeVries & Taylor 2017 (arXiv:1708.04552).

Each image's random numbers are drawn first (``draw``), by name and by its row in the global batch, then applied
(``apply``). Every operation treats an image the same whatever else is in its batch, so that processes and
micro-batches that share a global batch produce it to the bit.

Where we differ from torchvision: a resized crop is cut at fractions of a pixel, where theirs is rounded to whole ones;
brightness, contrast and saturation always come in this order, and values are cut off once after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from vitrail.errors import ConfigError
from vitrail.nn.randomness import RowRandom


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images; everything is off by default."""

    crop_padding: int = 0
    """Pad each side by this many black pixels and cut out the old size at a random place."""
    flip: bool = False
    """Mirror half of the images, left to right."""
    random_resized_crop: tuple[float, float] | None = None
    """Cut out a box with a share of the area in this range, sides 3:4 to 4:3, and enlarge it to the old size."""
    color: float = 0.0
    """Multiply brightness, contrast and saturation each by a factor in 1 ± this."""
    cutout: int = 0
    """Cover a square with sides of this many pixels, its centre anywhere in the image."""
    mixup: float = 0.0
    """Blend with another image of the batch, by a weight from Beta(this, this); 0 is off."""
    cutmix: float = 0.0
    """Paste in a box of another image of the batch, area from Beta(this, this); beside mixup, for half of the rows."""

    def __post_init__(self) -> None:
        for name in ("crop_padding", "color", "cutout", "mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, and must be 0 (off) or more.")
        if self.random_resized_crop is not None:
            low, high = self.random_resized_crop
            if not 0 < low <= high <= 1:
                raise ConfigError(f"random_resized_crop is {low} to {high}, and must be shares of the area: 0.2 to 1.")
            if self.crop_padding:
                raise ConfigError("crop_padding and random_resized_crop both crop: choose one of them.")

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of their batch."""
        return self.mixup > 0 or self.cutmix > 0


NO_AUGMENTATION = Augmentation()
"""Images as they are."""


@dataclass(frozen=True)
class Draws:
    """The random choices for b images; None for what is off.

    Attributes:
        offset: int64 ``[b 2]``, top and left of the crop in the padded image.
        flip: bool ``[b]``.
        box: float32 ``[b 4]``, centre (y, x) and sides (height, width) of the resized crop, as shares of the image.
        color: float32 ``[b 3]``, factors of brightness, contrast, saturation.
        cutout: int64 ``[b 2]``, centre (y, x) of the covered square.
    """

    offset: Int64[Tensor, "b 2"] | None = None
    flip: Bool[Tensor, " b"] | None = None
    box: Float[Tensor, "b 4"] | None = None
    color: Float[Tensor, "b 3"] | None = None
    cutout: Int64[Tensor, "b 2"] | None = None

    def take(self, rows: Tensor, device: torch.device) -> "Draws":
        """The choices for some of these images, on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Draws(**{name: None if value is None else value[rows].to(device) for name, value in values.items()})


def augment(
    images: UInt8[Tensor, "b c H W"], random: RowRandom, config: Augmentation, fill: Sequence[float] | None = None
) -> Float[Tensor, "b c H W"]:
    """Augment each image by itself (mixing needs the labels too and is done by ``ImageBatches``).

    Args:
        images: pixels 0 to 255.
        random: the draws of these images' rows.
        config: what to do.
        fill: value in [0, 1] per channel that cutout covers with; None is mid-grey.

    Returns:
        float32 pixels in [0, 1], on the images' device.
    """
    size = (images.shape[2], images.shape[3])
    everyone = torch.arange(len(images))
    return apply(images, draw(random, config, size).take(everyone, images.device), config, fill).div_(255)


def draw(random: RowRandom, config: Augmentation, size: tuple[int, int]) -> Draws:
    """The random choices for the rows of ``random``, for images of this height and width; on the CPU."""
    offset = flip = box = color = cutout = None
    if config.crop_padding:
        offset = random.integers("augment crop", 2 * config.crop_padding + 1, 2)
    if config.random_resized_crop is not None:
        box = _boxes(random, config.random_resized_crop, size)
    if config.flip:
        flip = random.integers("augment flip", 2).bool()
    if config.color:
        color = (1 + config.color * (2 * random.uniform("augment color", 3) - 1)).clamp_(min=0)
    if config.cutout:
        centre = [random.integers(f"augment cutout {axis}", side) for axis, side in zip("yx", size, strict=True)]
        cutout = torch.stack(centre, 1)
    return Draws(offset, flip, box, color, cutout)


def apply(
    images: UInt8[Tensor, "b c H W"], draws: Draws, config: Augmentation, fill: Sequence[float] | None = None
) -> Float[Tensor, "b c H W"]:
    """Do to each image what was drawn for it; as ``augment``, but for the result, which is float32 in [0, 255]."""
    if draws.box is not None:
        pixels = _resized_crop(images, draws.box, draws.flip)
    elif draws.offset is not None or draws.flip is not None:
        pixels = _crop(images, draws.offset, draws.flip, config.crop_padding).to(torch.float32)
    else:
        pixels = images.to(torch.float32)
    if draws.color is not None:
        pixels = _jitter(pixels, draws.color)
    if draws.cutout is not None:
        colour = 255 * torch.tensor(fill or [0.5] * images.shape[1], device=images.device).view(-1, 1, 1)
        pixels = torch.where(_square(draws.cutout, config.cutout, images.shape[2:]), colour, pixels)
    return pixels


def _boxes(random: RowRandom, area: tuple[float, float], size: tuple[int, int]) -> Float[Tensor, "b 4"]:
    """Boxes with a share of the area in this range; a side that would be longer than the image is cut to it."""
    height, width = size
    u = random.uniform("augment box", 4)
    share = area[0] + (area[1] - area[0]) * u[:, 0]
    ratio = torch.exp((2 * u[:, 1] - 1) * log(4 / 3))  # width / height in pixels
    h = (share / ratio * (width / height)).sqrt().clamp_(max=1)
    w = (share * ratio * (height / width)).sqrt().clamp_(max=1)
    return torch.stack([h / 2 + (1 - h) * u[:, 2], w / 2 + (1 - w) * u[:, 3], h, w], 1)


def _crop(
    images: UInt8[Tensor, "b c H W"], offset: Tensor | None, flip: Tensor | None, padding: int
) -> UInt8[Tensor, "b c H W"]:
    """Shift and mirror by one gather: each output pixel's place in the padded image is the same in every channel."""
    b, c, height, width = images.shape
    device = images.device
    if offset is None:
        offset = torch.zeros(b, 2, dtype=torch.int64, device=device)
    columns = torch.arange(width, device=device).expand(b, width)
    if flip is not None:
        columns = torch.where(flip[:, None], width - 1 - columns, columns)
    rows = torch.arange(height, device=device) + offset[:, :1]
    columns = columns + offset[:, 1:]
    place = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    padded = F.pad(images, (padding,) * 4).flatten(2)
    return padded.gather(2, place.view(b, 1, -1).expand(b, c, -1)).view(b, c, height, width)


def _resized_crop(
    images: UInt8[Tensor, "b c H W"], box: Float[Tensor, "b 4"], flip: Tensor | None
) -> Float[Tensor, "b c H W"]:
    """Cut out and enlarge bilinearly, rounded to whole values as an image program would."""
    height, width = images.shape[2:]
    device = images.device
    # grid_sample counts from -1 to 1 between the image's outer edges.
    y = (torch.arange(height, device=device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, device=device) + 0.5) * (2 / width) - 1
    x = x.expand(len(images), width)
    if flip is not None:
        x = torch.where(flip[:, None], -x, x)
    y = (2 * box[:, :1] - 1) + box[:, 2:3] * y
    x = (2 * box[:, 1:2] - 1) + box[:, 3:4] * x
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], -1)
    source = images.to(torch.float32)
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False).round_()


def _jitter(pixels: Float[Tensor, "b c H W"], factors: Float[Tensor, "b 3"]) -> Float[Tensor, "b c H W"]:
    """Brightness, contrast (about the image's mean grey), saturation (about each pixel's grey) as one affine map."""
    brightness, contrast, saturation = factors.view(-1, 3, 1, 1, 1).unbind(1)
    weights = [0.299, 0.587, 0.114] if pixels.shape[1] == 3 else [1 / pixels.shape[1]] * pixels.shape[1]
    grey = pixels[:, :1] * weights[0]
    for channel in range(1, pixels.shape[1]):
        grey = grey + pixels[:, channel : channel + 1] * weights[channel]
    # Sums of whole numbers in float64 are exact: the mean can't depend on how a batch was cut into parts.
    sums = pixels.sum((2, 3), dtype=torch.float64) * torch.tensor(weights, dtype=torch.float64, device=pixels.device)
    mean = sums[:, 0]
    for channel in range(1, pixels.shape[1]):
        mean = mean + sums[:, channel]
    mean = (mean / pixels[0, 0].numel()).to(torch.float32).view(-1, 1, 1, 1)
    gain = brightness * contrast
    own = pixels * (gain * saturation)
    shared = grey * (gain * (1 - saturation)) + mean * (brightness * (1 - contrast))
    return (own + shared).clamp_(0, 255)


def _square(centre: Int64[Tensor, "b 2"], side: int, size: Sequence[int]) -> Bool[Tensor, "b 1 H W"]:
    """True where each image's square is; it may stick out over the edge."""
    inside = []
    for axis, length in enumerate(size):
        place = torch.arange(length, device=centre.device)
        start = centre[:, axis : axis + 1] - side // 2
        inside.append((place >= start) & (place < start + side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
