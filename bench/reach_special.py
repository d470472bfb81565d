"""What the rule for tiny configs gets wrong, type by type: set after shrinking; a dot goes into a nested config."""

from typing import Any

SWIN = {"image_size": 64, "window_size": 2}
UPSAMPLED = {"upsample_groups": 32}

SPECIAL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("swin", "swinv2", "donut-swin", "maskformer-swin"), SWIN),
    **dict.fromkeys(("mimi", "mimi_decoder", "mimi_encoder"), UPSAMPLED),
    **dict.fromkeys(("pocket_tts_audio_tokenizer", "pocket_tts_audio_tokenizer_decoder"), UPSAMPLED),
    "autoformer": {"prediction_length": 5},
    "blt": {"encoder_hash_byte_group_vocab": 100},
    "bridgetower": {"hidden_size": 128, "vision_config.hidden_size": 128, "text_config.hidden_size": 128},
    "chameleon": {"vocabulary_map": {"<image>": 100}},
    "csm": {"codec_config.upsample_groups": 32},
    "deepseek_ocr2": {"text_config.mlp_layer_types": ["dense", "sparse"]},
    "deepseek_v2": {"n_group": None, "topk_method": "greedy", "n_routed_experts": 4, "num_experts_per_tok": 2},
    "efficientloftr": {"hidden_size": 256},
    "emu3": {"vocabulary_map": {"<image>": 100, "<|extra_200|>": 101}},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "falcon_h1": {"mamba_d_ssm": 32},
    "fun_asr_nano": {"adaptor_config.intermediate_size": 8},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "glm5_next": {"text_config.index_kpool": 4},
    "glm5_next_text": {"index_kpool": 4},
    "gradium_phonon_tts": {"flow_head_config.condition_dim": 32},
    "informer": {"prediction_length": 5},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lw_detr": {"backbone_config.image_size": 64},
    "lw_detr_vit": {"image_size": 64},
    "molmo2": {"adapter_config.vision_feature_layer": [1, 0]},
    "pocket_tts": {"flow_head_config.condition_dim": 32},
    "deformable_detr": {"num_feature_levels": 3},
}
