"""Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929).

An image is cut into patches, each patch becomes a vector, a Transformer encoder reads the sequence, and one vector
(the CLS token's, or the mean of the patches') is classified.

Where we differ from the paper, by configuration only: mean pooling, a convolutional stem (Hassani et al. 2021,
arXiv:2104.05704), fixed 2-D sine-cosine positions, and post-norm blocks.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.blocks import Activation, BlockConfig, EncoderBlock, Norm, make_norm
from vitrail.nn.positions import interpolate_positions, sincos_2d
from vitrail.vision.masking import take
from vitrail.vision.patches import grid_of, pair, patchify


@dataclass(frozen=True)
class ViTConfig:
    """The shape of a Vision Transformer."""

    image_size: int | tuple[int, int] = 224
    """Height and width of the images, in pixels (one number: square)."""
    patch_size: int | tuple[int, int] = 16
    """Height and width of a patch, in pixels."""
    channels: int = 3
    """Channels of the images."""
    classes: int = 0
    """Classes to tell apart; 0 leaves the classifier out."""
    dim: int = 768
    """Width of the residual stream."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads of each block."""
    mlp_dim: int = 3072
    """Width of the feed-forward networks between their two maps."""
    pool: Literal["cls", "mean"] = "cls"
    """What is classified: the CLS token's vector, or the mean of the patches'."""
    class_token: bool = True
    """Whether a CLS token is read along with the patches."""
    stem: Literal["patch", "conv"] = "patch"
    """How a patch becomes a vector: one linear map, or two overlapping convolutions."""
    positions: Literal["learned", "sincos"] = "learned"
    """Positions: a learned table, or fixed 2-D sine-cosine."""
    norm_first: bool = True
    """Pre-norm blocks (True) or post-norm (False)."""
    final_norm: bool = True
    """A norm between the last block and the pooling."""
    norm: Norm = "layer"
    """LayerNorm or RMSNorm."""
    norm_eps: float = 1e-6
    """What the norms add to the variance."""
    activation: Activation = "gelu"
    """Activation of the feed-forward networks."""
    dropout: float = 0.0
    """Dropout inside the blocks, while training."""
    drop_path: float = 0.0
    """Stochastic depth of the last block, rising linearly from 0 at the first."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return grid_of(self.image_size, self.patch_size)

    @property
    def patches(self) -> int:
        """Patches of an image."""
        rows, columns = self.grid
        return rows * columns

    def __post_init__(self) -> None:
        grid_of(self.image_size, self.patch_size)
        for name in ("channels", "dim", "depth", "heads", "mlp_dim"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but a model needs at least 1; choose a larger one")
        if self.classes < 0:
            raise ConfigError(f"classes is {self.classes}; give the number of classes, or 0 for no classifier")
        p, q = pair(self.patch_size)
        if self.stem == "conv" and (p != q or p % 2):
            raise ConfigError(
                f"a convolutional stem needs square patches of an even size, not {p}x{q}; "
                "choose such a patch size, or the plain stem"
            )
        if self.dim % self.heads:
            raise ConfigError(
                f"a width of {self.dim} can't be split into {self.heads} heads; "
                "choose a number of heads that divides it"
            )
        if self.pool == "cls" and not self.class_token:
            raise ConfigError("pooling by CLS needs a CLS token, but class_token is off; use pool=mean or switch it on")
        if self.positions == "sincos" and self.dim % 4:
            raise ConfigError(
                f"sine-cosine positions need a width divisible by 4, not {self.dim}; choose one, or learned positions"
            )


class PatchStem(nn.Module):
    """One linear map from a patch's numbers ``(p q c)`` to its vector (ViT, equation 1)."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.patch_size = pair(config.patch_size)
        p, q = self.patch_size
        self.project = nn.Linear(p * q * config.channels, config.dim)

    def forward(
        self, images: Float[Tensor, "b c H W"], places: Int64[Tensor, "b M"] | None = None
    ) -> Float[Tensor, "b M d"]:
        """Images to patch vectors without positions: all of them, or those at ``places`` only."""
        patches = patchify(images, self.patch_size)
        vectors: Tensor = self.project(patches if places is None else take(patches, places))
        return vectors


class ConvStem(nn.Module):
    """Two overlapping 3x3 convolutions, each with ReLU and max pooling, which together shrink a patch to one vector.

    CCT's tokenizer (Hassani et al. 2021, arXiv:2104.05704, section 3.3). Its first convolution is 3/16 as wide as the
    blocks: so from four blocks on they keep at least 85% of the multiply-adds.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.shrink = pair(config.patch_size)[0] // 2  # ViTConfig has seen to it that patches are square and even
        width = stem_width(config.dim)
        self.first = nn.Conv2d(config.channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, config.dim, 3, padding=1)

    def forward(
        self, images: Float[Tensor, "b c H W"], places: Int64[Tensor, "b M"] | None = None
    ) -> Float[Tensor, "b M d"]:
        """Images to patch vectors without positions: all of them, or those at ``places`` only."""
        hidden = F.relu(self.first(images.contiguous(memory_format=torch.channels_last)))
        hidden = F.relu(self.second(F.max_pool2d(hidden, self.shrink)))
        vectors: Tensor = rearrange(F.max_pool2d(hidden, 2), "b d rows columns -> b (rows columns) d")
        return vectors if places is None else take(vectors, places)


def stem_width(dim: int) -> int:
    """Channels between the two convolutions of a convolutional stem for blocks ``dim`` wide."""
    return max(8, 3 * dim // 16)


class ViT(nn.Module):
    """Vision Transformer; with ``classes = 0`` an encoder without a classifier.

    ``positions`` [N d] and ``class_position`` [d] are parameters (learned) or buffers (sine-cosine).
    """

    class_token: Tensor
    class_position: Tensor
    positions: Tensor

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = config.grid
        self.stem: nn.Module = PatchStem(config) if config.stem == "patch" else ConvStem(config)
        if config.class_token:
            self.class_token = nn.Parameter(torch.zeros(config.dim))
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.zeros(rows * columns, config.dim))
            if config.class_token:
                self.class_position = nn.Parameter(torch.zeros(config.dim))
        else:
            # Kept in the state dict, so that another library's table is carried along to the bit.
            self.register_buffer("positions", sincos_2d((rows, columns), config.dim))
            if config.class_token:
                self.register_buffer("class_position", torch.zeros(config.dim))
        shape = BlockConfig(
            config.dim,
            config.heads,
            config.mlp_dim,
            norm_first=config.norm_first,
            norm=config.norm,
            activation=config.activation,
            eps=config.norm_eps,
            dropout=config.dropout,
            attention_dropout=config.dropout,
            hidden_dropout=config.dropout,
        )
        self.blocks = nn.ModuleList(
            EncoderBlock(replace(shape, drop_path=config.drop_path * index / max(1, config.depth - 1)))
            for index in range(config.depth)
        )
        self.norm = make_norm(config.norm, config.dim, config.norm_eps) if config.final_norm else nn.Identity()
        self.head = nn.Linear(config.dim, config.classes) if config.classes else None
        initialise(self)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)

    def patch_embeddings(
        self, images: Float[Tensor, "b c H W"], places: Int64[Tensor, "b M"] | None = None
    ) -> Float[Tensor, "b M d"]:
        """Each patch's vector with its position added, before any block (ViT, equation 1).

        Args:
            places: only the patches at these places, in this order; all of them unless given.
        """
        found, expected = tuple(images.shape[-3:]), (self.config.channels, *pair(self.config.image_size))
        if found != expected:
            raise ConfigError(
                f"this model reads images of {expected[0]} channels and {expected[1]}x{expected[2]} pixels, not "
                f"{found[0]} channels and {found[1]}x{found[2]}; resize them, or carry the model over with resized()"
            )
        vectors: Tensor = self.stem(images, places)
        return vectors + (self.positions if places is None else F.embedding(places, self.positions))

    def run_blocks(self, patches: Float[Tensor, "b M d"]) -> Float[Tensor, "b n d"]:
        """CLS (if any) and any subset of patches through the blocks and the final norm; CLS comes first."""
        tokens = patches
        if self.config.class_token:
            first = (self.class_token + self.class_position).to(patches.dtype).expand(len(patches), 1, -1)
            tokens = torch.cat([first, patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed

    def encode(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b n d"]:
        """Every token's final vector; CLS, if there is one, comes first."""
        return self.run_blocks(self.patch_embeddings(images))

    def pool(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """One vector an image: the CLS token's, or the mean of the patches'."""
        if self.config.pool == "cls":
            return tokens[:, 0]
        return (tokens[:, 1:] if self.config.class_token else tokens).mean(dim=1)

    def embed(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d"]:
        """One vector an image."""
        return self.pool(self.encode(images))

    def forward(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b v"]:
        """Class logits, or the pooled vector where the model has no classifier."""
        pooled = self.embed(images)
        return pooled if self.head is None else self.head(pooled)

    def resized(self, image_size: int | tuple[int, int]) -> "ViT":
        """The same weights for images of another size; positions are interpolated (sine-cosine: recomputed)."""
        other = ViT(replace(self.config, image_size=image_size))
        weights = dict(self.state_dict())
        weights["positions"] = (
            interpolate_positions(self.positions, self.config.grid, other.config.grid)
            if self.config.positions == "learned"
            else other.positions
        )
        other.load_state_dict(weights)
        return other

    @property
    def depth_count(self) -> int:
        """How many depths ``parameter_depth`` tells apart: the embedding, each block, and what follows them."""
        return self.config.depth + 2

    def parameter_depth(self, name: str) -> int:
        """0 for stem, CLS and positions, i + 1 for block i, depth + 1 for the final norm and the classifier."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return self.config.depth + 1 if name.startswith(("norm.", "head.")) else 0

    def no_weight_decay(self) -> set[str]:
        """Parameters that are tables of vectors rather than maps."""
        return {"class_token", "class_position", "positions"}


def initialise(model: nn.Module) -> None:
    """Xavier-uniform linear maps (q, k, v each on its own), zero biases, small normal tokens (MAE, appendix A.1)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            parts = 3 if name.endswith(".qkv") else 2 if name.endswith(".kv") else 1
            for part in module.weight.chunk(parts):
                nn.init.xavier_uniform_(part)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[2] in ("class_token", "class_position", "mask_token", "positions"):
            nn.init.normal_(parameter, std=0.02)
