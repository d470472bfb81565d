"""ViT and MAE to and from facebookresearch/mae, timm and Hugging Face, exact to the bit both ways.

================  =========================================================  ======================================
there             what                                                       here
================  =========================================================  ======================================
facebookresearch  ``MaskedAutoencoderViT``'s state dict                      ``from_mae``, ``to_mae``
timm              ``VisionTransformer``'s state dict                         ``from_timm``, ``to_timm``
Hugging Face      a folder, Hub name or module of ``ViTMAEForPreTraining``,  ``from_huggingface``, ``to_huggingface``
                  ``ViTForImageClassification`` or ``ViTModel``
================  =========================================================  ======================================

The encoder that facebookresearch/mae publishes on its own has timm's names: read it by ``from_timm``.

Those libraries know one architecture: pre-norm blocks with biases and LayerNorm, one linear map a patch, a final norm.
What they can't express (post-norm, a convolutional stem, CrossMAE's decoder …) is refused by a sentence.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from vitrail.nn.renaming import Rule, Weights, carry_back, carry_there, same
from vitrail.train.hub import read_model, write_folder
from vitrail.vision import huggingface
from vitrail.vision.mae import MAEConfig, MaskedAutoencoder
from vitrail.vision.renaming import HUGGING_FACE, TIMM, decoder_rules, encoder_rules, refuse, refuse_mae
from vitrail.vision.vit import ViT, ViTConfig

HUGGING_FACE_KINDS = ("ViTMAEForPreTraining", "ViTForImageClassification", "ViTModel")
"""What can be read of Hugging Face's."""

# -- facebookresearch/mae ---------------------------------------------------------------------------------------------


def from_mae(weights: Weights, config: MAEConfig) -> MaskedAutoencoder:
    """A masked autoencoder from the state dict of facebookresearch/mae's ``MaskedAutoencoderViT``.

    Args:
        weights: the state dict (in a published file, what stands under ``"model"``).
        config: the sizes, which a state dict does not tell; for ``mae_vit_base_patch16`` they are
            ``mae_config("base", 224, 16)``.

    Raises:
        ModelError: weights of another model, by name.
    """
    refuse_mae(config, "facebookresearch/mae")
    model = MaskedAutoencoder(config)
    carry_back(_mae_rules(config), weights, model, "the state dict")
    return model


def to_mae(model: MaskedAutoencoder) -> dict[str, Tensor]:
    """The state dict that facebookresearch/mae's ``MaskedAutoencoderViT`` of this size loads.

    Raises:
        ModelError: where that class can't express the model.
    """
    refuse_mae(model.config, "facebookresearch/mae")
    return carry_there(_mae_rules(model.config), model)


def _mae_rules(config: MAEConfig) -> list[Rule]:
    return encoder_rules(config.encoder, TIMM, ours="encoder.") + decoder_rules(config, TIMM, "", "decoder_blocks")


# -- timm -------------------------------------------------------------------------------------------------------------


def from_timm(weights: Weights, config: ViTConfig) -> ViT:
    """A Vision Transformer from the state dict of timm's ``VisionTransformer``.

    Args:
        weights: the state dict. timm's ``fc_norm`` (a norm after mean pooling) has no place here: make the timm model
            with ``fc_norm=False``.
        config: the sizes; mean pooling is timm's ``global_pool="avg"``.

    Raises:
        ModelError: weights of another model, by name.
    """
    refuse(config, "timm's VisionTransformer")
    model = ViT(config)
    carry_back(_timm_rules(config), weights, model, "the state dict")
    return model


def to_timm(model: ViT) -> dict[str, Tensor]:
    """The state dict that timm's ``VisionTransformer`` of this size loads (mean pooling: ``fc_norm=False``).

    Raises:
        ModelError: where that class can't express the model.
    """
    refuse(model.config, "timm's VisionTransformer")
    return carry_there(_timm_rules(model.config), model)


def _timm_rules(config: ViTConfig) -> list[Rule]:
    return encoder_rules(config, TIMM) + (same("head", "head") if config.classes else [])


# -- Hugging Face -----------------------------------------------------------------------------------------------------


def from_huggingface(source: str | Path | nn.Module) -> ViT | MaskedAutoencoder:
    """A model of ours from one of Hugging Face's.

    Args:
        source: a folder with config.json and weights, a name on the Hub, or a ``ViTMAEForPreTraining``,
            ``ViTForImageClassification`` or ``ViTModel``. A ``ViTModel``'s pooler (a further layer on CLS, which our
            models don't have) is left behind.

    Raises:
        ModelError: another kind of model, weights that don't fit by name, or nothing to read.
    """
    kind, settings, weights, where = read_model(source, HUGGING_FACE_KINDS)
    weights = {huggingface.published_name(name): x for name, x in weights.items()}
    model: ViT | MaskedAutoencoder
    match kind:
        case "ViTMAEForPreTraining":
            model = MaskedAutoencoder(huggingface.mae_config(settings))
        case "ViTForImageClassification":
            model = ViT(huggingface.vit_config(settings, classes=settings.num_labels))
        case _:
            model = ViT(huggingface.vit_config(settings))
            weights = {name: x for name, x in weights.items() if not name.startswith("pooler.")}
    carry_back(huggingface_rules(model.config), weights, model, where)
    return model


def to_huggingface(
    model: ViT | MaskedAutoencoder,
    folder: Path,
    *,
    labels: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> None:
    """Write a folder that transformers' ``from_pretrained`` loads as is.

    A masked autoencoder becomes a ``ViTMAEForPreTraining``, a classifier a ``ViTForImageClassification`` and an encoder
    without a classifier a ``ViTModel`` (to be loaded with ``add_pooling_layer=False``). Files of these names in the
    folder are replaced once all are written.

    Args:
        labels: names of the classes, in order.
        mean, std: per channel, of pixels scaled to [0, 1], as the model was trained on; with them goes a
            preprocessor_config.json, so that ``AutoImageProcessor`` prepares images the same way.

    Raises:
        ModelError: where transformers can't express the model.
        OutputError: where the folder can't be written.
    """
    if isinstance(model, MaskedAutoencoder):
        vit, settings = model.config.encoder, huggingface.mae_settings(model.config)
    else:
        vit, settings = model.config, huggingface.vit_settings(model.config, labels)
    weights = carry_there(huggingface_rules(model.config), model)
    documents = {"config.json": settings}
    if mean:
        documents["preprocessor_config.json"] = huggingface.processor(vit, mean, std)
    write_folder(folder, weights, documents)


def huggingface_rules(config: ViTConfig | MAEConfig) -> list[Rule]:
    """How a model's weights are called in Hugging Face's published checkpoints."""
    if isinstance(config, MAEConfig):
        encoder = encoder_rules(config.encoder, HUGGING_FACE, ours="encoder.", theirs="vit.")
        return encoder + decoder_rules(config, HUGGING_FACE, "decoder.", "decoder_layers")
    if not config.classes:
        return encoder_rules(config, HUGGING_FACE)
    return encoder_rules(config, HUGGING_FACE, theirs="vit.") + same("head", "classifier")
