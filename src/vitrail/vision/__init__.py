"""Vision: the Vision Transformer, the Masked Autoencoder, and what their features are worth."""

from vitrail.vision.cost import MultiplyAdds, multiply_adds
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
    "MultiplyAdds",
    "ViT",
    "ViTConfig",
    "mae_config",
    "multiply_adds",
    "patchify",
    "random_masking",
    "unpatchify",
    "vit_config",
]
