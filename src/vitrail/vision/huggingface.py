"""Hugging Face's words for our configurations: config.json, preprocessor_config.json and the names of weights.

Published checkpoints carry the names of transformers 4, which every version reads. transformers 5 calls its modules
otherwise, and translates as it reads and writes; 5.23 gets MAE's decoder wrong there, and writes a third set of names.
We write the published names and read all three.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vitrail.errors import ConfigError, ModelError
from vitrail.nn.blocks import Activation
from vitrail.nn.renaming import cannot
from vitrail.vision.mae import MAEConfig
from vitrail.vision.patches import pair
from vitrail.vision.renaming import refuse, refuse_mae
from vitrail.vision.vit import ViTConfig

NAMES_SINCE_5: tuple[tuple[str, str], ...] = (
    (r"(^|\.)decoder_encoder\.layer\.", r"\1decoder_layers."),  # what transformers 5.23 saves for MAE's decoder
    (r"^(vit\.)?layers\.", r"\1encoder.layer."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
"""The names of transformers 5's modules, and what published checkpoints call the same."""

ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
"""Hugging Face's names of activations; of two for the same, the last is the one written."""


def published_name(name: str) -> str:
    """What published checkpoints call this weight, whichever of the three names it came under."""
    for pattern, published in NAMES_SINCE_5:
        name = re.sub(pattern, published, name)
    return name


def vit_config(settings: Any, classes: int = 0) -> ViTConfig:
    """Our configuration from transformers' of an encoder; ModelError for what we don't have."""
    if settings.hidden_act not in ACTIVATIONS:
        raise ModelError(
            f"the model's activation {settings.hidden_act} is none of {', '.join(ACTIVATIONS)}; "
            "choose a model with one of these"
        )
    if not settings.qkv_bias:
        raise ModelError(
            "a model with qkv_bias=false (no biases in its attention) has no place here; choose one with biases"
        )
    return ViTConfig(
        image_size=_size(settings.image_size),
        patch_size=_size(settings.patch_size),
        channels=settings.num_channels,
        classes=classes,
        dim=settings.hidden_size,
        depth=settings.num_hidden_layers,
        heads=settings.num_attention_heads,
        mlp_dim=settings.intermediate_size,
        norm_eps=settings.layer_norm_eps,
        activation=ACTIVATIONS[settings.hidden_act],
        dropout=settings.hidden_dropout_prob,
    )


def _size(stated: int | Sequence[int]) -> int | tuple[int, int]:
    """config.json states a size as one number or as a list of two."""
    return stated if isinstance(stated, int) else (stated[0], stated[1])


def mae_config(settings: Any) -> MAEConfig:
    """Our configuration from transformers' of a masked autoencoder."""
    return MAEConfig(
        encoder=replace(vit_config(settings), positions="sincos"),
        decoder_dim=settings.decoder_hidden_size,
        decoder_depth=settings.decoder_num_hidden_layers,
        decoder_heads=settings.decoder_num_attention_heads,
        decoder_mlp_dim=settings.decoder_intermediate_size,
        mask_ratio=settings.mask_ratio,
        norm_pix=settings.norm_pix_loss,
    )


def vit_settings(config: ViTConfig, labels: Sequence[str] = ()) -> dict[str, object]:
    """config.json of a ViTModel or ViTForImageClassification."""
    target = "Hugging Face's ViT"
    refuse(config, target)
    if not config.class_token:
        raise cannot(target, "a model without a CLS token")
    if config.classes and config.pool == "mean":
        raise cannot(target, "a classifier on the mean of the patches")
    if labels and len(labels) != config.classes:
        raise ConfigError(f"{len(labels)} labels were given for {config.classes} classes; give one name a class")
    written = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    height, width = pair(config.image_size)
    p, q = pair(config.patch_size)
    settings: dict[str, object] = {
        "architectures": ["ViTForImageClassification" if config.classes else "ViTModel"],
        "model_type": "vit",
        "image_size": height if height == width else [height, width],
        "patch_size": p if p == q else [p, q],
        "num_channels": config.channels,
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_dim,
        "hidden_act": written[config.activation],
        "layer_norm_eps": config.norm_eps,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "qkv_bias": True,
        "dtype": "float32",
    }
    if config.classes:
        names = labels or [f"LABEL_{index}" for index in range(config.classes)]
        settings["id2label"] = {str(index): name for index, name in enumerate(names)}
        settings["label2id"] = {name: index for index, name in enumerate(names)}
    return settings


def mae_settings(config: MAEConfig) -> dict[str, object]:
    """config.json of a ViTMAEForPreTraining."""
    refuse_mae(config, "Hugging Face's ViTMAE")
    return vit_settings(replace(config.encoder, classes=0)) | {
        "architectures": ["ViTMAEForPreTraining"],
        "model_type": "vit_mae",
        "decoder_hidden_size": config.decoder_dim,
        "decoder_num_hidden_layers": config.decoder_depth,
        "decoder_num_attention_heads": config.decoder_heads,
        "decoder_intermediate_size": config.decoder_mlp_dim,
        "mask_ratio": config.mask_ratio,
        "norm_pix_loss": config.norm_pix,
    }


def processor(config: ViTConfig, mean: Sequence[float], std: Sequence[float]) -> dict[str, object]:
    """preprocessor_config.json: how transformers makes the tensors that the model was trained on."""
    height, width = pair(config.image_size)
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(std),
    }
