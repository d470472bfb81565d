"""Conversion: there and back to the bit, folders that transformers loads, refusals that name what does not fit."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vitrail.errors import ConfigError, ModelError, OutputError
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViT, ViTConfig
from vitrail.vision.convert import from_huggingface, from_mae, from_timm, to_huggingface, to_mae, to_timm

VIT = ViTConfig((12, 20), 4, 5, 11, dim=28, depth=2, heads=7, mlp_dim=37)
ENCODER = replace(VIT, image_size=12, classes=0, positions="sincos")
MAE = MAEConfig(ENCODER, 44, 3, 11, 53, mask_ratio=0.6, norm_pix=False)


def randomised(model: Any) -> Any:
    """Nothing zero, and fixed tables that are not the formula's: what is carried must be what was there."""
    torch.manual_seed(0)
    model.load_state_dict({name: x + 0.1 * torch.randn_like(x) for name, x in model.state_dict().items()})
    return model.eval()


def vit(**changes: Any) -> ViT:
    return randomised(ViT(replace(VIT, **changes)))


def mae(encoder: dict[str, Any] | None = None, **changes: Any) -> MaskedAutoencoder:
    return randomised(MaskedAutoencoder(replace(MAE, encoder=replace(ENCODER, **(encoder or {})), **changes)))


def assert_same_bits(one: Any, other: Any) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, x in one.state_dict().items():
        assert torch.equal(x, other.state_dict()[name]), name


# -- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"classes": 0}, {"class_token": False, "pool": "mean"}, {"patch_size": (3, 5)}]
)
def test_timm_and_back(changes: dict[str, Any]) -> None:
    model = vit(**changes)
    assert_same_bits(from_timm(to_timm(model), model.config), model)


def test_facebook_and_back() -> None:
    model = mae()
    assert_same_bits(from_mae(to_mae(model), model.config), model)


@pytest.mark.parametrize("changes", [{}, {"classes": 0}, {"patch_size": (3, 5)}, {"activation": "gelu_tanh"}])
def test_huggingface_vit_and_back(changes: dict[str, Any], tmp_path: Path) -> None:
    model = vit(**changes)
    to_huggingface(model, tmp_path / "exported")
    back = from_huggingface(tmp_path / "exported")
    assert back.config == model.config
    assert_same_bits(back, model)


@pytest.mark.parametrize("norm_pix", [True, False])
def test_huggingface_mae_and_back(norm_pix: bool, tmp_path: Path) -> None:
    model = mae(norm_pix=norm_pix)
    to_huggingface(model, tmp_path)
    back = from_huggingface(tmp_path)
    assert back.config == model.config
    assert_same_bits(back, model)


def test_carried_weights_are_copies() -> None:
    model = mae()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    for x in to_mae(model).values():
        x.zero_()
    for name, x in before.items():
        assert torch.equal(x, model.state_dict()[name]), name


def test_facebook_names() -> None:
    """The published ones, spelled out."""
    found = {name: tuple(x.shape) for name, x in to_mae(mae()).items()}
    expected = {
        "cls_token": (1, 1, 28),
        "pos_embed": (1, 10, 28),
        "mask_token": (1, 1, 44),
        "decoder_pos_embed": (1, 10, 44),
        "patch_embed.proj.weight": (28, 5, 4, 4),
        "patch_embed.proj.bias": (28,),
        "norm.weight": (28,),
        "norm.bias": (28,),
        "decoder_embed.weight": (44, 28),
        "decoder_embed.bias": (44,),
        "decoder_norm.weight": (44,),
        "decoder_norm.bias": (44,),
        "decoder_pred.weight": (80, 44),
        "decoder_pred.bias": (80,),
    }
    for prefix, depth, dim, hidden in (("blocks", 2, 28, 37), ("decoder_blocks", 3, 44, 53)):
        for index in range(depth):
            shapes = {
                "norm1.weight": (dim,),
                "norm1.bias": (dim,),
                "attn.qkv.weight": (3 * dim, dim),
                "attn.qkv.bias": (3 * dim,),
                "attn.proj.weight": (dim, dim),
                "attn.proj.bias": (dim,),
                "norm2.weight": (dim,),
                "norm2.bias": (dim,),
                "mlp.fc1.weight": (hidden, dim),
                "mlp.fc1.bias": (hidden,),
                "mlp.fc2.weight": (dim, hidden),
                "mlp.fc2.bias": (dim,),
            }
            expected |= {f"{prefix}.{index}.{name}": shape for name, shape in shapes.items()}
    assert found == expected


def test_the_encoder_that_facebook_publishes_reads_as_timm() -> None:
    model = mae()
    encoder = {name: x for name, x in to_mae(model).items() if not name.startswith(("decoder", "mask_token"))}
    assert_same_bits(from_timm(encoder, model.config.encoder), model.encoder)


def test_patch_projection_is_the_same_as_a_convolution() -> None:
    model = vit(patch_size=(3, 5))
    weights = to_timm(model)
    x = torch.randn(2, 5, 12, 20)
    convolved = torch.nn.functional.conv2d(
        x, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=(3, 5)
    )
    torch.testing.assert_close(model.stem(x), convolved.flatten(2).transpose(1, 2), atol=1e-5, rtol=0)


# -- with transformers itself -----------------------------------------------------------------------------------------


def load_with_transformers(kind: str, folder: Path) -> Any:
    """from_pretrained, with nothing missing, nothing unexpected and nothing of another shape."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model, report = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
    for fault, names in report.items():
        assert not names, (fault, names)
    return model.eval()


def test_transformers_loads_an_exported_classifier(tmp_path: Path) -> None:
    model = vit()
    names = [f"kind {index}" for index in range(11)]
    to_huggingface(model, tmp_path, labels=names)
    theirs = load_with_transformers("ViTForImageClassification", tmp_path)
    x = torch.randn(2, 5, 12, 20)
    torch.testing.assert_close(theirs(x).logits, model(x), atol=1e-5, rtol=0)
    assert theirs.config.id2label == dict(enumerate(names))
    assert theirs.config.layer_norm_eps == model.config.norm_eps


def test_transformers_loads_an_exported_autoencoder(tmp_path: Path) -> None:
    model = mae()
    to_huggingface(model, tmp_path)
    theirs = load_with_transformers("ViTMAEForPreTraining", tmp_path)
    x, noise = torch.randn(2, 5, 12, 12), torch.rand(2, 9)
    expected = model(x, noise)
    found = theirs(x, noise=noise)
    torch.testing.assert_close(found.logits, expected.prediction, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.loss, expected.loss, atol=1e-5, rtol=0)


def test_transformers_loads_an_exported_encoder(tmp_path: Path) -> None:
    """Its pooler is a layer that ours doesn't have, so it is asked for without one."""
    import transformers

    model = vit(classes=0)
    to_huggingface(model, tmp_path)
    theirs = transformers.ViTModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    x = torch.randn(2, 5, 12, 20)
    torch.testing.assert_close(theirs(x).last_hidden_state, model.encode(x), atol=1e-5, rtol=0)


def reference(kind: str) -> Any:
    import transformers

    sizes = {
        "image_size": 12, "patch_size": 4, "num_channels": 5, "hidden_size": 28, "num_hidden_layers": 2,
        "num_attention_heads": 7, "intermediate_size": 37,
    }  # fmt: skip
    torch.manual_seed(0)
    if kind != "ViTMAEForPreTraining":
        return getattr(transformers, kind)(transformers.ViTConfig(**sizes, num_labels=11)).eval()
    decoder = {
        "decoder_hidden_size": 44, "decoder_num_hidden_layers": 3, "decoder_num_attention_heads": 11,
        "decoder_intermediate_size": 53,
    }  # fmt: skip
    return transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**sizes, **decoder)).eval()


KINDS = ("ViTForImageClassification", "ViTModel", "ViTMAEForPreTraining")


@pytest.mark.parametrize("kind", KINDS)
def test_what_transformers_saves_is_what_its_module_holds(kind: str, tmp_path: Path) -> None:
    """A folder and a live module carry three sets of names between them; all give the same model."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    theirs = reference(kind)
    theirs.save_pretrained(tmp_path / "one")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    live = from_huggingface(theirs)
    assert_same_bits(from_huggingface(tmp_path / "one"), live)
    assert_same_bits(from_huggingface(str(tmp_path / "shards")), live)


def test_a_published_pytorch_checkpoint_is_read(tmp_path: Path) -> None:
    """pytorch_model.bin with transformers 4's names."""
    model = mae()
    to_huggingface(model, tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert_same_bits(from_huggingface(tmp_path), model)


def test_half_precision_weights_are_read_exactly(tmp_path: Path) -> None:
    model = vit()
    to_huggingface(model, tmp_path)
    halves = {name: x.half() for name, x in load_file(tmp_path / "model.safetensors").items()}
    save_file(halves, tmp_path / "model.safetensors")
    back = from_huggingface(tmp_path)
    for name, x in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], x.half().float()), name


def test_exported_images_are_prepared_as_in_training(tmp_path: Path) -> None:
    import numpy as np
    import transformers
    from PIL import Image

    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    to_huggingface(vit(channels=3), tmp_path, mean=mean, std=std)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    pixels = np.random.default_rng(0).integers(256, size=(12, 20, 3), dtype=np.uint8)
    prepared = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    expected = (pixels.astype(np.float32) / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(prepared[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


# -- refusals ---------------------------------------------------------------------------------------------------------


def without(weights: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: x for name, x in weights.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: without(w, "blocks.1.attn.qkv.bias"),
            r"the state dict lacks blocks\.1\.attn\.qkv\.bias; check that the configuration",
        ),
        (
            lambda w: w | {"fc_norm.weight": torch.ones(28), "fc_norm.bias": torch.ones(28)},
            r"holds fc_norm\.bias, fc_norm\.weight, which the model has no place for; check",
        ),
        (
            lambda w: without(w, *[name for name in w if name.startswith("blocks.1")]),
            r"lacks blocks\.1\.attn\.proj\.bias, blocks\.1\.attn\.proj\.weight, blocks\.1\.attn\.qkv\.bias and 9 more;",
        ),
        (
            lambda w: without(w, "head.bias") | {"heads.bias": w["head.bias"]},
            r"lacks head\.bias and holds heads\.bias, which the model has no place for",
        ),
        (
            lambda w: w | {"pos_embed": torch.ones(1, 17, 28)},
            r"pos_embed is 1x17x28, but the model needs 1x16x28; check that the configuration \(image size",
        ),
        (
            lambda w: w | {"norm.bias": torch.ones(28, dtype=torch.int64)},
            r"norm\.bias is 28 of int64, but the model needs 28;",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        from_timm(change(to_timm(vit())), VIT)


def test_weights_of_a_folder_that_do_not_fit_are_named(tmp_path: Path) -> None:
    to_huggingface(vit(), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(without(weights, "classifier.bias"), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=rf"{tmp_path} lacks classifier\.bias; check"):
        from_huggingface(tmp_path)
    save_file(weights | {"classifier.weight": torch.ones(7, 28)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"classifier\.weight is 7x28, but the model needs 11x28"):
        from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"norm_first": False}, "post-norm blocks"),
        ({"final_norm": False}, "a model without a final norm"),
        ({"norm": "rms"}, "RMSNorm"),
        ({"stem": "conv"}, "a convolutional stem"),
        ({"activation": "swiglu"}, "the activation swiglu"),
    ],
)
def test_what_no_library_can_express_is_refused(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    message = rf" can't express {fault}; choose another target, or train a model without it"
    for convert in (to_timm, lambda model: to_huggingface(model, tmp_path / "out")):
        with pytest.raises(ModelError, match=message):
            convert(vit(**changes))
    with pytest.raises(ModelError, match="timm's VisionTransformer" + message):
        from_timm({}, replace(VIT, **changes))
    for convert in (to_mae, lambda model: to_huggingface(model, tmp_path / "out")):
        with pytest.raises(ModelError, match=message):
            convert(mae(changes))
    with pytest.raises(ModelError, match="facebookresearch/mae" + message):
        from_mae({}, replace(MAE, encoder=replace(ENCODER, **changes)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (lambda: vit(pool="mean"), "a classifier on the mean of the patches"),
        (lambda: vit(pool="mean", class_token=False, classes=0), "a model without a CLS token"),
        (lambda: mae(decoder="cross"), "a decoder by cross-attention"),
        (lambda: mae({"class_token": False, "pool": "mean"}), "an encoder without a CLS token"),
        (lambda: mae({"image_size": (12, 20)}), "images of 12x20 pixels"),
        (lambda: mae({"patch_size": (4, 2)}), "patches of 4x2 pixels"),
    ],
)
def test_what_huggingface_can_not_express_is_refused(model: Callable[[], Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"Hugging Face's ViT(MAE)? can't express {fault}; choose another target"):
        to_huggingface(model(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_kinds_of_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"this Linear is a Linear, not a ViTMAEForPreTraining, .* or ViTModel; choose"
    ):
        from_huggingface(torch.nn.Linear(2, 2))
    to_huggingface(vit(), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    for change, message in [
        (
            {"architectures": ["ViTForMaskedImageModeling"]},
            "is a ViTForMaskedImageModeling, not a ViTMAEForPreTraining",
        ),
        ({"architectures": None}, "is a model of no stated architecture, not a ViTMAEForPreTraining"),
        (
            {"hidden_act": "silu"},
            r"the model's activation silu is none of gelu, .*relu; choose a model with one of these",
        ),
        ({"qkv_bias": False}, r"a model with qkv_bias=false \(no biases in its attention\) has no place here; choose"),
    ]:
        (tmp_path / "config.json").write_text(json.dumps(settings | change))
        with pytest.raises(ModelError, match=message):
            from_huggingface(tmp_path)


def test_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no-such-model-here is no folder here, and no model of that name could be had"
    ):
        from_huggingface("no-such-model-here")
    with pytest.raises(ModelError, match=r"holds no config\.json that transformers can read; give a folder that"):
        from_huggingface(tmp_path)
    to_huggingface(vit(), tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or holds something else than weights; fetch"):
        from_huggingface(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=r"holds neither model\.safetensors nor pytorch_model\.bin; give a folder that"
    ):
        from_huggingface(tmp_path)


def test_labels_must_be_one_a_class(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="3 labels were given for 11 classes; give one name a class"):
        to_huggingface(vit(), tmp_path / "out", labels=["a", "b", "c"])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_can_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"file/out can't be written .*; free some room there or choose another folder"
    ):
        to_huggingface(vit(), tmp_path / "file" / "out")
    to_huggingface(vit(), tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "mine.txt").write_text("stays")

    def full(self: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left on device"):
        to_huggingface(vit(depth=3), tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*before, "mine.txt"])
    for name, content in before.items():
        assert (tmp_path / "out" / name).read_bytes() == content
