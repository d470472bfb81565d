"""From a face network's configuration to the module: one of FaceNet's networks, or a Vision Transformer.

Here the room ``faces``, which embeds with any module, meets the room ``vision``. Whatever the network, images become
unit vectors, and the squared distance of two of these says how alike they are.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from vitrail.errors import ConfigError
from vitrail.faces.networks import NETWORKS, FaceEmbedder
from vitrail.faces.tables import TABLES, Table
from vitrail.vision import ViT, ViTConfig

VIT = "vit"
"""The name of the network that isn't one of FaceNet's."""


@dataclass(frozen=True)
class FaceConfig:
    """The shape of a face network.

    Attributes:
        network: "nn1", …, "nns2" (``vitrail.faces.NETWORKS``), or "vit".
        embedding_dim: numbers in an embedding.
        image_size: height and width of the images, in pixels.
        channels: of the images; FaceNet's networks read 3.
        encoder: of a "vit": the Transformer below the linear map to the embedding.
    """

    network: str
    embedding_dim: int
    image_size: tuple[int, int]
    channels: Literal[1, 3] = 3
    encoder: ViTConfig | None = None

    def __post_init__(self) -> None:
        if self.network == VIT:
            return
        table = table_of(self.network)
        if self.channels != 3:
            raise ConfigError(f"{self.network} reads colour images: leave --channels out, or use --network {VIT}.")
        if table.fixed_size and self.image_size != table.image_size:
            own = table.image_size[0]
            raise ConfigError(
                f"{self.network} reads images of {own}x{own} pixels only, not of {self.image_size[0]}x"
                f"{self.image_size[1]}: leave --image-size out, or use another network."
            )


class FaceTransformer(FaceEmbedder):
    """A Vision Transformer as a face network; knows its layers, for layer-wise decay of the learning rate."""

    def __init__(self, config: ViTConfig, embedding_dim: int) -> None:
        super().__init__(ViT(config), config.dim, embedding_dim)

    @property
    def encoder(self) -> ViT:
        """The Transformer."""
        assert isinstance(self.backbone, ViT)
        return self.backbone

    @property
    def depth_count(self) -> int:
        """As the encoder's; the map to the embedding takes the classifier's place."""
        return self.encoder.depth_count

    def parameter_depth(self, name: str) -> int:
        """As the encoder's."""
        own = name.removeprefix("backbone.")
        return self.depth_count - 1 if own == name else self.encoder.parameter_depth(own)

    def no_weight_decay(self) -> set[str]:
        """As the encoder's."""
        return {f"backbone.{name}" for name in self.encoder.no_weight_decay()}


def build_network(config: FaceConfig) -> nn.Module:
    """The untrained network: images [b c H W] → unit vectors [b d]."""
    if config.encoder is not None:
        return FaceTransformer(config.encoder, config.embedding_dim)
    return NETWORKS[config.network](config.embedding_dim)


def table_of(network: str) -> Table:
    """The layers of one of FaceNet's networks, and the images that they were meant for.

    Raises:
        ConfigError: no such network.
    """
    for table in TABLES:
        if table.name.lower() == network:
            return table
    raise ConfigError(f"there is no network called {network!r}: choose {', '.join(NETWORKS)} or {VIT}.")
