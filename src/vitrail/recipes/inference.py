"""A trained model over a whole set of images, in order: logits, features, tokens."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.data import ImageSet, in_order
from vitrail.recipes.runs import embed_images
from vitrail.train.precision import pick_device, pick_precision
from vitrail.vision import ViT

BATCH = 500
"""Images in one pass."""
IN_MEMORY = 2**30
"""Tokens that would take more bytes than this in float32 are kept in bfloat16."""


@contextlib.contextmanager
def inferring(
    model: nn.Module,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bf16"] = "auto",
) -> Iterator[torch.device]:
    """Evaluation mode without gradients, in the given precision; yields the device that the model was moved to."""
    kind = pick_device(device)
    chosen, _ = pick_precision(precision, kind)
    training = model.training
    model.to(kind).eval()
    try:
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=chosen == "bf16"):
            yield torch.device(kind)
    finally:
        model.train(training)


def logits_of(model: nn.Module, images: ImageSet, device: torch.device) -> Float[Tensor, "n v"]:
    """The class logits of every image, float32 on the CPU; inside ``inferring``."""
    return torch.cat([model(batch.images).float().cpu() for batch in in_order(images, BATCH, device=device)])


def embeddings_of(
    network: nn.Module, images: ImageSet, device: torch.device, *, flip: bool = False
) -> Float[Tensor, "n d"]:
    """A face network's unit vectors, float32 on the CPU; ``flip`` averages with mirror images. Inside ``inferring``."""
    batches = in_order(images, BATCH, device=device, labels=False)
    return torch.cat([embed_images(network, batch.images, flip).float().cpu() for batch in batches])


def features_of(encoder: ViT, images: ImageSet, device: torch.device, *, flipped: bool = False) -> Float[Tensor, "n d"]:
    """One vector an image, float32 on the CPU; ``flipped`` mirrors the images, left to right."""
    return torch.cat([encoder.pool(part).float().cpu() for part in _encoded(encoder, images, device, flipped)])


def tokens_of(encoder: ViT, images: ImageSet, device: torch.device, *, flipped: bool = False) -> Float[Tensor, "n N d"]:
    """Every patch's vector without CLS, on the CPU: float32, or bfloat16 where a set would not fit into memory."""
    config = encoder.config
    size = (len(images), config.patches, config.dim)
    small = 4 * size[0] * size[1] * size[2] <= IN_MEMORY
    tokens = torch.empty(size, dtype=torch.float32 if small else torch.bfloat16)
    start = 0
    for part in _encoded(encoder, images, device, flipped):
        tokens[start : start + len(part)] = part[:, int(config.class_token) :].cpu()
        start += len(part)
    return tokens


def _encoded(encoder: ViT, images: ImageSet, device: torch.device, flipped: bool) -> Iterator[Float[Tensor, "b n d"]]:
    for batch in in_order(images, BATCH, device=device, labels=False):
        yield encoder.encode(batch.images.flip(-1) if flipped else batch.images)
