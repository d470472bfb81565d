"""The Masked Autoencoder exercise: names, signatures, weights, and numbers beside plain PyTorch."""

import inspect
from pathlib import Path
from typing import Any

import homework_plain as plain
import pytest
import torch
from torch import nn

from vitrail.capture import record_attention
from vitrail.homework import mae

SIGNATURES = {
    "patchify": "(images, patch_size=4)",
    "unpatchify": "(patches, patch_size=4)",
    "index_sequence": "(x, ids)",
    "random_masking": "(x, keep_length, ids_shuffle)",
    "restore_masked": "(kept_x, masked_x, ids_restore)",
    "Transformer": "(embedding_dim=256, n_heads=4, n_layers=4, feedforward_dim=1024)",
    "ClassificationViT": "(n_classes, embedding_dim=256, patch_size=4, num_patches=8)",
    "MaskedAutoEncoder": "(encoder, decoder, encoder_embedding_dim=256, decoder_embedding_dim=128, patch_size=4, "
    "num_patches=8, mask_ratio=0.75)",
    "ClassificationMAE": "(n_classes, mae, embedding_dim=256, detach=False)",
    "MaskedAutoEncoder.forward_encoder": "(self, images, ids_shuffle=None)",
    "MaskedAutoEncoder.forward_decoder": "(self, embeddings, ids_restore)",
    "MaskedAutoEncoder.forward": "(self, images)",
    "MaskedAutoEncoder.forward_encoder_representation": "(self, images)",
}


def bare(function: Any) -> str:
    """A signature without types."""
    signature = inspect.signature(function)
    kept = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(inspect.Signature(kept))


def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)

    def autoencoder() -> mae.MaskedAutoEncoder:
        return mae.MaskedAutoEncoder(mae.Transformer(256, n_layers=4), mae.Transformer(128, n_layers=2))

    return {
        "ClassificationViT": mae.ClassificationViT(10),
        "MaskedAutoEncoder": autoencoder(),
        "ClassificationMAE": mae.ClassificationMAE(10, autoencoder()),
    }


def test_the_names_are_those_of_the_course() -> None:
    assert sorted(mae.__all__) == sorted(name for name in SIGNATURES if "." not in name)
    namespace: dict[str, Any] = {}
    exec("from vitrail.homework.mae import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(mae.__all__)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    thing = mae
    for part in name.split("."):
        thing = getattr(thing, part)
    assert bare(thing) == SIGNATURES[name]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("ClassificationViT", 3_191_562), ("MaskedAutoEncoder", 3_895_344), ("ClassificationMAE", 3_898_426)],
)
def test_weights_have_the_names_and_shapes_of_the_courses(name: str, parameters: int) -> None:
    """Plain PyTorch's encoder layers, under the course's names, say which they are."""
    ours = models()[name]
    theirs = plain.course_file(0)["weights"][name]
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in theirs.items()}
    assert sum(x.numel() for x in ours.parameters()) == parameters


def test_some_weights_by_name() -> None:
    state = models()["ClassificationMAE"].state_dict()
    shapes = {
        "mae.cls_token": (1, 1, 256),
        "mae.encoder_position_encoding": (1, 64, 256),
        "mae.decoder_position_encoding": (1, 64, 128),
        "mae.masked_tokens": (1, 1, 128),
        "mae.encoder.transformer.layers.3.self_attn.in_proj_weight": (768, 256),
        "mae.decoder.transformer.layers.1.linear1.weight": (1024, 128),
        "output_head.0.bias": (256,),
        "output_head.1.weight": (10, 256),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_patches_there_and_back() -> None:
    images = torch.randn(2, 3, 12, 12)
    assert torch.equal(mae.patchify(images), plain.patchify(images))
    assert torch.equal(mae.unpatchify(mae.patchify(images)), images)
    assert torch.equal(mae.patchify(images, patch_size=3), plain.patchify(images, 3))
    assert torch.equal(mae.unpatchify(mae.patchify(images, 3), 3), images)


def test_sequences_are_indexed_with_and_without_width() -> None:
    x, ids = torch.randn(3, 7, 5), torch.rand(3, 7).argsort(1)[:, :2]
    assert torch.equal(mae.index_sequence(x, ids), plain.index_sequence(x, ids))
    assert torch.equal(mae.index_sequence(x[..., 0], ids), plain.index_sequence(x[..., 0], ids))


@pytest.mark.parametrize("keep", [1, 4, 7])
def test_masking_and_restoring(keep: int) -> None:
    x, order = torch.randn(3, 7, 5), torch.rand(3, 7).argsort(1)
    kept, mask, restore = mae.random_masking(x, keep, order)
    for ours, theirs in zip((kept, mask, restore), plain.random_masking(x, keep, order), strict=True):
        assert torch.equal(ours, theirs)
    masked = mae.index_sequence(x, order[:, keep:])
    assert torch.equal(mae.restore_masked(kept, masked, restore), x)


def test_forward_joins_encoder_and_decoder_and_draws_the_mask() -> None:
    model, images = models()["MaskedAutoEncoder"], torch.randn(2, 3, 32, 32)
    torch.manual_seed(3)
    patches, mask = model(images)
    torch.manual_seed(3)
    embeddings, again, restore = model.forward_encoder(images)
    assert torch.equal(patches, model.forward_decoder(embeddings, restore))
    assert torch.equal(mask, again)
    assert patches.shape == (2, 64, 48)
    assert mask.sum(1).tolist() == [48, 48]
    assert not torch.equal(mask[0], mask[1])


@pytest.mark.parametrize("detach", [True, False])
def test_detached_only_the_head_learns(detach: bool) -> None:
    classifier = mae.ClassificationMAE(7, models()["MaskedAutoEncoder"], detach=detach)
    classifier(torch.randn(2, 3, 32, 32)).sum().backward()
    assert classifier.output_head[1].weight.grad is not None
    assert (classifier.mae.cls_token.grad is None) == detach


def test_its_attention_can_be_looked_at() -> None:
    model = models()["ClassificationViT"]
    with record_attention(model) as record:
        model(torch.randn(2, 3, 32, 32))
    assert [weights.shape for weights in record.weights.values()] == [(2, 4, 65, 65)] * 4


def test_other_sizes() -> None:
    vit = mae.ClassificationViT(5, embedding_dim=28, patch_size=3, num_patches=2)
    assert vit(torch.randn(2, 3, 6, 6)).shape == (2, 5)
    encoder, decoder = mae.Transformer(28, 7, 1, 37), mae.Transformer(12, 3, 1, 37)
    model = mae.MaskedAutoEncoder(encoder, decoder, 28, 12, patch_size=3, num_patches=5, mask_ratio=0.6)
    patches, mask = model(torch.randn(2, 3, 15, 15))
    assert patches.shape == (2, 25, 27)
    assert mask.sum(1).tolist() == [15, 15]


def test_the_files_are_made_without_vitrail() -> None:
    source = Path(plain.__file__).read_text()
    assert "import vitrail" not in source
    assert "from vitrail" not in source
