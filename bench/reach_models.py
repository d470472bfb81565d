"""Tiny models of any architecture that transformers can build from a config: everything wide is made narrow.

The default config of a type is written out as a dictionary, every number that sets a size is replaced by a small one
(nested configs too, and all widths alike, so that parts still fit together), and the config is read back. What that
rule gets wrong for a type stands in ``reach_special.py``.
"""

import inspect
from typing import Any

import torch
from reach_special import SPECIAL
from torch import nn

WIDTH, HEADS, HEAD, LAYERS, HIDDEN, VOCABULARY, IMAGE, PATCH = 32, 4, 8, 2, 48, 160, 32, 8

SIZES: tuple[tuple[int, str], ...] = (
    (
        WIDTH,
        "hidden_size d_model n_embd dim embed_dim embedding_size decoder_hidden_size encoder_hidden_size emb_dim "
        "text_hidden_size projection_dim hidden_dim word_embed_proj_dim out_hidden_size output_dim "
        "vision_hidden_size "
        "audio_hidden_size fusion_hidden_size encoder_hidden_dim backbone_hidden_size output_hidden_size embedding_dim "
        "pooler_output_size projector_hidden_size cross_attention_hidden_size mm_hidden_size "
        "hidden_size_per_layer_input "
        "vision_output_dim projection_size width vision_feature_dim text_embed_dim image_embed_dim "
        "multimodal_projector_hidden_size fpn_hidden_size memory_attention_hidden_size decoder_dim encoder_dim "
        "d_latents d_model_audio entity_emb_size audio_embed_dim lm_hidden_size qformer_hidden_size hidden_channels "
        "feature_projection_input_dim mask_feature_size text_config_hidden_size encoder_hidden_dim codebook_dim "
        "encoder_embed_dim decoder_embed_dim conv_hidden_size",
    ),
    (
        HEADS,
        "num_attention_heads num_heads n_head n_heads encoder_attention_heads decoder_attention_heads "
        "attention_heads decoder_num_attention_heads encoder_num_attention_heads num_self_attention_heads "
        "num_cross_attention_heads resampler_n_heads swa_num_attention_heads index_n_heads mamba_num_heads "
        "mamba_n_heads "
        "linear_num_key_heads linear_num_value_heads num_attention_heads_decoder linear_num_heads decoder_num_heads "
        "transformer_heads memory_attention_num_attention_heads text_decoder_num_heads num_entity_heads",
    ),
    (
        HEAD,
        "head_dim attention_head_dim kv_channels d_kv dim_head qk_nope_head_dim qk_rope_head_dim v_head_dim "
        "linear_key_head_dim linear_value_head_dim resampler_head_dim swa_head_dim mamba_head_dim d_head "
        "global_head_dim "
        "attention_value_dim swa_v_head_dim linear_head_dim encoder_head_dim decoder_head_dim mamba_d_head",
    ),
    (
        LAYERS,
        "num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers depth num_decoder_layers "
        "num_encoder_layers layers num_blocks decoder_num_hidden_layers decoder_num_layers encoder_num_layers "
        "resampler_depth encoder_num_hidden_layers memory_attention_num_layers num_text_layers l_layers "
        "x_layers r_layers "
        "num_block_layers text_num_hidden_layers num_self_attends_per_block depth_layers decoder_depth",
    ),
    (
        HIDDEN,
        "intermediate_size encoder_ffn_dim decoder_ffn_dim d_ff mlp_dim ffn_dim moe_intermediate_size n_inner "
        "shared_expert_intermediate_size d_inner ffn_hidden_size dim_feedforward decoder_intermediate_size "
        "encoder_intermediate_size moe_shared_expert_intermediate_size shared_intermediate_size linear_units "
        "intermediate_size_mlp dense_intermediate_size intermediate_dim expert_hidden_size "
        "memory_attention_feed_forward_hidden_size perceiver_hidden_size",
    ),
    (
        4,
        "num_experts num_local_experts n_routed_experts moe_num_experts rotary_dim index_topk "
        "moe_n_routed_experts num_moe_experts mamba_d_state ssm_state_size state_size",
    ),
    (2, "num_experts_per_tok moe_k moe_topk num_experts_per_token experts_per_token moe_top_k top_k_experts"),
    (1, "mamba_expand n_group topk_group n_groups mamba_n_groups first_k_dense_replace num_hidden_groups"),
    (
        16,
        "kv_lora_rank q_lora_rank index_head_dim num_conv_pos_embeddings swa_rank moe_latent_size lora_rank "
        "max_source_positions mamba_chunk_size chunk_size window_attention_size max_relative_position",
    ),
    (16, "qk_head_dim"),
    (
        128,
        "max_position_embeddings n_positions max_target_positions original_max_position_embeddings block_size "
        "max_sequence_length",
    ),
    (VOCABULARY, "vocab_size text_vocab_size vocab_size_per_layer_input decoder_vocab_size audio_vocab_size"),
    (IMAGE, "image_size input_size crop_size force_image_size"),
)
BY_NAME = {name: size for size, names in SIZES for name in names.split()}

RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage2", "stage3", "stage4"],
}
"""In place of backbones that need timm."""


def tiny_config(kind: str) -> Any:
    """A small config of a type."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind_of_config = CONFIG_MAPPING[kind]
    values = kind_of_config().to_dict()
    shrink(values)
    for path, value in SPECIAL.get(kind, {}).items():
        *outer, name = path.split(".")
        where = values
        for part in outer:
            where = where[part]
        if value is None and name not in where:
            continue
        where[name] = value
    config = kind_of_config.from_dict(values)
    if kind == "funnel":
        config.architectures = ["FunnelModel"]
    return config


def tiny_model(config: Any, implementation: str | None = None) -> nn.Module:
    """The base model of a config with random weights, the same each time, in evaluation.

    Raises:
        ValueError: it would have more than 80 million parameters.
    """
    from transformers import AutoModel

    with torch.device("meta"):
        size = sum(x.numel() for x in AutoModel.from_config(config).parameters())
    if size > 80e6:
        raise ValueError(f"still {size / 1e6:.0f} million parameters")
    torch.manual_seed(0)
    options = {} if implementation is None else {"attn_implementation": implementation}
    model: nn.Module = AutoModel.from_config(config, **options)
    return model.eval().float()


def shrink(values: dict[str, Any]) -> None:
    """Make every size in a config's dictionary small, nested ones included."""
    layers = next(
        (values[n] for n in ("num_hidden_layers", "num_layers", "n_layer") if isinstance(values.get(n), int)), 0
    )
    kinds = 1
    dropped = ["per_layer_config"]
    if "num_hidden_layers" in values:  # a backbone whose stages are its layers, of which there are fewer now
        dropped += ["stage_names", "out_features", "out_indices", "_out_features", "_out_indices"]
    for name in dropped:
        values.pop(name, None)
    if "head_dim" in values and values["head_dim"] is None:
        values["head_dim"] = HEAD
    if "num_key_value_heads" in values and values["num_key_value_heads"] is None:
        values["num_key_value_heads"] = HEADS
    if values.get("use_timm_backbone") or (values.get("backbone_config") or {}).get("model_type") == "timm_backbone":
        values |= {"use_timm_backbone": False, "backbone": None, "backbone_config": dict(RESNET)}
    for name, value in list(values.items()):
        if name == "backbone_config" and value == RESNET:
            continue
        if not isinstance(name, str):
            continue
        if name.startswith("rope") and isinstance(value, dict):
            _shrink_rotation(value)
            if value and not any(isinstance(part, dict) for part in value.values()):
                value.setdefault("mrope_section", [HEAD // 2 - 2 * (HEAD // 8), HEAD // 8, HEAD // 8])
        elif isinstance(value, dict) and not name.startswith(("id2label", "label2id")):
            shrink(value)
        elif isinstance(value, list) and len(value) == layers > 2 and value:
            hashable = [tuple(x) if isinstance(x, list) else x for x in value]
            kinds = max(kinds, len(dict.fromkeys(hashable)))
    count = max(LAYERS, kinds)
    old_heads = next((values[n] for n in ("num_attention_heads", "n_head") if isinstance(values.get(n), int)), 0)
    for name, value in list(values.items()):
        if isinstance(value, bool) or not isinstance(name, str):
            continue
        if isinstance(value, list):
            values[name] = _shrunk_list(name, value, layers, count)
        elif isinstance(value, int):
            values[name] = _shrunk(name, value, count, old_heads)
    # So that weights are far from uniform, as a trained model's are.
    values.update({name: 0.1 for name in ("initializer_range", "init_std") if name in values})
    _place_tokens(values)


def _shrunk(name: str, value: int, layers: int, old_heads: int) -> int:
    if "num_key_value_heads" in name or name in ("num_kv_heads", "n_head_kv", "swa_num_key_value_heads"):
        return min(value, 1) if value <= 1 else HEADS if value == old_heads else 2
    if name == "patch_size" and value >= PATCH:
        return PATCH
    if BY_NAME.get(name) == LAYERS:
        return min(value, layers)
    return min(value, BY_NAME[name]) if name in BY_NAME else value


def _shrunk_list(name: str, value: list[Any], layers: int, count: int) -> list[Any]:
    if name == "conv_dim":
        return [WIDTH] * len(value)
    if name in ("hidden_sizes", "encoder_hidden_sizes", "embed_dims", "hidden_channels"):
        return [16 * (i + 1) for i in range(len(value))]
    if name in ("depths", "num_blocks", "layers_per_stage"):
        return [1] * len(value)
    if name in ("num_heads", "num_attention_heads"):
        return [2] * len(value)
    if name in ("image_size", "input_size") and len(value) == 2:
        return [IMAGE, IMAGE]
    if len(value) == layers > 2:
        hashable = [tuple(x) if isinstance(x, list) else x for x in value]
        first = [value[hashable.index(x)] for x in dict.fromkeys(hashable)]
        return (first * count)[:count]
    return value


def _shrink_rotation(values: dict[str, Any]) -> None:
    """Rotary positions of time, height and width share half a head."""
    for name, value in values.items():
        if name == "mrope_section":
            values[name] = [HEAD // 2 - 2 * (HEAD // 8), HEAD // 8, HEAD // 8]
        elif isinstance(value, dict):
            _shrink_rotation(value)


def _place_tokens(values: dict[str, Any]) -> None:
    """Special tokens inside the small vocabulary, each at a place of its own."""
    free = iter(range(VOCABULARY - 1, 100, -1))
    vocabulary = VOCABULARY
    for name, value in list(values.items()):
        if not isinstance(name, str):
            continue
        if (
            name.endswith(("_token_id", "_token_index", "_token"))
            and isinstance(value, int)
            and not isinstance(value, bool)
        ):
            if value >= vocabulary:
                values[name] = next(free)
        elif name.endswith("_token_id") and isinstance(value, list):
            values[name] = [x if isinstance(x, int) and x < vocabulary else next(free) for x in value]


def accepts(model: nn.Module) -> dict[str, inspect.Parameter]:
    """What a model's forward takes."""
    return dict(inspect.signature(model.forward).parameters)
