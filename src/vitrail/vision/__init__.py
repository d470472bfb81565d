"""Vision: the Vision Transformer, the Masked Autoencoder, and what their features are worth."""

from vitrail.vision.mae import MAEConfig, MAEOutput, MaskedAutoencoder
from vitrail.vision.masking import random_masking
from vitrail.vision.patches import patchify, unpatchify
from vitrail.vision.vit import ViT, ViTConfig

__all__ = [
    "MAEConfig",
    "MAEOutput",
    "MaskedAutoencoder",
    "ViT",
    "ViTConfig",
    "patchify",
    "random_masking",
    "unpatchify",
]
