"""FaceNet's networks (Schroff, Kalenichenko, Philbin 2015, section 3.3), built from the tables in ``tables.py``.

``nn2()`` is an untrained NN2: images [b 3 H W] in [-1, 1] to unit vectors [b d]. There is no batch norm in any of them,
so an image's embedding never depends on its batch.

Where the paper is silent: convolutions and linear maps have a bias (as these networks do in practice; the paper's
tables don't count it, and neither does ``vitrail.nn.cost.count_weights``), the constants of the response norm stand in
``layers.py``, and how a network begins is told in ``initialise``. Feature maps lie channels-last, which is the faster
order on a CPU (bf16 most of all); under autocast the map to the embedding stays float32.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.errors import ConfigError, ModelError
from vitrail.faces import tables
from vitrail.faces.layers import Convolution, L2Pool, Maxout, MaxPool, ResponseNorm, UnitVectors
from vitrail.faces.tables import Average, Conv, Flatten, FullyConnected, Grid, Inception, Norm, Pool, Row, Table

CENTRING = 0.5
"""How much of each filter's mean is taken out before training: see ``initialise``."""


class InceptionModule(nn.ModuleDict):
    """The branches of one row side by side, their channels joined in the order of the table's columns."""

    def __init__(self, c: int, row: Inception) -> None:
        branches: OrderedDict[str, nn.Module] = OrderedDict()
        if row.one:
            branches["one"] = Convolution(c, row.one, 1)
        columns = ("three", row.three_reduce, row.three, 3), ("five", row.five_reduce, row.five, 5)
        for name, reduce, width, kernel in columns:
            if width:
                wide = Convolution(reduce, width, kernel, row.stride)
                branches[name] = nn.Sequential(Convolution(c, reduce, 1), wide)
        pool, summed = (MaxPool(row.stride), 1) if row.pool == "max" else (L2Pool(row.stride), 9)
        project = [Convolution(c, row.project, 1, summed=summed)] if row.project else []
        branches["pool"] = nn.Sequential(pool, *project)
        super().__init__(branches)

    def forward(self, x: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c2 H2 W2"]:
        """Every branch sees the same pixels."""
        return torch.cat([branch(x) for branch in self.values()], dim=1)


class EmbeddingMap(nn.Module):
    """The last map and the L2 norm, in float32 under autocast too: embeddings are not rounded to half precision.

    Raises:
        ConfigError: an embedding of less than one number.
    """

    def __init__(self, dim_in: int, embedding_dim: int) -> None:
        super().__init__()
        if embedding_dim < 1:
            raise ConfigError(f"an embedding of {embedding_dim} numbers can't be meant: give 1 or more (usually 128)")
        self.linear = nn.Linear(dim_in, embedding_dim)
        self.unit = UnitVectors()

    def forward(self, features: Float[Tensor, "b dim_in"]) -> Float[Tensor, "b d"]:
        """Features to unit vectors."""
        device = features.device.type
        # Where there is no autocast (the meta device of nn.cost) there is none to switch off.
        full = torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
        with full:
            embeddings: Tensor = self.unit(self.linear(features.to(self.linear.weight.dtype)))
        return embeddings


class FaceNetwork(nn.Module):
    """A table's layers, then the map to the embedding.

    ``image_size`` is the table's (height, width). Only NN1 reads no other; the others end in an average or a grid.

    Args:
        embedding_dim: numbers in an embedding; the paper tries 64 to 512 and settles on 128 (section 5.3).

    Raises:
        ConfigError: an embedding of less than one number.
    """

    def __init__(self, table: Table, embedding_dim: int = 128) -> None:
        super().__init__()
        self.table = table
        self.image_size = table.image_size
        self.embedding_dim = embedding_dim
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        c, size = 3, table.image_size
        for row in table.rows:
            layers[row.name], c, size = _build(row, c, size)
        self.layers = nn.Sequential(layers)
        self.embedding = EmbeddingMap(c, embedding_dim)
        initialise(self)

    def forward(self, images: Float[Tensor, "b channels H W"]) -> Float[Tensor, "b d"]:
        """Images with values in [-1, 1] to unit vectors.

        Raises:
            ConfigError: images of other than three channels, or of a size that the network can't read.
        """
        channels, height, width = images.shape[1:]
        if channels != 3 or (self.table.fixed_size and (height, width) != self.image_size):
            own = "x".join(map(str, self.image_size))
            raise ConfigError(
                f"{self.table.name} reads images of 3 channels and {own} pixels, not of {channels} channels and "
                f"{height}x{width} pixels; resize them, or take another network"
            )
        features: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        embeddings: Tensor = self.embedding(features)
        return embeddings


def _build(row: Row, c: int, size: tuple[int, int]) -> tuple[nn.Module, int, tuple[int, int]]:
    """One row for maps of ``c`` channels and (height, width) ``size``, and the channels and size that it leaves."""
    height, width = size
    halved = (height + 1) // 2, (width + 1) // 2
    match row:
        case Conv():
            return Convolution(c, row.width, row.kernel, row.stride), row.width, halved if row.stride == 2 else size
        case Pool():
            return MaxPool(2), c, halved
        case Norm():
            return ResponseNorm(), c, size
        case Inception():
            out = row.one + row.three + row.five + (row.project or c)
            return InceptionModule(c, row), out, halved if row.stride == 2 else size
        case Average():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), c, (1, 1)
        case Grid():
            return nn.AdaptiveAvgPool2d((row.rows, row.columns)), c, (row.rows, row.columns)
        case Flatten():
            return nn.Flatten(), c * height * width, (1, 1)
        case FullyConnected():
            return Maxout(c, row.units), row.units, (1, 1)


def initialise(network: nn.Module, centring: float = CENTRING) -> None:
    """Weights that keep the size of activations and the distances of images on the way through many layers.

    The size: as He et al. 2015 (arXiv:1502.01852), each weight's variance is such that the mean square of a layer's
    outputs is that of its inputs; after L2 pooling it is nine times smaller, for nine squares are summed there.

    The distances: ReLU gives no negative numbers, so all features of all images share a large mean, and what tells
    images apart shrinks with each layer beside it: embeddings of NN4 begin 0.01 apart (squared, on the unit sphere), as
    after a collapse, with a margin of 0.2 to reach. Batch norm would take that mean out. Here half of each filter's own
    mean is taken out once, and embeddings begin 0.2 apart, with the order of distances that the pixels had. All of it
    (as Brock et al. 2021, arXiv:2101.08692, do in every step) would push even twins apart.

    Args:
        centring: the part of its mean that each filter loses, 0 to 1.
    """
    for module in network.modules():
        if isinstance(module, Convolution):
            _draw(module, 2.0 / module.summed, centring)
        elif isinstance(module, Maxout | EmbeddingMap):
            _draw(module.linear, 1.0, centring)  # the mean square of the larger of two is that of each


@torch.no_grad()
def _draw(layer: nn.Conv2d | nn.Linear, gain: float, centring: float) -> None:
    """Normal weights and zero biases; ``gain`` is the mean square that outputs get before ReLU, beside the inputs'."""
    weight = layer.weight
    nn.init.normal_(weight)
    weight.sub_(centring * weight.flatten(1).mean(dim=1).view(-1, *[1] * (weight.ndim - 1)))
    # The square of the mean is 1/π of the mean square (a normal variable after ReLU): that much the sum no longer sees.
    seen = 1 - centring * (2 - centring) / math.pi
    weight.mul_(math.sqrt(gain / seen / weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def nn1(embedding_dim: int = 128) -> FaceNetwork:
    """NN1, Zeiler and Fergus' network with 1x1 convolutions between (table 1): 220x220 pixels, and no others."""
    return FaceNetwork(tables.NN1, embedding_dim)


def nn2(embedding_dim: int = 128) -> FaceNetwork:
    """NN2, an Inception network (table 2): 224x224 pixels."""
    return FaceNetwork(tables.NN2, embedding_dim)


def nn3(embedding_dim: int = 128) -> FaceNetwork:
    """NN3: NN2 for 160x160 pixels."""
    return FaceNetwork(tables.NN3, embedding_dim)


def nn4(embedding_dim: int = 128) -> FaceNetwork:
    """NN4: NN2 for 96x96 pixels, without 5x5 convolutions in its last three modules."""
    return FaceNetwork(tables.NN4, embedding_dim)


def nns1(embedding_dim: int = 128) -> FaceNetwork:
    """A "mini Inception" for 165x165 pixels: *our design* to the published budget of NNS1, whose layers never were."""
    return FaceNetwork(tables.NNS1, embedding_dim)


def nns2(embedding_dim: int = 128) -> FaceNetwork:
    """A "tiny Inception" for 140x116 pixels: *our design* to the published budget of NNS2, whose layers never were."""
    return FaceNetwork(tables.NNS2, embedding_dim)


NETWORKS: Mapping[str, Callable[[int], FaceNetwork]] = {
    "nn1": nn1,
    "nn2": nn2,
    "nn3": nn3,
    "nn4": nn4,
    "nns1": nns1,
    "nns2": nns2,
}
"""Every network by name; each is called with the numbers in an embedding."""


class FaceEmbedder(nn.Module):
    """Any backbone as a face network: its vectors, then a linear map to the embedding and the L2 norm.

    Args:
        backbone: images [b 3 H W] to vectors [b dim_in]; a ``ViT`` without a classifier is one.
        dim_in: numbers in a vector of the backbone.
        embedding_dim: numbers in an embedding.

    Raises:
        ConfigError: an embedding of less than one number.
    """

    def __init__(self, backbone: nn.Module, dim_in: int, embedding_dim: int = 128) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = EmbeddingMap(dim_in, embedding_dim)
        self.embedding_dim = embedding_dim

    def forward(self, images: Float[Tensor, "b channels H W"]) -> Float[Tensor, "b d"]:
        """Images, as the backbone wants them, to unit vectors.

        Raises:
            ModelError: the backbone gives something else than vectors of ``dim_in`` numbers.
        """
        features = self.backbone(images)
        expected = (len(images), self.embedding.linear.in_features)
        if not isinstance(features, Tensor) or features.shape != expected:
            found = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise ModelError(
                f"the backbone {type(self.backbone).__name__} gives {found} for {len(images)} images, but the map to "
                f"the embedding reads {list(expected)}: give its width as dim_in, and a backbone without classifier"
            )
        embeddings: Tensor = self.embedding(features)
        return embeddings
