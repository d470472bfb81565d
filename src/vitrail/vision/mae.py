"""Masked Autoencoder (He et al. 2021, arXiv:2111.06377).

Most patches of an image are hidden; an encoder reads the visible ones only, a small decoder fills the hidden places
with a learned mask token and predicts their pixels. The loss is the squared error on hidden patches. What is kept
afterwards is the encoder, a plain ``ViT``.

Beside the paper's decoder (self-attention over all places) there is CrossMAE's (Fu et al. 2024, arXiv:2401.14391):
mask tokens read from the visible tokens by cross-attention only, and nothing is computed for places that bear no loss.
A convolutional stem sees hidden patches as zeros, so that nothing leaks through its overlap (as in MCMAE).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.blocks import BlockConfig, DecoderBlock, EncoderBlock, make_norm
from vitrail.nn.positions import sincos_2d
from vitrail.vision.masking import Masking, mask_scores, split, take, visible_count
from vitrail.vision.patches import pair, patchify, unpatchify
from vitrail.vision.vit import ViT, ViTConfig, initialise

PIXEL_EPS = 1e-6
"""Added to a patch's variance by norm-pix (facebookresearch/mae)."""


@dataclass(frozen=True)
class MAEConfig:
    """The shape of a masked autoencoder."""

    encoder: ViTConfig = field(default_factory=lambda: ViTConfig(positions="sincos"))
    """The encoder; its classifier is left out."""
    decoder_dim: int = 512
    """Width of the decoder."""
    decoder_depth: int = 8
    """Blocks of the decoder."""
    decoder_heads: int = 16
    """Attention heads of the decoder."""
    decoder_mlp_dim: int = 2048
    """Width of the decoder's feed-forward networks between their two maps."""
    decoder: Literal["self", "cross"] = "self"
    """Self-attention over all places (MAE), or cross-attention from hidden places to visible ones (CrossMAE)."""
    mask_ratio: float = 0.75
    """Share of patches hidden."""
    masking: Masking = "random"
    """Which patches are hidden: each by chance, one block, or all but a lattice."""
    norm_pix: bool = True
    """Predict each patch normalised by its own mean and standard deviation."""

    def __post_init__(self) -> None:
        visible_count(self.patches, self.mask_ratio)
        for name in ("decoder_dim", "decoder_depth", "decoder_heads", "decoder_mlp_dim"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, but a decoder needs at least 1; choose a larger one"
                )
        if self.decoder_dim % 4:
            raise ConfigError(
                f"the decoder's sine-cosine positions need a width divisible by 4, not {self.decoder_dim}; choose one"
            )
        if self.decoder_dim % self.decoder_heads:
            raise ConfigError(
                f"a decoder width of {self.decoder_dim} can't be split into {self.decoder_heads} heads; "
                "choose a number of heads that divides it"
            )

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return self.encoder.patches


@dataclass(frozen=True)
class MAEOutput:
    """What one pass computed.

    ``loss_sum``: squared error per number, averaged within a patch and summed over hidden patches.
    ``count``: hidden patches, the number to divide ``loss_sum`` by.
    ``prediction``: in the space of the target (normalised patches under norm-pix); zeros at visible places where
    the decoder computes none (``decoder="cross"``, and while training).
    ``mask``: 1 = hidden, 0 = visible.
    """

    loss_sum: Float[Tensor, ""]
    count: int
    prediction: Float[Tensor, "b N pqc"]
    mask: Float[Tensor, "b N"]

    @property
    def loss(self) -> Float[Tensor, ""]:
        """Mean squared error over hidden patches (MAE, section 3)."""
        return self.loss_sum / self.count


class MaskedAutoencoder(nn.Module):
    """A ``ViT`` encoder with MAE's decoder."""

    decoder_positions: Tensor
    decoder_class_position: Tensor

    def __init__(self, config: MAEConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.decoder_dim
        vit = config.encoder
        self.encoder = ViT(vit)
        self.patch_size = pair(vit.patch_size)
        self.keep = visible_count(config.patches, config.mask_ratio)
        self.decoder_embed = nn.Linear(vit.dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.register_buffer("decoder_positions", sincos_2d(vit.grid, dim))
        if vit.class_token:
            self.register_buffer("decoder_class_position", torch.zeros(dim))

        shape = BlockConfig(
            dim,
            config.decoder_heads,
            config.decoder_mlp_dim,
            norm_first=vit.norm_first,
            norm=vit.norm,
            activation=vit.activation,
            eps=vit.norm_eps,
        )

        def block() -> nn.Module:
            return EncoderBlock(shape) if config.decoder == "self" else DecoderBlock(shape, self_attention=False)

        self.decoder_blocks = nn.ModuleList(block() for _ in range(config.decoder_depth))
        self.decoder_norm = make_norm(vit.norm, dim, vit.norm_eps) if vit.final_norm else nn.Identity()
        p, q = self.patch_size
        self.predict = nn.Linear(dim, p * q * vit.channels)
        initialise(self)

    def targets(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b N pqc"]:
        """What the decoder should say: the patches, under norm-pix each with mean 0 and variance 1."""
        return self._normalised(patchify(images, self.patch_size))

    def _normalised(self, patches: Float[Tensor, "b m pqc"]) -> Float[Tensor, "b m pqc"]:
        patches = patches.float()
        if not self.config.norm_pix:
            return patches
        mean, scale = _statistics(patches)
        return (patches - mean) / scale

    def forward(
        self, images: Float[Tensor, "b c H W"], noise: Float[Tensor, "b N"], mask_ratio: float | None = None
    ) -> MAEOutput:
        """Hide patches by ``noise``, predict them, compare.

        Args:
            noise: uniform in [0, 1), one number a patch; with random masking the lowest stay visible.
            mask_ratio: another share of hidden patches than the configured one.
        """
        keep = self.keep if mask_ratio is None else visible_count(self.config.patches, mask_ratio)
        scores = mask_scores(self.config.masking, noise, self.config.encoder.grid)
        visible, hidden, mask, _ = split(scores, keep)
        decoded = self.decode(self.encode_visible(images, visible, mask), visible, hidden)
        predicted = decoded[:, -hidden.shape[1] :]
        places = torch.cat([visible, hidden], dim=1)[:, -decoded.shape[1] :, None].expand_as(decoded)
        prediction = decoded.new_zeros(*mask.shape, decoded.shape[-1]).scatter(1, places, decoded)
        target = self._normalised(take(patchify(images, self.patch_size), hidden))
        loss_sum = F.mse_loss(predicted.float(), target, reduction="sum") / target.shape[-1]
        return MAEOutput(loss_sum, hidden.numel(), prediction, mask)

    def encode_visible(
        self, images: Float[Tensor, "b c H W"], visible: Tensor, mask: Float[Tensor, "b N"]
    ) -> Float[Tensor, "b n d"]:
        """The visible patches' final vectors (CLS first); ``visible`` [b keep] are their places."""
        if self.config.encoder.stem == "conv":
            images = images * (1 - self.pixel_mask(mask)).to(images.dtype)
        return self.encoder.run_blocks(self.encoder.patch_embeddings(images, visible))

    def decode(
        self, latent: Float[Tensor, "b n d"], visible: Int64[Tensor, "b keep"], hidden: Int64[Tensor, "b rest"]
    ) -> Float[Tensor, "b m pqc"]:
        """What the decoder says of the places ``visible``, then ``hidden``; of the latter only, where that is enough.

        That is: by cross-attention, and while training, for only hidden places bear the loss.

        The paper puts the tokens back in their places first. Attention doesn't heed the order of its tokens, only the
        positions that were added to them, so here they stay as they are.

        Args:
            latent: what ``encode_visible`` gave, CLS first where there is one.
        """
        memory = self.decoder_embed(latent)
        places = F.embedding(visible, self.decoder_positions)
        if self.config.encoder.class_token:
            places = torch.cat([self.decoder_class_position.expand(len(places), 1, -1), places], dim=1)
        memory = memory + places
        tokens = self.mask_token + F.embedding(hidden, self.decoder_positions)
        if self.config.decoder == "cross":
            for block in self.decoder_blocks:
                tokens = block(tokens, memory)
        else:
            asked = hidden.shape[1] + (0 if self.training else visible.shape[1])
            tokens = torch.cat([memory, tokens], dim=1)
            for block in self.decoder_blocks[:-1]:
                tokens = block(tokens)
            tokens = self.decoder_blocks[-1](tokens, last=asked)
        prediction: Tensor = self.predict(self.decoder_norm(tokens))
        return prediction

    def pixel_mask(self, mask: Float[Tensor, "b N"]) -> Float[Tensor, "b 1 H W"]:
        """A patch mask as an image; 1 = hidden."""
        p, q = self.patch_size
        return unpatchify(mask[..., None].expand(-1, -1, p * q), self.patch_size, self.config.encoder.grid)

    def reconstruct(self, images: Float[Tensor, "b c H W"], output: MAEOutput) -> Float[Tensor, "b c H W"]:
        """The prediction as images, in the space of ``images``.

        Under norm-pix the decoder predicts a patch's pattern but not its mean and contrast; those are taken from the
        true patches, so that part of each hidden patch is *given*, not predicted: whoever shows the picture says so
        (``config.norm_pix``).
        """
        prediction = output.prediction.float()
        if self.config.norm_pix:
            mean, scale = _statistics(patchify(images, self.patch_size).float())
            prediction = prediction * scale + mean
        return unpatchify(prediction, self.patch_size, self.config.encoder.grid)

    @property
    def depth_count(self) -> int:
        """As ``ViT.depth_count``; the decoder counts as what follows the encoder's blocks."""
        return self.encoder.depth_count

    def parameter_depth(self, name: str) -> int:
        """As ``ViT.parameter_depth``."""
        inside = name.removeprefix("encoder.")
        return self.encoder.parameter_depth(inside) if inside != name else self.depth_count - 1

    def no_weight_decay(self) -> set[str]:
        """Parameters that are tables of vectors rather than maps."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()} | {"mask_token"}


def _statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch: unbiased variance + 1e-6, as in facebookresearch/mae."""
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + PIXEL_EPS).sqrt()
