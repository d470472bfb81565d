"""What facebookresearch/mae, timm and Hugging Face call the weights of a ViT, and what they can't express."""

from dataclasses import dataclass

import torch
from einops import rearrange

from vitrail.nn.blocks import Activation
from vitrail.nn.renaming import Rule, Tensors, refuse_faults, same, stacked
from vitrail.vision.mae import MAEConfig
from vitrail.vision.patches import pair
from vitrail.vision.vit import ViTConfig

PLAIN: tuple[Activation, ...] = ("gelu", "gelu_tanh", "relu")
"""Activations that the libraries know: one map in, one out, no gate."""


def token(ours: str, theirs: str) -> Rule:
    """A learned token: [d] here, [1 1 d] there."""
    return Rule((ours,), (theirs,), lambda x: [x[0][None, None]], lambda x: [x[0][0, 0]])


def positions(ours: str, class_position: str | None, theirs: str) -> Rule:
    """A table of positions: [N d] with CLS's row apart here, [1 1+N d] there."""
    if class_position is None:
        return Rule((ours,), (theirs,), lambda x: [x[0][None]], lambda x: [x[0][0]])
    return Rule(
        (class_position, ours),
        (theirs,),
        lambda x: [torch.cat([x[0][None], x[1]])[None]],
        lambda x: [x[0][0, 0], x[0][0, 1:]],
    )


def patch_projection(ours: str, theirs: str, patch_size: int | tuple[int, int], channels: int) -> list[Rule]:
    """A linear map of (p q c) numbers here, a convolution [d c p q] there."""
    p, q = pair(patch_size)

    def there(x: Tensors) -> Tensors:
        return [rearrange(x[0], "d (p q c) -> d c p q", p=p, q=q, c=channels)]

    def back(x: Tensors) -> Tensors:
        return [rearrange(x[0], "d c p q -> d (p q c)")]

    weight = Rule((f"{ours}.weight",), (f"{theirs}.weight",), there, back)
    return [weight, Rule((f"{ours}.bias",), (f"{theirs}.bias",))]


@dataclass(frozen=True)
class Names:
    """What a library calls the parts of an encoder; the block's parts follow ``blocks`` and its number."""

    class_token: str
    positions: str
    projection: str
    blocks: str
    norm1: str
    qkv: str | tuple[str, str, str]
    out: str
    norm2: str
    up: str
    down: str
    norm: str


TIMM = Names(
    class_token="cls_token",
    positions="pos_embed",
    projection="patch_embed.proj",
    blocks="blocks",
    norm1="norm1",
    qkv="attn.qkv",
    out="attn.proj",
    norm2="norm2",
    up="mlp.fc1",
    down="mlp.fc2",
    norm="norm",
)
"""timm's names, which facebookresearch/mae builds on."""

# Published checkpoints carry the names of transformers 4, which transformers 5 still reads and (for a ViT) writes.
HUGGING_FACE = Names(
    class_token="embeddings.cls_token",
    positions="embeddings.position_embeddings",
    projection="embeddings.patch_embeddings.projection",
    blocks="encoder.layer",
    norm1="layernorm_before",
    qkv=("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    out="attention.output.dense",
    norm2="layernorm_after",
    up="intermediate.dense",
    down="output.dense",
    norm="layernorm",
)
"""The names in Hugging Face's published checkpoints."""


def encoder_rules(config: ViTConfig, names: Names, *, ours: str = "", theirs: str = "") -> list[Rule]:
    """All weights of an encoder (without classifier); ``ours`` and ``theirs`` are prefixes."""
    rules = patch_projection(f"{ours}stem.project", f"{theirs}{names.projection}", config.patch_size, config.channels)
    class_position = f"{ours}class_position" if config.class_token else None
    rules.append(positions(f"{ours}positions", class_position, f"{theirs}{names.positions}"))
    if config.class_token:
        rules.append(token(f"{ours}class_token", f"{theirs}{names.class_token}"))
    for index in range(config.depth):
        rules += block_rules(names, f"{ours}blocks.{index}", f"{theirs}{names.blocks}.{index}")
    return rules + same(f"{ours}norm", f"{theirs}{names.norm}")


def decoder_rules(config: MAEConfig, names: Names, theirs: str, blocks: str) -> list[Rule]:
    """All weights of MAE's decoder, whose own names are the same everywhere but for the prefix ``theirs``."""
    rules = [
        *same("decoder_embed", f"{theirs}decoder_embed"),
        token("mask_token", f"{theirs}mask_token"),
        positions("decoder_positions", "decoder_class_position", f"{theirs}decoder_pos_embed"),
        *same("decoder_norm", f"{theirs}decoder_norm"),
        *same("predict", f"{theirs}decoder_pred"),
    ]
    for index in range(config.decoder_depth):
        rules += block_rules(names, f"decoder_blocks.{index}", f"{theirs}{blocks}.{index}")
    return rules


def block_rules(names: Names, ours: str, theirs: str) -> list[Rule]:
    """All weights of one pre-norm encoder block."""
    if isinstance(names.qkv, str):
        qkv = same(f"{ours}.attention.qkv", f"{theirs}.{names.qkv}")
    else:
        q, k, v = names.qkv
        qkv = stacked(f"{ours}.attention.qkv", (f"{theirs}.{q}", f"{theirs}.{k}", f"{theirs}.{v}"))
    return [
        *same(f"{ours}.norm1", f"{theirs}.{names.norm1}"),
        *qkv,
        *same(f"{ours}.attention.out", f"{theirs}.{names.out}"),
        *same(f"{ours}.norm2", f"{theirs}.{names.norm2}"),
        *same(f"{ours}.feed_forward.up", f"{theirs}.{names.up}"),
        *same(f"{ours}.feed_forward.down", f"{theirs}.{names.down}"),
    ]


def refuse(config: ViTConfig, target: str) -> None:
    """ModelError where the one architecture that these libraries share can't express the model."""
    faults = {
        "post-norm blocks": not config.norm_first,
        "a model without a final norm": not config.final_norm,
        "RMSNorm": config.norm != "layer",
        "a convolutional stem": config.stem != "patch",
        f"the activation {config.activation}": config.activation not in PLAIN,
    }
    refuse_faults(target, faults)


def refuse_mae(config: MAEConfig, target: str) -> None:
    """As ``refuse``, for the decoder too."""
    refuse(config.encoder, target)
    (height, width), (p, q) = pair(config.encoder.image_size), pair(config.encoder.patch_size)
    faults = {
        "a decoder by cross-attention": config.decoder != "self",
        "an encoder without a CLS token": not config.encoder.class_token,
        f"images of {height}x{width} pixels": height != width,
        f"patches of {p}x{q} pixels": p != q,
    }
    refuse_faults(target, faults)
