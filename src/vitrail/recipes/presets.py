"""From a preset's name, the images and the changes asked for to a model's configuration.

To the shapes of the literature (``vitrail.vision.presets``) come two of our own: ``fast``, which learns most in few
epochs on a CPU (the reasons and figures: docs/results.md), and ``digits``, small enough for 8x8 images and a demo.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from vitrail.errors import ConfigError
from vitrail.recipes.options import ShapeOptions
from vitrail.vision import MAE_PRESETS, PRESETS, MAEConfig, ViTConfig
from vitrail.vision.presets import MAEPreset, Size, ViTPreset, named_preset

LARGE = 128
"""Images of this many pixels and more are cut into the literature's patches of 16."""


def fast(image_size: Size = 32, patch_size: Size = 4, channels: int = 3, classes: int = 0) -> ViTConfig:
    """256 wide, 4 pre-norm blocks with ReLU, convolutional stem, fixed positions, mean pooling without CLS."""
    return ViTConfig(
        image_size,
        patch_size,
        channels,
        classes,
        dim=256,
        depth=4,
        heads=4,
        mlp_dim=1024,
        pool="mean",
        class_token=False,
        stem="conv",
        positions="sincos",
        activation="relu",
    )


def digits(image_size: Size = 8, patch_size: Size = 2, channels: int = 1, classes: int = 0) -> ViTConfig:
    """64 wide, 3 pre-norm blocks, fixed positions, mean pooling without CLS."""
    config = fast(image_size, patch_size, channels, classes)
    return replace(config, dim=64, depth=3, mlp_dim=256, stem="patch", activation="gelu")


def fast_mae(image_size: Size = 32, patch_size: Size = 4, channels: int = 3) -> MAEConfig:
    """``fast`` on plain patches, with a decoder 128 wide, 1 block that reads by cross-attention.

    An untrained convolutional stem is a good feature already: pretraining adds twice as much to plain patches, and is
    quicker (results/LOG.md).
    """
    encoder = replace(fast(image_size, patch_size, channels), stem="patch")
    return MAEConfig(encoder, decoder_dim=128, decoder_depth=1, decoder_heads=4, decoder_mlp_dim=512, decoder="cross")


def digits_mae(image_size: Size = 8, patch_size: Size = 2, channels: int = 1) -> MAEConfig:
    """``digits`` with a decoder 64 wide, 1 block; plain pixels as targets, for patches of 2x2 have little contrast."""
    encoder = digits(image_size, patch_size, channels)
    return MAEConfig(encoder, decoder_dim=64, decoder_depth=1, decoder_heads=4, decoder_mlp_dim=256, norm_pix=False)


VIT: Mapping[str, ViTPreset] = {"digits": digits, "fast": fast, **PRESETS}
MAE: Mapping[str, MAEPreset] = {"digits": digits_mae, "fast": fast_mae, **MAE_PRESETS}

Preset = TypeVar("Preset")


def choose(presets: Mapping[str, Preset], name: str | None, size: tuple[int, int]) -> tuple[str, Preset]:
    """The preset called ``name``; None is ``digits`` for images under 16 pixels, ``fast`` under 128, else ``small``.

    Raises:
        ConfigError: no such preset; the nearest is named.
    """
    if name is None:
        name = "digits" if min(size) < 16 else "fast" if min(size) < LARGE else "small"
    return name, named_preset(presets, name)


def patch_for(size: tuple[int, int]) -> int:
    """The side of a patch for images of (height, width): 16 for large ones, else what comes nearest to 8x8 patches.

    Raises:
        ConfigError: no patch of at least 2 pixels cuts such images into whole patches.
    """
    if min(size) >= LARGE:
        return 16
    fits = [patch for patch in range(2, min(size) // 2 + 1) if not (size[0] % patch or size[1] % patch)]
    if not fits:
        raise ConfigError(
            f"images of {size[0]}x{size[1]} pixels can't be cut into equal patches: resize them with --image-size, "
            "or choose --patch-size 1."
        )
    return min(fits, key=lambda patch: abs(min(size) / patch - 8))


def vit_config(
    preset: str | None, size: tuple[int, int], channels: int, classes: int, options: ShapeOptions, dropout: float = 0.0
) -> ViTConfig:
    """A Vision Transformer for images of ``size`` (height, width), with the changes that ``options`` ask for."""
    _, build = choose(VIT, preset, size)
    config = build(size, options.patch_size or patch_for(size), channels, classes)
    return replace(config, **options.shape(), drop_path=options.drop_path, dropout=dropout)


def mae_config(preset: str | None, size: tuple[int, int], channels: int, options: ShapeOptions) -> MAEConfig:
    """A masked autoencoder for images of ``size`` (height, width), with the encoder that ``options`` ask for."""
    _, build = choose(MAE, preset, size)
    config = build(size, options.patch_size or patch_for(size), channels)
    return replace(config, encoder=replace(config.encoder, **options.shape(), drop_path=options.drop_path))
