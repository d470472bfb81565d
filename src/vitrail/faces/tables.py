"""The layer tables of FaceNet's networks, as the paper prints them (tables 1 and 2), and two of our own.

A table is read from top to bottom; widths are channels. ``networks.py`` builds what it says.

NN3 and NN4 have no table in the paper (section 3.3 tells them by their input size). NN3 is NN2's. NN4 is "without 5x5
convolutions in the higher layers": leaving them out of 4e, 5a and 5b meets the paper's 285M multiply-adds.
**The layers of NNS1 and NNS2 were never published.** Ours are a design to the published budgets (weights, multiply-adds
and image size), so no figure of ours for them says anything about theirs. Both budgets have few multiply-adds a weight
(8 and 5; NN2 has 214), which only a large fully connected layer meets: so after fewer and narrower Inception modules
comes what NN1 ends in, "concat" and maxout. Its vector also knows where in the face something is, which an average
forgets.
"""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Conv:
    """A convolution with ReLU."""

    name: str
    width: int
    kernel: int
    stride: int = 1


@dataclass(frozen=True)
class Pool:
    """Max pooling over 3x3 windows with stride 2."""

    name: str


@dataclass(frozen=True)
class Norm:
    """Local response normalisation."""

    name: str


@dataclass(frozen=True)
class Inception:
    """Up to four branches side by side, their channels joined (Szegedy et al. 2014; table 2). 0 leaves a branch out.

    The pooling branch takes 3x3 windows; without a projection it passes on as many channels as came in. With stride 2
    the 3x3 and 5x5 convolutions and the pooling have it.
    """

    name: str
    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: Literal["max", "L2"]
    project: int
    stride: int = 1


@dataclass(frozen=True)
class Average:
    """The mean over all pixels; what follows is fully connected."""

    name: str


@dataclass(frozen=True)
class Grid:
    """The mean over each cell of a grid; at the table's own image size a cell is one pixel, so that nothing happens."""

    name: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Flatten:
    """All pixels' channels as one vector ("concat"); what follows is fully connected."""

    name: str


@dataclass(frozen=True)
class FullyConnected:
    """Maxout units, each the larger of two linear maps ("maxout p=2")."""

    name: str
    units: int


Row = Conv | Pool | Norm | Inception | Average | Grid | Flatten | FullyConnected


@dataclass(frozen=True)
class Table:
    """One network: its rows, and the paper's figures for it. The map to the embedding and the L2 norm come last."""

    name: str
    image_size: tuple[int, int]
    """Height and width of the images, in pixels."""
    rows: tuple[Row, ...]
    paper_weights: int | None
    """As rounded in the paper; None where it gives none."""
    paper_multiply_adds: int | None
    """What the paper calls FLOPS, as rounded there; None where it gives none."""
    ours: bool = False
    """Whether the layers are our design, because the paper's were never published."""

    @property
    def fixed_size(self) -> bool:
        """Whether images of another size would not fit the fully connected layers."""
        kinds = {type(row) for row in self.rows}
        return Flatten in kinds and Grid not in kinds


# fmt: off
NN1 = Table("NN1", (220, 220), (
    Conv("conv1", 64, 7, 2),
    Pool("pool1"), Norm("rnorm1"),
    Conv("conv2a", 64, 1), Conv("conv2", 192, 3),
    Norm("rnorm2"), Pool("pool2"),
    Conv("conv3a", 192, 1), Conv("conv3", 384, 3),
    Pool("pool3"),
    Conv("conv4a", 384, 1), Conv("conv4", 256, 3),
    Conv("conv5a", 256, 1), Conv("conv5", 256, 3),
    Conv("conv6a", 256, 1), Conv("conv6", 256, 3),
    Pool("pool4"), Flatten("concat"),
    FullyConnected("fc1", 32 * 128),
    FullyConnected("fc2", 32 * 128),
), 140_000_000, 1_600_000_000)

NN2 = Table("NN2", (224, 224), (
    Conv("conv1", 64, 7, 2),
    Pool("pool1"), Norm("norm1"),
    Conv("inception2_reduce", 64, 1), Conv("inception2", 192, 3),
    Norm("norm2"), Pool("pool2"),
    #                        1x1  3x3 reduce  5x5 reduce       pool
    Inception("inception3a",  64,   96, 128,   16,  32,  "max",  32),
    Inception("inception3b",  64,   96, 128,   32,  64,   "L2",  64),
    Inception("inception3c",   0,  128, 256,   32,  64,  "max",   0, 2),
    Inception("inception4a", 256,   96, 192,   32,  64,   "L2", 128),
    Inception("inception4b", 224,  112, 224,   32,  64,   "L2", 128),
    Inception("inception4c", 192,  128, 256,   32,  64,   "L2", 128),
    Inception("inception4d", 160,  144, 288,   32,  64,   "L2", 128),
    Inception("inception4e",   0,  160, 256,   64, 128,  "max",   0, 2),
    Inception("inception5a", 384,  192, 384,   48, 128,   "L2", 128),
    Inception("inception5b", 384,  192, 384,   48, 128,  "max", 128),
    Average("average"),
), 7_500_000, 1_600_000_000)

NN3 = replace(NN2, name="NN3", image_size=(160, 160), paper_weights=None, paper_multiply_adds=None)

NN4 = Table("NN4", (96, 96), (
    *NN2.rows[:-4],
    Inception("inception4e",   0,  160, 256,    0,   0,  "max",   0, 2),
    Inception("inception5a", 384,  192, 384,    0,   0,   "L2", 128),
    Inception("inception5b", 384,  192, 384,    0,   0,  "max", 128),
    Average("average"),
), None, 285_000_000)
NNS1 = Table("NNS1", (165, 165), (
    Conv("conv1", 32, 7, 2),
    Pool("pool1"), Norm("norm1"),
    Conv("inception2_reduce", 32, 1), Conv("inception2", 64, 3),
    Norm("norm2"), Pool("pool2"),
    #                        1x1  3x3 reduce  5x5 reduce       pool
    Inception("inception3a",  32,   48,  64,    8,  16,  "max",  16),
    Inception("inception3b",  32,   48,  64,   16,  32,   "L2",  32),
    Inception("inception3c",   0,   64, 128,   16,  32,  "max",   0, 2),
    Inception("inception4a", 128,   48,  96,   16,  32,   "L2",  64),
    Inception("inception4b", 112,   56, 112,   16,  32,   "L2",  64),
    Inception("inception4c",   0,   80, 128,   32,  64,  "max",   0, 2),
    Inception("inception5a", 192,   96, 192,   24,  64,   "L2",  64),
    Inception("inception5b", 192,   96, 192,   24,  64,  "max",  64),
    Grid("grid", 6, 6), Flatten("concat"),
    FullyConnected("fc1", 656),
), 26_000_000, 220_000_000, ours=True)

NNS2 = Table("NNS2", (140, 116), (
    Conv("conv1", 16, 3, 2),
    Pool("pool1"), Norm("norm1"),
    Conv("inception2_reduce", 16, 1), Conv("inception2", 24, 3),
    Norm("norm2"), Pool("pool2"),
    Inception("inception3a",  16,   24,  32,    4,   8,  "max",   8),
    Inception("inception3b",   0,   24,  48,    8,  16,  "max",   0, 2),
    Inception("inception4a",  48,   32,  64,    8,  16,   "L2",  32),
    Inception("inception4b",   0,   48,  96,   16,  32,  "max",   0, 2),
    Inception("inception5a",  96,   48,  96,   16,  32,   "L2",  32),
    Grid("grid", 5, 4), Flatten("concat"),
    FullyConnected("fc1", 384),
), 4_300_000, 20_000_000, ours=True)
# fmt: on

TABLES = (NN1, NN2, NN3, NN4, NNS1, NNS2)
