"""Language models to and from Hugging Face's GPT-2 and BERT (with its masked-language-model head), exact to the bit.

GPT-2 keeps its matrices transposed (``Conv1D``). Blocks of attention alone are written as GPT-2's with feed-forward
networks one unit wide that add nothing, under a mark of ours by which they are read back.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.errors import ModelError
from vitrail.nn.blocks import Activation
from vitrail.nn.renaming import Rule, Tensors, carry_back, carry_there, refuse_faults, same, stacked
from vitrail.text.huggingface import BART_ACTIVATIONS as ACTIVATIONS
from vitrail.text.huggingface import activation_of
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.train.hub import read_model, write_folder

KINDS = ("GPT2LMHeadModel", "BertForMaskedLM")
"""What can be read and written."""

ATTENTION_ONLY = "vitrail_attention_only"
"""Our mark in a GPT-2's config.json: its feed-forward networks add nothing, and are left out when read back."""


def from_huggingface(source: str | Path | nn.Module) -> LanguageModel:
    """A model of ours from one of Hugging Face's.

    Args:
        source: a folder with config.json and weights, a name on the Hub, or a ``GPT2LMHeadModel`` or
            ``BertForMaskedLM``.

    Raises:
        ModelError: another kind of model, weights that don't fit by name, or nothing to read.
    """
    kind, settings, weights, where = read_model(source, KINDS)
    config = _gpt2_config(settings) if kind == KINDS[0] else _bert_config(settings)
    model = LanguageModel(config)
    weights = _as_saved_now(weights)
    if not config.feed_forward:
        weights = {name: x for name, x in weights.items() if ".mlp." not in name and ".ln_2." not in name}
    carry_back(rules_of(config), weights, model, where)
    return model


def to_huggingface(model: LanguageModel, folder: Path, documents: Mapping[str, object] | None = None) -> None:
    """Write a folder that transformers' ``from_pretrained`` loads as is.

    Args:
        model: one that GPT-2 or BERT can express.
        folder: files of the same names in it are replaced once all are written.
        documents: further JSON files by name, such as the tokenizer's.

    Raises:
        ModelError: neither can express the model.
        OutputError: the folder can't be written.
    """
    config = model.config
    settings = _gpt2_settings(config) if config.causal else _bert_settings(config)
    weights = carry_there(rules_of(config), model)
    if not config.feed_forward:
        weights |= _nothing_added(config)
    write_folder(folder, weights, {"config.json": settings} | dict(documents or {}))


def rules_of(config: LanguageConfig) -> list[Rule]:
    """How a model's weights are called there."""
    return _gpt2_rules(config) if config.causal else _bert_rules(config)


# -- GPT-2 ------------------------------------------------------------------------------------------------------------


def _gpt2_settings(config: LanguageConfig) -> dict[str, object]:
    refuse_faults(
        "Hugging Face's GPT-2",
        {
            "post-norm blocks": not config.norm_first,
            "a last block without a norm": not config.final_norm,
            "a norm at the entry": config.entry_norm,
            "token types": bool(config.token_types),
            "a transform before the output": config.transform,
            "an output with a bias": config.output_bias,
            f"the activation {config.activation}": config.activation not in ACTIVATIONS.values(),
        },
    )
    return {
        "architectures": [KINDS[0]],
        "model_type": "gpt2",
        "vocab_size": config.vocabulary,
        "n_positions": config.max_length,
        "n_embd": config.dim,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.hidden if config.feed_forward else 1,
        "activation_function": _named(config.activation),
        "layer_norm_epsilon": config.eps,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.entry_dropout,
        "attn_pdrop": config.attention_dropout,
        "bos_token_id": config.end,
        "eos_token_id": config.end,
        "pad_token_id": config.pad,
        ATTENTION_ONLY: not config.feed_forward,
        "dtype": "float32",
    }


def _gpt2_config(settings: Any) -> LanguageConfig:
    for name, expected in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if getattr(settings, name) != expected:
            raise ModelError(
                f"this GPT-2 has {name} {not expected}, which has no place here; choose one whose attention is scaled "
                "by the root of a head's width alone"
            )
    end = settings.eos_token_id
    return LanguageConfig(
        settings.vocab_size,
        dim=settings.n_embd,
        layers=settings.n_layer,
        heads=settings.n_head,
        hidden=settings.n_inner or 4 * settings.n_embd,
        feed_forward=not getattr(settings, ATTENTION_ONLY, False),
        eps=settings.layer_norm_epsilon,
        activation=activation_of(settings.activation_function, ACTIVATIONS),
        max_length=settings.n_positions,
        dropout=settings.resid_pdrop,
        entry_dropout=settings.embd_pdrop,
        attention_dropout=settings.attn_pdrop,
        pad=end if settings.pad_token_id is None else settings.pad_token_id,
        end=end,
    )


def _gpt2_rules(config: LanguageConfig) -> list[Rule]:
    rules = [
        Rule(("embedding.weight",), ("transformer.wte.weight",)),
        Rule(("positions.weight",), ("transformer.wpe.weight",)),
        *same("final_norm", "transformer.ln_f"),
    ]
    for index in range(config.layers):
        ours, theirs = f"blocks.{index}", f"transformer.h.{index}"
        rules += same(f"{ours}.norm1", f"{theirs}.ln_1")
        rules += _transposed(f"{ours}.attention.qkv", f"{theirs}.attn.c_attn")
        rules += _transposed(f"{ours}.attention.out", f"{theirs}.attn.c_proj")
        if config.feed_forward:
            rules += same(f"{ours}.norm2", f"{theirs}.ln_2")
            rules += _transposed(f"{ours}.feed_forward.up", f"{theirs}.mlp.c_fc")
            rules += _transposed(f"{ours}.feed_forward.down", f"{theirs}.mlp.c_proj")
    return rules


def _transposed(ours: str, theirs: str) -> list[Rule]:
    def turn(x: Tensors) -> Tensors:
        return [x[0].T.contiguous()]

    return [
        Rule((f"{ours}.weight",), (f"{theirs}.weight",), turn, turn),
        Rule((f"{ours}.bias",), (f"{theirs}.bias",)),
    ]


def _nothing_added(config: LanguageConfig) -> dict[str, Tensor]:
    """Feed-forward networks one unit wide that add 0, and the norms before them."""
    shapes = {"mlp.c_fc.weight": (config.dim, 1), "mlp.c_fc.bias": (1,), "mlp.c_proj.weight": (1, config.dim)}
    shapes |= {"mlp.c_proj.bias": (config.dim,), "ln_2.weight": (config.dim,), "ln_2.bias": (config.dim,)}
    return {
        f"transformer.h.{index}.{name}": torch.ones(shape) if name == "ln_2.weight" else torch.zeros(shape)
        for index in range(config.layers)
        for name, shape in shapes.items()
    }


# -- BERT -------------------------------------------------------------------------------------------------------------


def _bert_settings(config: LanguageConfig) -> dict[str, object]:
    refuse_faults(
        "Hugging Face's BERT",
        {
            "pre-norm blocks": config.norm_first,
            "blocks without a feed-forward network": not config.feed_forward,
            "a norm after the last block": config.final_norm,
            "an entry without a norm": not config.entry_norm,
            "a model without token types": not config.token_types,
            "an output without its transform": not config.transform,
            "an output without a bias": not config.output_bias,
            "another dropout at the entry than inside": config.entry_dropout != config.dropout,
            f"the activation {config.activation}": config.activation not in ACTIVATIONS.values(),
        },
    )
    return {
        "architectures": [KINDS[1]],
        "model_type": "bert",
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.max_length,
        "hidden_size": config.dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "type_vocab_size": config.token_types,
        "hidden_act": _named(config.activation),
        "layer_norm_eps": config.eps,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "pad_token_id": config.pad,
        "eos_token_id": config.end,
        "dtype": "float32",
    }


def _bert_config(settings: Any) -> LanguageConfig:
    pad = settings.pad_token_id
    return LanguageConfig(
        settings.vocab_size,
        dim=settings.hidden_size,
        layers=settings.num_hidden_layers,
        heads=settings.num_attention_heads,
        hidden=settings.intermediate_size,
        causal=False,
        norm_first=False,
        eps=settings.layer_norm_eps,
        activation=activation_of(settings.hidden_act, ACTIVATIONS),
        max_length=settings.max_position_embeddings,
        token_types=settings.type_vocab_size,
        entry_norm=True,
        final_norm=False,
        transform=True,
        output_bias=True,
        dropout=settings.hidden_dropout_prob,
        entry_dropout=settings.hidden_dropout_prob,
        attention_dropout=settings.attention_probs_dropout_prob,
        pad=pad,
        end=pad if settings.eos_token_id is None else settings.eos_token_id,
    )


def _bert_rules(config: LanguageConfig) -> list[Rule]:
    entry, head = "bert.embeddings", "cls.predictions"
    rules = [
        Rule(("embedding.weight",), (f"{entry}.word_embeddings.weight",)),
        Rule(("positions.weight",), (f"{entry}.position_embeddings.weight",)),
        Rule(("types.weight",), (f"{entry}.token_type_embeddings.weight",)),
        *same("entry_norm", f"{entry}.LayerNorm"),
        *same("transform.map", f"{head}.transform.dense"),
        *same("transform.norm", f"{head}.transform.LayerNorm"),
        Rule(("output_bias",), (f"{head}.bias",)),
    ]
    for index in range(config.layers):
        ours, theirs = f"blocks.{index}", f"bert.encoder.layer.{index}"
        parts = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        rules += stacked(f"{ours}.attention.qkv", parts)
        rules += same(f"{ours}.attention.out", f"{theirs}.attention.output.dense")
        rules += same(f"{ours}.norm1", f"{theirs}.attention.output.LayerNorm")
        rules += same(f"{ours}.feed_forward.up", f"{theirs}.intermediate.dense")
        rules += same(f"{ours}.feed_forward.down", f"{theirs}.output.dense")
        rules += same(f"{ours}.norm2", f"{theirs}.output.LayerNorm")
    return rules


# -- both -------------------------------------------------------------------------------------------------------------


COPIES = {
    "lm_head.weight": "transformer.wte.weight",
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
"""Further names of the embedding and of the output's bias, where these are tied."""

UNUSED = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids")
"""What published BERTs hold beside a language model: the next-sentence head, and a list of numbers."""


def _as_saved_now(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that transformers writes today, without copies and what no language model has."""
    found = {}
    for name, x in weights.items():
        now = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if now.startswith(("wte.", "wpe.", "h.", "ln_f.")):
            now = f"transformer.{now}"
        if not now.startswith(UNUSED) and not now.endswith((".attn.bias", ".attn.masked_bias")):
            found[now] = x
    for copy, name in COPIES.items():
        if copy in found and name in found and torch.equal(found[copy], found[name]):
            del found[copy]
    return found


def _named(activation: Activation) -> str:
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == activation)
