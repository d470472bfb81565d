"""The layers of FaceNet's tables that PyTorch lacks, or has in a slow form only: L2 pooling, response norm, maxout.

All windows are padded so that a layer with stride s leaves ceil(n / s) of n rows, which is what the sizes in tables 1
and 2 of the paper come to; ``c2 H2 W2`` are the channels, height and width that a layer leaves.

The paper gives no constants for its "norm" layers. Ours are those of PyTorch, Caffe and OpenFace's FaceNet: five
channels, k = 1, alpha = 1e-4, beta = 3/4. Krizhevsky et al. 2012 (section 3.3) multiply alpha by a sum over the window,
all of these by its mean.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vitrail.errors import ConfigError

BETA = 0.75
"""The exponent of the response norm. Fixed: three quarters are two square roots, several times as fast as a power."""

BLOCK = 2**17
"""Numbers that the response norm works on at once on a CPU, so that its passes stay in the cache."""


class Convolution(nn.Conv2d):
    """A convolution with a bias, then ReLU.

    Args:
        summed: how many numbers' squares each input is the sum of: 9 after L2 pooling. For ``initialise`` only.
    """

    def __init__(self, c: int, width: int, kernel: int, stride: int = 1, summed: int = 1) -> None:
        super().__init__(c, width, kernel, stride, kernel // 2)
        self.summed = summed

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c2 H2 W2"]:
        """No negative numbers."""
        return F.relu(super().forward(x), inplace=True)


class MaxPool(nn.MaxPool2d):
    """The largest number of each 3x3 window."""

    def __init__(self, stride: int) -> None:
        super().__init__(3, stride, 1)


class L2Pool(nn.Module):
    """The L2 norm of each 3x3 window: √Σx² (table 2, "L2"), with gradient 0 where a window is all zeros."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c H2 W2"]:
        """Channel by channel."""
        squares = F.avg_pool2d(x.square(), 3, self.stride, 1, divisor_override=1)
        # √ has an infinite slope at 0; below the smallest normal number (where √ gives 1e-19) the clamp passes none on.
        return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()


class ResponseNorm(nn.Module):
    """Local response normalisation across channels: x / (k + alpha · mean of x² over ``size`` channels)^(3/4).

    The numbers are those of ``torch.nn.LocalResponseNorm``, at a third of its time on a CPU; under half precision it
    works in float32, where that one fails or loses the small changes that the norm is made of. Beyond the first and
    last channel there are zeros, which count in the mean.

    Args:
        size: channels of a window, an odd number.

    Raises:
        ConfigError: it is even.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, k: float = 1.0) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ConfigError(f"a response norm over {size} channels has no middle one; choose an odd number")
        self.size, self.alpha, self.k = size, alpha, k

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c H W"]:
        """Every pixel on its own."""
        normed: Tensor = _ResponseNorm.apply(x, self.size, self.alpha / self.size, self.k)  # type: ignore[no-untyped-call]
        return normed

    def extra_repr(self) -> str:
        """What ``print`` shows in the brackets."""
        return f"{self.size}, alpha={self.alpha}, k={self.k}"


class _ResponseNorm(torch.autograd.Function):
    """With d = k + a·Σx²: y = x·d^-β and dL/dx = g·d^-β - 2aβ·x·Σ(g·x·d^-β / d), both sums over the same window.

    A dozen passes over the numbers, so some images at a time: as many as stay in a core's cache.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, a: float, k: float) -> Tensor:
        y, divisor, images = torch.empty_like(x), torch.empty_like(x), _images_at_once(x)
        for x_part, y_part, divisor_part in zip(*(whole.split(images) for whole in (x, y, divisor)), strict=True):
            wide = _full_precision(x_part)
            d = _window_sum(wide.square(), size).mul_(a).add_(k)
            divisor_part.copy_(d)
            y_part.copy_(_three_quarters(d).mul_(wide))
        ctx.save_for_backward(x, divisor)
        ctx.size, ctx.a = size, a
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
        x, divisor = ctx.saved_tensors
        dx, images = torch.empty_like(x), _images_at_once(x)
        wholes = (x, divisor, g, dx)
        for x_part, divisor_part, g_part, dx_part in zip(*(whole.split(images) for whole in wholes), strict=True):
            wide, d = _full_precision(x_part), _full_precision(divisor_part)
            scaled = _three_quarters(d).mul_(g_part)
            across = _window_sum((scaled * wide).div_(d), ctx.size)
            dx_part.copy_(scaled.addcmul_(wide, across, value=-2 * ctx.a * BETA))
        return dx, None, None, None


def _images_at_once(x: Tensor) -> int:
    """How many images of a batch are worked on together."""
    return max(1, BLOCK // max(1, x[0].numel())) if x.device.type == "cpu" and len(x) else max(1, len(x))


def _full_precision(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _three_quarters(d: Tensor) -> Tensor:
    """d^(-3/4) as d^(-1/2) · √(d^(-1/2))."""
    root = d.rsqrt()
    return root.sqrt().mul_(root)


def _window_sum(x: Tensor, size: int) -> Tensor:
    """For each channel the sum of the ``size`` channels around it."""
    total = x.clone()
    for shift in range(1, size // 2 + 1):
        total[:, shift:] += x[:, :-shift]
        total[:, :-shift] += x[:, shift:]
    return total


class Maxout(nn.Module):
    """A linear map to ``pieces`` numbers a unit, of which the largest is kept (Goodfellow et al. 2013, section 3)."""

    def __init__(self, dim_in: int, units: int, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(dim_in, units * pieces)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b units"]:
        """The largest of each unit's pieces."""
        largest: Tensor = self.linear(x).unflatten(-1, (-1, self.pieces)).amax(dim=-1)
        return largest


class UnitVectors(nn.Module):
    """Each row divided by its L2 norm, in float32 whatever comes in (FaceNet, section 3.1: |f(x)| = 1)."""

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Rows on the unit sphere; a row of zeros stays one."""
        return F.normalize(_full_precision(x), dim=-1)
