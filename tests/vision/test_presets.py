"""Every preset's exact size: parameters and multiply-adds, in one table that no preset may be missing from."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitrail.errors import ConfigError
from vitrail.nn.attention import MultiHeadAttention
from vitrail.nn.cost import multiply_adds
from vitrail.vision import (
    MAE_PRESETS,
    PRESETS,
    MAEConfig,
    MaskedAutoencoder,
    ViT,
    ViTConfig,
    mae_config,
    vit_config,
)
from vitrail.vision.patches import pair

# With each preset's own image and patch size. The course's classifier tells 10 classes apart, the others 1,000.
# Published: 5.7M, 22.1M, 86.6M and 304.3M parameters, 1.3, 4.6, 17.6 and 61.6 GMACs (timm's results table).
VIT = {
    # name: parameters, multiply-adds
    "course": (3_191_562, 213_914_112),
    "tiny": (5_717_416, 1_253_683_200),
    "small": (22_050_664, 4_598_882_304),
    "base": (86_567_656, 17_563_828_224),
    "large": (304_326_632, 61_554_712_576),
}
# Published: 111,907,840 (base) and 329,541,888 (large) with the fixed tables of positions, our second column.
MAE = {
    # name: parameters, entries of fixed position tables, multiply-adds
    "course": (3_887_408, 8_320, 99_715_584),
    "tiny": (5_803_584, 56_736, 357_940_608),
    "small": (23_592_192, 113_472, 1_539_663_360),
    "base": (111_655_680, 252_160, 9_691_938_816),
    "large": (329_239_296, 302_592, 20_637_687_808),
}


def test_every_preset_is_in_the_table() -> None:
    assert VIT.keys() == PRESETS.keys()
    assert MAE.keys() == MAE_PRESETS.keys()


def inputs_of(config: ViTConfig | MAEConfig) -> tuple[torch.Tensor, ...]:
    """One image; an autoencoder reads the noise of its masks too."""
    encoder = config if isinstance(config, ViTConfig) else config.encoder
    images = torch.randn(1, encoder.channels, *pair(encoder.image_size))
    return (images,) if isinstance(config, ViTConfig) else (images, torch.rand(1, config.patches))


@pytest.mark.parametrize("name", VIT)
def test_vit_sizes(name: str) -> None:
    config = PRESETS[name](classes=10 if name == "course" else 1000)
    with torch.device("meta"):
        model = ViT(config)
    assert (sum(p.numel() for p in model.parameters()), multiply_adds(model, *inputs_of(config)).total) == VIT[name]


@pytest.mark.parametrize("name", MAE)
def test_mae_sizes(name: str) -> None:
    config = MAE_PRESETS[name]()
    with torch.device("meta"):
        model = MaskedAutoencoder(config).eval()  # predicts everywhere
    parameters, fixed = (sum(x.numel() for x in kind) for kind in (model.parameters(), model.buffers()))
    assert (parameters, fixed, multiply_adds(model, *inputs_of(config)).total) == MAE[name]


SMALL_VIT = ViTConfig((24, 40), 8, 3, 13, dim=28, depth=3, heads=7, mlp_dim=37)
SMALL_MAE = MAEConfig(replace(SMALL_VIT, classes=0), 44, 2, 11, 53, mask_ratio=0.7)


@pytest.mark.parametrize(
    "config",
    [
        SMALL_VIT,
        replace(SMALL_VIT, class_token=False, pool="mean", activation="swiglu"),
        replace(SMALL_VIT, stem="conv"),
        replace(SMALL_VIT, stem="conv", patch_size=2, image_size=(6, 10)),
        replace(SMALL_VIT, stem="conv", patch_size=4, image_size=(12, 20)),
        SMALL_MAE,
        replace(SMALL_MAE, decoder="cross"),
        replace(SMALL_MAE, encoder=replace(SMALL_VIT, classes=0, class_token=False, pool="mean"), decoder="cross"),
        PRESETS["course"](classes=10),
        MAE_PRESETS["course"](),
    ],
)
def test_multiply_adds_do_not_depend_on_the_path_of_attention(config: ViTConfig | MAEConfig) -> None:
    """Counted without numbers, over the fused kernel, and while real numbers go through explicit matrix products."""
    model = ViT(config) if isinstance(config, ViTConfig) else MaskedAutoencoder(config)
    cost = multiply_adds(model, *inputs_of(config)).total
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.path = "explicit"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs_of(config))
    assert cost == counter.get_total_flops() / 2


def test_parts_add_up() -> None:
    cost = multiply_adds(MaskedAutoencoder(SMALL_MAE), *inputs_of(SMALL_MAE))
    parts = [cost.of(part) for part in ("encoder", "decoder_embed", "decoder_blocks", "predict")]
    # The encoder is never called as a whole, for it reads visible patches only.
    assert cost.of("encoder") == cost.of("encoder.stem") + cost.of("encoder.blocks")
    assert min(parts) > 0
    assert sum(parts) == cost.total


def test_presets_read_the_images_they_are_told() -> None:
    config = vit_config("tiny", (16, 24), (4, 8), channels=1, classes=7)
    assert ViT(config)(torch.randn(2, 1, 16, 24)).shape == (2, 7)
    mae = mae_config("tiny", (16, 24), 8, channels=1)
    assert MaskedAutoencoder(mae)(torch.randn(2, 1, 16, 24), torch.rand(2, 6)).prediction.shape == (2, 6, 64)


def test_an_unknown_preset_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"no preset called 'smal', only course, tiny, .*large: did you mean small\?"):
        vit_config("smal", 32, 4)
    with pytest.raises(ConfigError, match=r"no preset called 'xxl', only .*: choose one of them"):
        mae_config("xxl", 32, 4)
