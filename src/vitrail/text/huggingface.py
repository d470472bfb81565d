"""Hugging Face's words for our encoder-decoders: config.json and the names of weights, of BART, mBART and T5.

mBART is BART with pre-norm blocks and a norm at the end of each side, and is written as such below. The first two rows
of their positions belong to no position (the table begins at 2); they are written as zeros.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vitrail.errors import ModelError
from vitrail.nn.blocks import GATED, Activation
from vitrail.nn.renaming import Rule, Tensors, refuse_faults, same, stacked
from vitrail.text.presets import t5_small
from vitrail.text.transformer import TransformerConfig

BART, MBART, T5 = KINDS = tuple(f"{name}ForConditionalGeneration" for name in ("Bart", "MBart", "T5"))
"""What can be read and written."""

BART_ACTIVATIONS: Mapping[str, Activation] = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu"}
T5_ACTIVATIONS: Mapping[str, Activation] = {"gated-gelu": "geglu_tanh", "gated-silu": "swiglu", "relu": "relu"}

UNUSED = 2
"""Rows of BART's position tables before the first position."""

ONE_ENTRY = "vitrail_one_entry"
"""Our mark in a BART's config.json: both sides' positions and norms are one, and are read back as one."""


def settings_of(config: TransformerConfig) -> dict[str, object]:
    """config.json of a BART, an mBART or a T5, whichever can express the model.

    Raises:
        ModelError: none can.
    """
    return _t5_settings(config) if config.positions == "relative" else _bart_settings(config)


def config_of(kind: str, settings: Any, *, tied: bool) -> TransformerConfig:
    """Our configuration from transformers', which doesn't tell whether a T5's output is tied.

    Raises:
        ModelError: what we don't have.
    """
    return _t5_config(settings, tied) if kind == T5 else _bart_config(settings, norm_first=kind == MBART)


def rules_of(config: TransformerConfig) -> list[Rule]:
    """How a model's weights are called there."""
    return _t5_rules(config) if config.positions == "relative" else _bart_rules(config)


# -- BART -------------------------------------------------------------------------------------------------------------


def _bart_settings(config: TransformerConfig) -> dict[str, object]:
    written = {ours: theirs for theirs, ours in BART_ACTIVATIONS.items()}
    refuse_faults(
        "Hugging Face's BART",
        {
            "pre-norm blocks without a norm at the end, or one after post-norm blocks": config.norm_first
            != config.final_norm,
            "RMSNorm": config.norm != "layer",
            f"norms with an epsilon of {config.eps:g}": config.eps != 1e-5,
            f"the activation {config.activation}": config.activation not in written,
            "maps without biases": not config.bias,
            "heads of another width than dim / heads": config.head_dim not in (None, config.dim // config.heads),
            "unscaled attention": not config.scale_attention,
            "an entry without a norm": not config.entry_norm,
            "a scaled output": config.scale_output,
            "an output of its own": not config.tied,
        },
    )
    return {
        "architectures": [MBART if config.norm_first else BART],
        "model_type": "mbart" if config.norm_first else "bart",
        "is_encoder_decoder": True,
        "vocab_size": config.vocabulary,
        "d_model": config.dim,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.heads,
        "decoder_attention_heads": config.heads,
        "encoder_ffn_dim": config.hidden,
        "decoder_ffn_dim": config.hidden,
        "activation_function": written[config.activation],
        "max_position_embeddings": config.max_length,
        "scale_embedding": config.scale_embedding,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.hidden_dropout,
        "tie_word_embeddings": True,
        ONE_ENTRY: config.one_entry,
        **_special(config),
        "bos_token_id": config.start,
        "forced_eos_token_id": None,
        "dtype": "float32",
    }


def _bart_config(settings: Any, *, norm_first: bool) -> TransformerConfig:
    sides = [(settings.encoder_attention_heads, settings.encoder_ffn_dim)]
    if sides != [(settings.decoder_attention_heads, settings.decoder_ffn_dim)]:
        raise ModelError(
            "this BART's decoder has other heads or another feed-forward width than its encoder, which has no place "
            "here; choose a model whose sides are alike but for their depth"
        )
    activation = activation_of(settings.activation_function, BART_ACTIVATIONS)
    return TransformerConfig(
        settings.vocab_size,
        dim=settings.d_model,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        heads=settings.encoder_attention_heads,
        hidden=settings.encoder_ffn_dim,
        norm_first=norm_first,
        final_norm=norm_first,
        activation=activation,
        max_length=settings.max_position_embeddings,
        one_entry=bool(getattr(settings, ONE_ENTRY, False)),
        scale_embedding=settings.scale_embedding,
        dropout=settings.dropout,
        entry_dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        hidden_dropout=settings.activation_dropout,
        pad=settings.pad_token_id,
        start=settings.eos_token_id if settings.decoder_start_token_id is None else settings.decoder_start_token_id,
        end=settings.eos_token_id,
    )


def _bart_rules(config: TransformerConfig) -> list[Rule]:
    rules = [Rule(("embedding.weight",), ("model.shared.weight",))]
    rules.append(Rule(("output_bias",), ("final_logits_bias",), lambda x: [x[0][None]], lambda x: [x[0][0]]))
    sides = ("model.encoder", "model.decoder")
    if config.one_entry:
        rules.append(_positions("encoder_entry", sides))
        for part in ("weight", "bias"):
            names = tuple(f"{side}.layernorm_embedding.{part}" for side in sides)
            rules.append(Rule((f"encoder_entry.norm.{part}",), names, lambda x: [x[0], x[0]], _one))
    else:
        for entry, side in zip(("encoder_entry", "decoder_entry"), sides, strict=True):
            rules += [_positions(entry, (side,)), *same(f"{entry}.norm", f"{side}.layernorm_embedding")]
    if config.final_norm:
        rules += [*same("encoder_norm", f"{sides[0]}.layer_norm"), *same("decoder_norm", f"{sides[1]}.layer_norm")]
    for index in range(config.encoder_layers):
        ours, theirs = f"encoder.{index}", f"{sides[0]}.layers.{index}"
        rules += _bart_attention(f"{ours}.attention", f"{theirs}.self_attn")
        rules += same(f"{ours}.norm1", f"{theirs}.self_attn_layer_norm")
        rules += _bart_feed_forward(ours, theirs, f"{ours}.norm2")
    for index in range(config.decoder_layers):
        ours, theirs = f"decoder.{index}", f"{sides[1]}.layers.{index}"
        rules += _bart_attention(f"{ours}.self_attention", f"{theirs}.self_attn")
        rules += same(f"{ours}.norm1", f"{theirs}.self_attn_layer_norm")
        rules += same(f"{ours}.cross_attention.q", f"{theirs}.encoder_attn.q_proj")
        parts = [f"{theirs}.encoder_attn.{part}_proj" for part in ("k", "v")]
        rules += stacked(f"{ours}.cross_attention.kv", parts)
        rules += same(f"{ours}.cross_attention.out", f"{theirs}.encoder_attn.out_proj")
        rules += same(f"{ours}.norm2", f"{theirs}.encoder_attn_layer_norm")
        rules += _bart_feed_forward(ours, theirs, f"{ours}.norm3")
    return rules


def _bart_attention(ours: str, theirs: str) -> list[Rule]:
    parts = [f"{theirs}.{part}_proj" for part in ("q", "k", "v")]
    return [*stacked(f"{ours}.qkv", parts), *same(f"{ours}.out", f"{theirs}.out_proj")]


def _bart_feed_forward(ours: str, theirs: str, norm: str) -> list[Rule]:
    return [
        *same(f"{ours}.feed_forward.up", f"{theirs}.fc1"),
        *same(f"{ours}.feed_forward.down", f"{theirs}.fc2"),
        *same(norm, f"{theirs}.final_layer_norm"),
    ]


def _positions(entry: str, sides: tuple[str, ...]) -> Rule:
    """A table of positions, which begins after ``UNUSED`` rows there, once a side."""

    def there(x: Tensors) -> Tensors:
        return [torch.cat([x[0].new_zeros(UNUSED, x[0].shape[1]), x[0]])] * len(sides)

    def back(x: Tensors) -> Tensors:
        return _one([table[UNUSED:] for table in x])

    return Rule((f"{entry}.positions.weight",), tuple(f"{side}.embed_positions.weight" for side in sides), there, back)


def _one(x: Tensors) -> Tensors:
    """What stands there more than once, and is one tensor here."""
    if not all(torch.equal(x[0], other) for other in x[1:]):
        raise ModelError(
            f"config.json says by {ONE_ENTRY} that encoder and decoder share positions and norms, and these weights "
            "differ; take that line out of config.json"
        )
    return x[:1]


# -- T5 ---------------------------------------------------------------------------------------------------------------


def _t5_settings(config: TransformerConfig) -> dict[str, object]:
    written = {ours: theirs for theirs, ours in T5_ACTIVATIONS.items()}
    refuse_faults(
        "Hugging Face's T5",
        {
            "post-norm blocks": not (config.norm_first and config.final_norm),
            "LayerNorm": config.norm != "rms",
            f"the activation {config.activation}": config.activation not in written,
            "maps with biases": config.bias or config.output_bias,
            "scaled attention": config.scale_attention,
            "a norm at the entry": config.entry_norm,
            "scaled embeddings": config.scale_embedding,
        },
    )
    return {
        "architectures": [T5],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": config.vocabulary,
        "d_model": config.dim,
        "d_kv": config.head_dim or config.dim // config.heads,
        "d_ff": config.hidden,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.heads,
        "relative_attention_num_buckets": config.buckets,
        "relative_attention_max_distance": config.max_distance,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.eps,
        "feed_forward_proj": written[config.activation],
        # By this transformers tells T5 1.0, which scales what the output reads, from 1.1.
        "tie_word_embeddings": config.scale_output,
        **_special(config),
        "dtype": "float32",
    }


def _t5_config(settings: Any, tied: bool) -> TransformerConfig:
    rate = settings.dropout_rate
    shape = replace(
        t5_small(settings.vocab_size),
        dim=settings.d_model,
        encoder_layers=settings.num_layers,
        decoder_layers=settings.num_decoder_layers,
        heads=settings.num_heads,
        hidden=settings.d_ff,
        head_dim=settings.d_kv,
        eps=settings.layer_norm_epsilon,
        activation=activation_of(settings.feed_forward_proj, T5_ACTIVATIONS),
        buckets=settings.relative_attention_num_buckets,
        max_distance=settings.relative_attention_max_distance,
        tied=tied,
        scale_output=settings.scale_decoder_outputs,
        pad=settings.pad_token_id,
        start=settings.decoder_start_token_id,
        end=settings.eos_token_id,
    )
    return replace(shape, dropout=rate, entry_dropout=rate, attention_dropout=rate, hidden_dropout=rate)


def _t5_rules(config: TransformerConfig) -> list[Rule]:
    rules = [Rule(("embedding.weight",), ("shared.weight",))]
    if not config.tied:
        rules += same("output", "lm_head", bias=False)
    for side in ("encoder", "decoder"):
        attention = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
        rules += same(f"{side}_bias.table", attention, bias=False)
        rules += same(f"{side}_norm", f"{side}.final_layer_norm", bias=False)
    for index in range(config.encoder_layers):
        ours, theirs = f"encoder.{index}", f"encoder.block.{index}.layer"
        rules += _t5_attention(f"{ours}.attention", f"{theirs}.0.SelfAttention")
        rules += same(f"{ours}.norm1", f"{theirs}.0.layer_norm", bias=False)
        rules += _t5_feed_forward(config, ours, f"{theirs}.1", f"{ours}.norm2")
    for index in range(config.decoder_layers):
        ours, theirs = f"decoder.{index}", f"decoder.block.{index}.layer"
        rules += _t5_attention(f"{ours}.self_attention", f"{theirs}.0.SelfAttention")
        rules += same(f"{ours}.norm1", f"{theirs}.0.layer_norm", bias=False)
        cross = f"{theirs}.1.EncDecAttention"
        rules += same(f"{ours}.cross_attention.q", f"{cross}.q", bias=False)
        rules += stacked(f"{ours}.cross_attention.kv", [f"{cross}.k", f"{cross}.v"], bias=False)
        rules += same(f"{ours}.cross_attention.out", f"{cross}.o", bias=False)
        rules += same(f"{ours}.norm2", f"{theirs}.1.layer_norm", bias=False)
        rules += _t5_feed_forward(config, ours, f"{theirs}.2", f"{ours}.norm3")
    return rules


def _t5_attention(ours: str, theirs: str) -> list[Rule]:
    parts = [f"{theirs}.{part}" for part in ("q", "k", "v")]
    return [*stacked(f"{ours}.qkv", parts, bias=False), *same(f"{ours}.out", f"{theirs}.o", bias=False)]


def _t5_feed_forward(config: TransformerConfig, ours: str, theirs: str, norm: str) -> list[Rule]:
    up, inside = f"{ours}.feed_forward.up", f"{theirs}.DenseReluDense"
    gated = config.activation in GATED
    return [
        *(stacked(up, [f"{inside}.wi_0", f"{inside}.wi_1"], bias=False) if gated else []),
        *(same(up, f"{inside}.wi", bias=False) if not gated else []),
        *same(f"{ours}.feed_forward.down", f"{inside}.wo", bias=False),
        *same(norm, f"{theirs}.layer_norm", bias=False),
    ]


# -- both -------------------------------------------------------------------------------------------------------------


COPIES = (
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "lm_head.weight",
)
"""Further names of the embedding, where it is tied."""


def without_copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the further names that a tied embedding has there."""
    shared = weights.get("model.shared.weight", weights.get("shared.weight"))
    if shared is None:
        return dict(weights)
    return {name: x for name, x in weights.items() if name not in COPIES or not torch.equal(x, shared)}


def _special(config: TransformerConfig) -> dict[str, object]:
    return {
        "pad_token_id": config.pad,
        "eos_token_id": config.end,
        "decoder_start_token_id": config.start,
    }


def activation_of(name: str, known: Mapping[str, Activation]) -> Activation:
    """Our name for one of theirs.

    Raises:
        ModelError: we don't have it.
    """
    if name not in known:
        raise ModelError(
            f"the model's activation {name} is none of {', '.join(known)}; choose a model with one of these"
        )
    return known[name]
