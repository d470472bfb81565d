"""The field's own models to compare with: timm without torchvision, and facebookresearch/mae's on timm's blocks."""

import enum
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class _Nothing(type):
    """A class for any name that is imported and never used; it can be a base, a default or a decorator's argument."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _StandIn(types.ModuleType):
    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


@contextmanager
def _torchvision_in_name_only() -> Iterator[None]:
    """Timm imports torchvision for augmentation only, and torchvision has no build for this torch on a CPU."""
    names = ["torchvision"]
    names += [f"torchvision.{part}" for part in ("datasets", "models", "ops", "transforms", "utils")]
    names += [f"torchvision.{part}" for part in ("models.feature_extraction", "ops.misc", "transforms.functional")]
    for name in names:
        sys.modules[name] = module = _StandIn(name)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    modes = {mode: mode.lower() for mode in ("NEAREST", "BILINEAR", "BICUBIC", "BOX", "HAMMING", "LANCZOS")}
    sys.modules["torchvision.transforms.functional"].InterpolationMode = enum.Enum("InterpolationMode", modes)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        # Whoever asks afterwards (transformers does) must not find it.
        for name in names:
            del sys.modules[name]


def timm_vision_transformer() -> types.ModuleType:
    """``timm.models.vision_transformer``, whether or not torchvision is there."""
    name = "timm.models.vision_transformer"
    if name in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return importlib.import_module(name)
    with _torchvision_in_name_only():
        return importlib.import_module(name)


class FacebookMAE(nn.Module):
    """``MaskedAutoencoderViT`` of facebookresearch/mae: its names, its order of operations, noise as an argument.

    Written anew from the paper and the published names of its weights, on timm's own blocks, as there.
    """

    def __init__(
        self, image: int, patch: int, channels: int, dim: int, depth: int, heads: int,
        decoder_dim: int, decoder_depth: int, decoder_heads: int, mlp_ratio: float, norm_pix: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        timm = timm_vision_transformer()

        norm = partial(nn.LayerNorm, eps=1e-6)

        def blocks(count: int, width: int, heads: int) -> nn.ModuleList:
            return nn.ModuleList(
                timm.Block(width, heads, mlp_ratio, qkv_bias=True, norm_layer=norm) for _ in range(count)
            )

        self.patch_embed = timm.PatchEmbed(image, patch, channels, dim)
        places = self.patch_embed.num_patches + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, places, dim), requires_grad=False)
        self.blocks = blocks(depth, dim, heads)
        self.norm = norm(dim)
        self.decoder_embed = nn.Linear(dim, decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, places, decoder_dim), requires_grad=False)
        self.decoder_blocks = blocks(decoder_depth, decoder_dim, decoder_heads)
        self.decoder_norm = norm(decoder_dim)
        self.decoder_pred = nn.Linear(decoder_dim, patch**2 * channels)
        self.patch, self.norm_pix = patch, norm_pix

    def forward(self, images: Tensor, noise: Tensor, mask_ratio: float) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, prediction and mask (1 = hidden)."""
        x = self.patch_embed(images) + self.pos_embed[:, 1:]
        batch, places, _ = x.shape
        keep = int(places * (1 - mask_ratio))
        ids_restore = noise.argsort(dim=1).argsort(dim=1)
        mask = (ids_restore >= keep).float()
        x = torch.stack([x[i, noise[i].argsort()[:keep]] for i in range(batch)])
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        x = torch.cat([cls, x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))
        shuffled = torch.cat([x[:, 1:], self.mask_token.expand(batch, places - keep, -1)], dim=1)
        restored = torch.stack([shuffled[i, ids_restore[i]] for i in range(batch)])
        x = torch.cat([x[:, :1], restored], dim=1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        prediction = self.decoder_pred(self.decoder_norm(x))[:, 1:]
        rows = images.shape[2] // self.patch
        cut = images.reshape(batch, -1, rows, self.patch, rows, self.patch)
        target = torch.einsum("nchpwq->nhwpqc", cut).reshape(batch, places, -1)
        if self.norm_pix:
            target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
        loss = ((prediction - target).square().mean(-1) * mask).sum() / mask.sum()
        return loss, prediction, mask
