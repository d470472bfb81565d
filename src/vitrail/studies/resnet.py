"""ResNet-50 (He et al. 2015, table 1), for scale beside FaceNet's networks: what most people know the cost of.

As every library builds it today, a stage's stride stands in its first 3x3 convolution; the paper has it in the 1x1 one
before, which makes its 3.8 billion multiply-adds of our 4.1. Its own classifier to the 1,000 classes of ImageNet.
"""

from collections.abc import Iterator

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

STAGES = {64: 3, 128: 4, 256: 6, 512: 3}
"""The width of each stage, and its blocks; a block leaves four times its width."""
WIDER = 4


class Bottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 pixels with batch norms, and a way around them."""

    def __init__(self, c: int, width: int, stride: int) -> None:
        super().__init__()
        out = WIDER * width
        same = c == out and stride == 1
        self.around = nn.Identity() if same else nn.Sequential(*_convolution(c, out, 1, stride))
        self.branch = nn.Sequential(
            *_convolution(c, width, 1),
            nn.ReLU(),
            *_convolution(width, width, 3, stride),
            nn.ReLU(),
            *_convolution(width, out, 1),
        )

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c2 H2 W2"]:
        """No negative numbers."""
        return F.relu(self.around(x) + self.branch(x))


def resnet50(classes: int = 1000) -> nn.Sequential:
    """The untrained network: images [b 3 H W] to logits [b classes]."""
    c, blocks = 64, []
    for width, count in STAGES.items():
        for place in range(count):
            blocks.append(Bottleneck(c, width, 2 if place == 0 and width > 64 else 1))
            c = WIDER * width
    return nn.Sequential(
        *_convolution(3, 64, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(c, classes),
    )


def _convolution(c: int, width: int, kernel: int, stride: int = 1) -> Iterator[nn.Module]:
    yield nn.Conv2d(c, width, kernel, stride, kernel // 2, bias=False)
    yield nn.BatchNorm2d(width)
