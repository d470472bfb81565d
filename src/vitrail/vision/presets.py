"""Shapes with a name: Vision Transformers and masked autoencoders of the literature, and the course's.

Each preset is a function of the images it shall read; ``PRESETS`` and ``MAE_PRESETS`` list them. Their exact parameter
and multiply-add counts are a table in ``tests/vision/test_presets.py``.

ViT-B and ViT-L are Dosovitskiy et al. 2020, table 1; ViT-Ti and ViT-S are DeiT's (Touvron et al. 2020, table 1).
MAE's decoder is He et al. 2021, table 1. That paper trains nothing smaller than ViT-B, so the decoders of ``tiny`` and
``small`` are our choice: half as wide as the encoder, and shallow.
"""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Protocol, TypeVar

from vitrail.errors import ConfigError
from vitrail.vision.mae import MAEConfig
from vitrail.vision.vit import ViTConfig

Size = int | tuple[int, int]
"""Height and width in pixels; one number means both."""


class ViTPreset(Protocol):
    """What a ViT preset is: a function of the images and the classes."""

    def __call__(
        self, image_size: Size = ..., patch_size: Size = ..., channels: int = ..., classes: int = ...
    ) -> ViTConfig:
        """The configuration for such images."""


class MAEPreset(Protocol):
    """What an MAE preset is: a function of the images."""

    def __call__(self, image_size: Size = ..., patch_size: Size = ..., channels: int = ...) -> MAEConfig:
        """The configuration for such images."""


def course(image_size: Size = 32, patch_size: Size = 4, channels: int = 3, classes: int = 0) -> ViTConfig:
    """The course's ViT: 256 wide, 4 post-norm blocks (PyTorch's default layer), CLS; its head begins with a norm."""
    config = ViTConfig(image_size, patch_size, channels, classes, dim=256, depth=4, heads=4, mlp_dim=1024)
    return replace(config, norm_first=False, norm_eps=1e-5)


def tiny(image_size: Size = 224, patch_size: Size = 16, channels: int = 3, classes: int = 0) -> ViTConfig:
    """ViT-Ti: 192 wide, 12 blocks."""
    return ViTConfig(image_size, patch_size, channels, classes, dim=192, depth=12, heads=3, mlp_dim=768)


def small(image_size: Size = 224, patch_size: Size = 16, channels: int = 3, classes: int = 0) -> ViTConfig:
    """ViT-S: 384 wide, 12 blocks."""
    return ViTConfig(image_size, patch_size, channels, classes, dim=384, depth=12, heads=6, mlp_dim=1536)


def base(image_size: Size = 224, patch_size: Size = 16, channels: int = 3, classes: int = 0) -> ViTConfig:
    """ViT-B: 768 wide, 12 blocks."""
    return ViTConfig(image_size, patch_size, channels, classes, dim=768, depth=12, heads=12, mlp_dim=3072)


def large(image_size: Size = 224, patch_size: Size = 16, channels: int = 3, classes: int = 0) -> ViTConfig:
    """ViT-L: 1024 wide, 24 blocks."""
    return ViTConfig(image_size, patch_size, channels, classes, dim=1024, depth=24, heads=16, mlp_dim=4096)


def course_mae(image_size: Size = 32, patch_size: Size = 4, channels: int = 3) -> MAEConfig:
    """The course's MAE: its ViT without the head's norm, a decoder 128 wide with 2 blocks, plain pixels as targets.

    The decoder's positions are sine-cosine here and learned there, and its encoder's CLS has no position:
    3,887,408 parameters here, 3,895,344 there.
    """
    encoder = replace(course(image_size, patch_size, channels), final_norm=False)
    return MAEConfig(encoder, decoder_dim=128, decoder_depth=2, decoder_heads=4, decoder_mlp_dim=1024, norm_pix=False)


def tiny_mae(image_size: Size = 224, patch_size: Size = 16, channels: int = 3) -> MAEConfig:
    """ViT-Ti with a decoder 96 wide, 2 blocks."""
    return _mae(tiny(image_size, patch_size, channels), dim=96, depth=2, heads=3)


def small_mae(image_size: Size = 224, patch_size: Size = 16, channels: int = 3) -> MAEConfig:
    """ViT-S with a decoder 192 wide, 4 blocks."""
    return _mae(small(image_size, patch_size, channels), dim=192, depth=4, heads=6)


def base_mae(image_size: Size = 224, patch_size: Size = 16, channels: int = 3) -> MAEConfig:
    """``mae_vit_base_patch16``: ViT-B with a decoder 512 wide, 8 blocks."""
    return _mae(base(image_size, patch_size, channels), dim=512, depth=8, heads=16)


def large_mae(image_size: Size = 224, patch_size: Size = 16, channels: int = 3) -> MAEConfig:
    """``mae_vit_large_patch16``: ViT-L with a decoder 512 wide, 8 blocks."""
    return _mae(large(image_size, patch_size, channels), dim=512, depth=8, heads=16)


def _mae(encoder: ViTConfig, dim: int, depth: int, heads: int) -> MAEConfig:
    return MAEConfig(
        replace(encoder, positions="sincos"),
        decoder_dim=dim,
        decoder_depth=depth,
        decoder_heads=heads,
        decoder_mlp_dim=4 * dim,
    )


PRESETS: Mapping[str, ViTPreset] = {"course": course, "tiny": tiny, "small": small, "base": base, "large": large}
"""Vision Transformers by name."""

MAE_PRESETS: Mapping[str, MAEPreset] = {
    "course": course_mae,
    "tiny": tiny_mae,
    "small": small_mae,
    "base": base_mae,
    "large": large_mae,
}
"""Masked autoencoders by name."""

P = TypeVar("P")


def vit_config(name: str, image_size: Size, patch_size: Size, channels: int = 3, classes: int = 0) -> ViTConfig:
    """The Vision Transformer called ``name``, for such images; ConfigError for a name that isn't one."""
    return named_preset(PRESETS, name)(image_size, patch_size, channels, classes)


def mae_config(name: str, image_size: Size, patch_size: Size, channels: int = 3) -> MAEConfig:
    """The masked autoencoder called ``name``, for such images; ConfigError for a name that isn't one."""
    return named_preset(MAE_PRESETS, name)(image_size, patch_size, channels)


def named_preset(presets: Mapping[str, P], name: str) -> P:
    """The one of ``presets`` called ``name``; ConfigError names the nearest where there is none."""
    if name not in presets:
        near = get_close_matches(name, presets, n=1)
        remedy = f"did you mean {near[0]}?" if near else "choose one of them."
        raise ConfigError(f"there is no preset called {name!r}, only {', '.join(presets)}: {remedy}")
    return presets[name]
