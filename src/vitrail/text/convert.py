"""Encoder-decoders to and from Hugging Face's BART, mBART and T5, exact to the bit both ways."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from vitrail.nn.renaming import carry_back, carry_there
from vitrail.text.huggingface import KINDS, config_of, rules_of, settings_of, without_copies
from vitrail.text.transformer import Transformer
from vitrail.train.hub import read_model, write_folder


def from_huggingface(source: str | Path | nn.Module) -> Transformer:
    """A model of ours from one of Hugging Face's.

    Args:
        source: a folder with config.json and weights, a name on the Hub, or a ``BartForConditionalGeneration``, an
            ``MBartForConditionalGeneration`` or a ``T5ForConditionalGeneration``.

    Raises:
        ModelError: another kind of model, weights that don't fit by name, or nothing to read.
    """
    kind, settings, weights, where = read_model(source, KINDS)
    weights = without_copies(weights)
    config = config_of(kind, settings, tied="lm_head.weight" not in weights)
    model = Transformer(config)
    if config.output_bias:
        weights.setdefault("final_logits_bias", model.output_bias.detach()[None])  # type: ignore[union-attr]
    carry_back(rules_of(config), weights, model, where)
    return model


def to_huggingface(model: Transformer, folder: Path, documents: Mapping[str, object] | None = None) -> None:
    """Write a folder that transformers' ``from_pretrained`` loads as is.

    Args:
        model: one that BART, mBART or T5 can express.
        folder: files of the same names in it are replaced once all are written.
        documents: further JSON files by name, such as the tokenizer's.

    Raises:
        ModelError: none can express the model.
        OutputError: the folder can't be written.
    """
    settings = settings_of(model.config)
    weights = carry_there(rules_of(model.config), model)
    generation = {key: settings[key] for key in ("pad_token_id", "eos_token_id", "decoder_start_token_id")}
    own = {"config.json": settings, "generation_config.json": generation}
    write_folder(folder, weights, own | dict(documents or {}))
