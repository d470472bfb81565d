"""Encoder-decoders for CTranslate2, a C++ library that writes texts fast on a CPU, with weights of 8 bits if asked.

Its own converters read transformers' models only, and fail on BART with the version of transformers that we use. So
the model is said here in its own words, the ``TransformerSpec``. That has a place for everything that a
``TransformerConfig`` can ask for: either norm, before or after, at the entry or at the end; every activation; learned
positions (their table begins at position 0) or T5's bias (which every layer holds there); a tied, scaled or biased
output. ``carry_there`` sees to it that no weight is left out, the specification's ``validate`` that none is missing.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vitrail.errors import ConfigError, ModelError, OutputError
from vitrail.nn.blocks import GATED
from vitrail.nn.renaming import Rule, carry_there
from vitrail.text.tokens import Tokens
from vitrail.text.transformer import Transformer, TransformerConfig

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec

Quantization = Literal["float32", "float16", "int8"]
"""How weights are kept. float16 halves the file, and a CPU computes with it in float32; int8 also multiplies 8-bit
numbers, each row of weights and each token's vector with a scale of its own."""

CONFIG, WEIGHTS, VOCABULARY = "config.json", "model.bin", "shared_vocabulary.json"
"""The files of a folder; the first is there only when the others are whole."""

MARK = "vitrail"
"""Our entry in config.json: the fingerprint of what was converted, and its quantization."""

NOWHERE = "<no token begins a source>"
"""CTranslate2 takes a source of its beginning and end tokens for an empty one, and our sources have no beginning."""


def library() -> Any:
    """CTranslate2.

    Raises:
        ConfigError: it isn't installed.
    """
    try:
        import ctranslate2
    except ImportError as error:
        raise ConfigError(
            "CTranslate2 isn't installed: pip install 'vitrail[fast]', or write with the engine torch."
        ) from error
    return ctranslate2


def to_ctranslate2(model: Transformer, tokens: Tokens, folder: Path, quantization: Quantization = "float32") -> None:
    """Write a folder that CTranslate2's ``Translator`` loads, with the tokenizer beside the weights.

    Args:
        model: of any configuration; it isn't changed.
        tokens: that it was trained with.
        folder: files of the same names in it are replaced once all are written.
        quantization: of the weights.

    Raises:
        ConfigError: CTranslate2 isn't installed, or a quantization that there isn't.
        ModelError: the tokens are another model's.
        OutputError: the folder can't be written.
    """
    library()
    from ctranslate2.specs import model_spec

    if quantization not in get_args(Quantization):
        raise ConfigError(
            f"there is no quantization called {quantization!r}: choose {', '.join(get_args(Quantization))}."
        )
    config, names = model.config, _names(tokens, model.config.vocabulary)
    spec = _specification(config)
    for name, weights in carry_there(_rules(config), model).items():
        scope, _, part = name.rpartition("/")
        setattr(model_spec.index_spec(spec, scope), part, weights.float().cpu())
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    settings = spec.config
    settings.bos_token, settings.eos_token = NOWHERE, names[config.end]
    settings.decoder_start_token = names[config.start]
    settings.unk_token = "<unk>" if "<unk>" in names else names[config.end]
    settings.layer_norm_epsilon = config.eps
    mark = {"fingerprint": fingerprint(model, tokens, quantization), "quantization": quantization}
    settings.add_attribute(MARK, mark)
    spec.validate()
    spec.optimize(quantization)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as whole:
            spec.save(whole)
            tokens.save(Path(whole))
            (folder / CONFIG).unlink(missing_ok=True)
            for file in sorted(Path(whole).iterdir(), key=lambda file: file.name == CONFIG):
                os.replace(file, folder / file.name)
    except OSError as error:
        raise OutputError(
            f"{folder} can't be written ({error}); free some room there or choose another folder"
        ) from error


def keep_ctranslate2(model: Transformer, tokens: Tokens, folder: Path, quantization: Quantization) -> bool:
    """Write a folder as ``to_ctranslate2`` does, unless it holds this very model already; was it written?"""
    if fingerprint_of(folder) == fingerprint(model, tokens, quantization):
        return False
    to_ctranslate2(model, tokens, folder, quantization)
    return True


def fingerprint(model: Transformer, tokens: Tokens, quantization: Quantization) -> str:
    """The same for the same shape, weights, tokenizer and quantization; another for any other."""
    facts = [dataclasses.asdict(model.config), tokens.fingerprint, quantization]
    digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16)
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.float().cpu().contiguous().numpy())
    return digest.hexdigest()


def fingerprint_of(folder: Path) -> str | None:
    """Of what was converted into a folder; None if that isn't whole, or not ours."""
    try:
        found = json.loads((folder / CONFIG).read_text())[MARK]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found) if (folder / WEIGHTS).is_file() and (folder / VOCABULARY).is_file() else None


def _specification(config: TransformerConfig) -> "TransformerSpec":
    """The model's shape, without its weights."""
    from ctranslate2.specs import TransformerSpec, common_spec, transformer_spec

    activations = {"relu": "RELU", "gelu": "GELU", "gelu_tanh": "GELUTanh"}
    activations |= {"swiglu": "SWISH", "geglu": "GELU", "geglu_tanh": "GELUTanh"}
    head_dim = config.head_dim or config.dim // config.heads
    shape: dict[str, Any] = {
        # Only a pre-norm specification has a final norm at first; theirs runs with either.
        "pre_norm": True,
        "no_final_norm": not config.final_norm,
        "activation": common_spec.Activation[activations[config.activation]],
        "ffn_glu": config.activation in GATED,
        "layernorm_embedding": config.entry_norm,
        "rms_norm": config.norm == "rms",
        "relative_attention_bias": config.positions == "relative",
        "head_dim": head_dim,
    }
    spec = TransformerSpec(
        transformer_spec.TransformerEncoderSpec(config.encoder_layers, config.heads, **shape),
        transformer_spec.TransformerDecoderSpec(config.decoder_layers, config.heads, **shape),
    )
    for side in (spec.encoder, spec.decoder):
        side.pre_norm, side.scale_embeddings = config.norm_first, config.scale_embedding
        for layer in side.layer:
            for attention in (layer.self_attention, *([layer.attention] if side is spec.decoder else [])):
                attention.queries_scale = head_dim**-0.5 if config.scale_attention else 1.0
            if config.positions == "relative":
                layer.self_attention.relative_attention_max_distance = np.int32(config.max_distance)
    if config.scale_output:
        spec.decoder.scale_outputs = config.dim**-0.5
    return spec


def _rules(config: TransformerConfig) -> list[Rule]:
    """How a model's weights are called there."""
    embeddings = ["encoder/embeddings_0/weight", "decoder/embeddings/weight"]
    output = "decoder/projection/weight"
    rules = [_everywhere("embedding.weight", *embeddings, *([output] if config.tied else []))]
    rules += [] if config.tied else [_everywhere("output.weight", output)]
    rules += [_everywhere("output_bias", "decoder/projection/bias")] if config.output_bias else []
    for entry, sides in _entries(config):
        if config.positions == "learned":
            tables = [f"{side}/position_encodings/encodings" for side in sides]
            rules.append(_everywhere(f"{entry}.positions.weight", *tables))
        if config.entry_norm:
            rules += _norm(config, f"{entry}.norm", *(f"{side}/layernorm_embedding" for side in sides))
    for side, depth in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        layers = [f"{side}/layer_{index}" for index in range(depth)]
        if config.positions == "relative":
            tables = [f"{layer}/self_attention/relative_attention_bias" for layer in layers]
            rules.append(_everywhere(f"{side}_bias.table.weight", *tables))
        if config.final_norm:
            rules += _norm(config, f"{side}_norm", f"{side}/layer_norm")
        for index, layer in enumerate(layers):
            rules += _layer(config, f"{side}.{index}", layer, cross=side == "decoder")
    return rules


def _layer(config: TransformerConfig, ours: str, theirs: str, *, cross: bool) -> list[Rule]:
    own = f"{ours}.{'self_attention' if cross else 'attention'}"
    rules = _linear(config, f"{own}.qkv", f"{theirs}/self_attention/linear_0")
    rules += _linear(config, f"{own}.out", f"{theirs}/self_attention/linear_1")
    rules += _norm(config, f"{ours}.norm1", f"{theirs}/self_attention/layer_norm")
    if cross:
        for place, part in enumerate(("q", "kv", "out")):
            rules += _linear(config, f"{ours}.cross_attention.{part}", f"{theirs}/attention/linear_{place}")
        rules += _norm(config, f"{ours}.norm2", f"{theirs}/attention/layer_norm")
    up = [f"{theirs}/ffn/linear_0", *([f"{theirs}/ffn/linear_0_noact"] if config.activation in GATED else [])]
    rules += _linear(config, f"{ours}.feed_forward.up", *up)
    rules += _linear(config, f"{ours}.feed_forward.down", f"{theirs}/ffn/linear_1")
    return rules + _norm(config, f"{ours}.norm{3 if cross else 2}", f"{theirs}/ffn/layer_norm")


def _entries(config: TransformerConfig) -> list[tuple[str, list[str]]]:
    """Our entries, and the sides that each is of."""
    if config.one_entry:
        return [("encoder_entry", ["encoder", "decoder"])]
    return [(f"{side}_entry", [side]) for side in ("encoder", "decoder")]


def _everywhere(ours: str, *theirs: str) -> Rule:
    """One tensor here that stands in several places there."""
    return Rule((ours,), theirs, lambda x: [x[0]] * len(theirs))


def _linear(config: TransformerConfig, ours: str, *theirs: str) -> list[Rule]:
    """A linear map, or several that are one above the other here."""
    parts = ("weight", "bias") if config.bias else ("weight",)
    return [
        Rule((f"{ours}.{part}",), tuple(f"{name}/{part}" for name in theirs), lambda x: x[0].chunk(len(theirs)))
        for part in parts
    ]


def _norm(config: TransformerConfig, ours: str, *theirs: str) -> list[Rule]:
    parts = {"weight": "gamma"} | ({"bias": "beta"} if config.norm == "layer" else {})
    return [_everywhere(f"{ours}.{mine}", *(f"{name}/{yours}" for name in theirs)) for mine, yours in parts.items()]


def _names(tokens: Tokens, count: int) -> list[str]:
    """A name for each row of the embedding; there may be more rows than tokens.

    Raises:
        ModelError: fewer rows than tokens, or a name that stands for two.
    """
    if len(tokens) > count:
        raise ModelError(
            f"the tokenizer has {len(tokens):,} tokens, and the model knows {count:,}: give the tokenizer that it was "
            "trained with."
        )
    names = [name or f"<no token {place}>" for place, name in enumerate(tokens.texts(range(count)))]
    if len(set(names)) < count:
        raise ModelError(
            "two tokens of the tokenizer have the same name, by which CTranslate2 tells them apart: write with the "
            "engine torch."
        )
    return names
