"""Vision: the Vision Transformer, the Masked Autoencoder, and what their features are worth."""

from vitrail.vision.mae import MAEConfig, MAEOutput, MaskedAutoencoder
from vitrail.vision.masking import random_masking
from vitrail.vision.patches import patchify, unpatchify
from vitrail.vision.presets import MAE_PRESETS, PRESETS, mae_config, vit_config
from vitrail.vision.vit import ViT, ViTConfig

__all__ = [
    "MAE_PRESETS",
    "PRESETS",
    "MAEConfig",
    "MAEOutput",
    "MaskedAutoencoder",
    "ViT",
    "ViTConfig",
    "mae_config",
    "patchify",
    "random_masking",
    "unpatchify",
    "vit_config",
]
