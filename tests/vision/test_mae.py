"""The masked autoencoder: what is hidden has no influence, the loss counts hidden patches only, pictures come back."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViTConfig, patchify, random_masking
from vitrail.vision.masking import take

ENCODER = ViTConfig((12, 20), 4, 5, dim=28, depth=2, heads=7, mlp_dim=37, positions="sincos")  # 3 x 5 patches of 80
CONFIG = MAEConfig(ENCODER, 44, 3, 11, 53, mask_ratio=0.6)
B, N, KEEP, NUMBERS = 3, 15, 6, 80


def mae(encoder: dict[str, object] | None = None, **changes: object) -> MaskedAutoencoder:
    """A model in which nothing is zero, CLS's place in the decoder included."""
    torch.manual_seed(0)
    vit = replace(ENCODER, **(encoder or {}))  # type: ignore[arg-type]
    model = MaskedAutoencoder(replace(CONFIG, encoder=vit, **changes))  # type: ignore[arg-type]
    model.load_state_dict({name: x + 0.2 * torch.randn_like(x) for name, x in model.state_dict().items()})
    return model.eval()


def inputs(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, 5, 12, 20, generator=generator), torch.rand(B, N, generator=generator)


KINDS = [
    pytest.param(encoder, changes, id=f"{encoder} {changes}")
    for encoder in ({}, {"stem": "conv"}, {"class_token": False, "pool": "mean"}, {"norm_first": False})
    for changes in (
        {},
        {"decoder": "cross"},
        {"norm_pix": False},
        {"masking": "block"},
        {"masking": "grid", "decoder": "cross"},
    )
]


@pytest.mark.parametrize(("encoder", "changes"), KINDS)
def test_hidden_pixels_do_not_reach_the_prediction(encoder: dict[str, object], changes: dict[str, object]) -> None:
    """Nor the latent: other pixels in hidden places leave both the same to the bit. Visible pixels do count."""
    model = mae(encoder, **changes)
    x, noise = inputs()
    output = model(x, noise)
    hidden = model.pixel_mask(output.mask).bool()
    assert hidden.shape == (B, 1, 12, 20)
    changed = torch.where(hidden, torch.randn_like(x) * 9, x)
    assert not torch.equal(changed, x)
    visible = noise.argsort(1)[:, :KEEP] if model.config.masking == "random" else (1 - output.mask).topk(KEEP).indices
    latents = [model.encode_visible(pixels, visible, output.mask) for pixels in (x, changed)]
    assert torch.equal(*latents)
    assert torch.equal(model(changed, noise).prediction, output.prediction)
    seen = torch.where(hidden, x, x + 1)
    assert not torch.allclose(model(seen, noise).prediction, output.prediction, atol=1e-3)


@pytest.mark.parametrize(("encoder", "changes"), KINDS)
def test_loss_is_the_naive_mean_over_hidden_patches(encoder: dict[str, object], changes: dict[str, object]) -> None:
    model = mae(encoder, **changes)
    x, noise = inputs()
    output = model(x, noise)
    assert output.mask.shape == (B, N)
    assert (output.mask.sum(1) == N - KEEP).all()
    assert output.count == B * (N - KEEP)
    assert output.prediction.shape == (B, N, NUMBERS)
    patches = patchify(x, 4)
    errors = []
    for example in range(B):
        for place in range(N):
            target = patches[example, place]
            if model.config.norm_pix:
                target = (target - target.mean()) / (target.var() + 1e-6) ** 0.5
            if output.mask[example, place] == 1:
                errors.append((output.prediction[example, place] - target).square().mean())
    expected = torch.stack(errors)
    torch.testing.assert_close(output.loss_sum, expected.sum(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(output.loss, expected.mean(), atol=1e-5, rtol=1e-5)


def test_visible_targets_do_not_count() -> None:
    """Only hidden patches get a gradient from the loss; the decoder answers visible places first."""
    model = mae()
    x, noise = inputs()
    answers: list[torch.Tensor] = []
    model.predict.register_forward_hook(lambda _module, _inputs, answer: answers.append(answer))
    output = model(x, noise)
    (gradient,) = torch.autograd.grad(output.loss_sum, answers[0])
    assert (gradient[:, :KEEP] == 0).all()
    assert (gradient[:, KEEP:] != 0).any(-1).all()


@pytest.mark.parametrize("norm_first", [True, False])
def test_training_leaves_out_what_bears_no_loss(norm_first: bool) -> None:
    """The same loss and gradients as with predictions everywhere, and none for visible places."""
    everywhere, hidden_only = mae({"norm_first": norm_first}), mae({"norm_first": norm_first}).train()
    x, noise = inputs()
    expected, found = everywhere(x, noise), hidden_only(x, noise)
    torch.testing.assert_close(found.loss, expected.loss)
    hidden = expected.mask[..., None]
    torch.testing.assert_close(found.prediction, expected.prediction * hidden, atol=1e-5, rtol=1e-5)
    assert (expected.prediction[expected.mask == 0] != 0).all()
    expected.loss.backward()
    found.loss.backward()
    for (name, one), other in zip(everywhere.named_parameters(), hidden_only.parameters(), strict=True):
        assert one.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("class_token", [True, False])
def test_random_masks_are_those_of_random_masking(class_token: bool) -> None:
    """forward and the public function share the shuffle: the encoder sees the same tokens in the same order."""
    model = mae({"class_token": class_token, "pool": "mean"})
    x, noise = inputs()
    kept, mask, ids_restore = random_masking(model.encoder.patch_embeddings(x), KEEP, noise)
    order = noise.argsort(1)
    output = model(x, noise)
    assert torch.equal(output.mask, mask)
    latent = model.encoder.run_blocks(kept)
    torch.testing.assert_close(model.encode_visible(x, order[:, :KEEP], mask), latent)
    decoded = model.decode(latent, order[:, :KEEP], order[:, KEEP:])
    torch.testing.assert_close(take(decoded, ids_restore), output.prediction)


def test_the_decoder_sees_tokens_at_their_places() -> None:
    """Written out: visible tokens where they were, the mask token elsewhere, positions added, CLS first."""
    model = mae()
    x, noise = inputs()
    output = model(x, noise)
    order = noise.argsort(1)
    latent = model.decoder_embed(model.encode_visible(x, order[:, :KEEP], output.mask))
    sequences = []
    for example in range(B):
        places = {int(place): index for index, place in enumerate(order[example, :KEEP])}
        tokens = [latent[example, 0] + model.decoder_class_position]
        for place in range(N):
            token = latent[example, 1 + places[place]] if place in places else model.mask_token
            tokens.append(token + model.decoder_positions[place])
        sequences.append(torch.stack(tokens))
    z = torch.stack(sequences)
    for block in model.decoder_blocks:
        z = block(z)
    torch.testing.assert_close(model.predict(model.decoder_norm(z))[:, 1:], output.prediction, atol=1e-5, rtol=0)


def test_cross_decoder_predicts_each_hidden_place_on_its_own() -> None:
    """A hidden place's prediction does not depend on which other places are asked for (CrossMAE, section 3.2)."""
    model = mae(decoder="cross")
    x, noise = inputs()
    output = model(x, noise)
    assert (output.prediction[output.mask == 0] == 0).all()
    order = noise.argsort(1)
    visible, hidden = order[:, :KEEP], order[:, KEEP:]
    latent = model.encode_visible(x, visible, output.mask)
    for subset in (hidden[:, :1], hidden[:, 2:5], hidden.flip(1)):
        asked = model.decode(latent, visible, subset)
        torch.testing.assert_close(asked, take(output.prediction, subset), atol=1e-5, rtol=0)


def test_cross_decoder_reads_visible_tokens_with_their_places() -> None:
    """Written out for one place: a query from mask token and position, memory from visible tokens and positions."""
    model = mae(decoder="cross")
    x, noise = inputs()
    output = model(x, noise)
    order = noise.argsort(1)
    latent = model.decoder_embed(model.encode_visible(x, order[:, :KEEP], output.mask))
    place = int(order[0, KEEP])
    memory = [latent[0, 0] + model.decoder_class_position]
    memory += [latent[0, 1 + i] + model.decoder_positions[order[0, i]] for i in range(KEEP)]
    z = (model.mask_token + model.decoder_positions[place])[None, None]
    for block in model.decoder_blocks:
        z = block(z, torch.stack(memory)[None])
    expected = model.predict(model.decoder_norm(z))[0, 0]
    torch.testing.assert_close(output.prediction[0, place], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm_pix", [True, False])
@pytest.mark.parametrize("decoder", ["self", "cross"])
def test_a_perfect_prediction_reconstructs_the_image(decoder: str, norm_pix: bool) -> None:
    model = mae(decoder=decoder, norm_pix=norm_pix)
    x, noise = inputs()
    x = x * 3 + 2  # contrast and brightness that norm-pix takes away
    perfect = replace(model(x, noise), prediction=model.targets(x))
    torch.testing.assert_close(model.reconstruct(x, perfect), x, atol=1e-5 if norm_pix else 0, rtol=0)


def test_norm_pix_targets_have_mean_zero_and_unbiased_variance_one() -> None:
    targets = mae().targets(inputs()[0] * 7 + 3)
    torch.testing.assert_close(targets.mean(-1), torch.zeros(B, N), atol=1e-5, rtol=0)
    torch.testing.assert_close(targets.var(-1), torch.ones(B, N), atol=1e-5, rtol=0)
    flat = mae().targets(torch.full((1, 5, 12, 20), 0.3))
    assert flat.isfinite().all()
    assert flat.abs().max() < 1e-3


def test_pixel_mask_is_the_patch_mask_enlarged() -> None:
    model = mae()
    x, noise = inputs()
    mask = model(x, noise).mask
    pixels = model.pixel_mask(mask)
    for row in range(12):
        for column in range(20):
            assert torch.equal(pixels[:, 0, row, column], mask[:, row // 4 * 5 + column // 4])


def test_another_ratio_for_one_call() -> None:
    model = mae()
    x, noise = inputs()
    assert (model(x, noise, mask_ratio=0.8).mask.sum(1) == 12).all()
    assert torch.equal(model(x, noise, mask_ratio=0.6).prediction, model(x, noise).prediction)
    with pytest.raises(ConfigError, match="leaves none of 15 patches visible"):
        model(x, noise, mask_ratio=0.99)


@pytest.mark.parametrize("decoder", ["self", "cross"])
def test_every_parameter_learns(decoder: str) -> None:
    model = mae(decoder=decoder)
    model(*inputs()).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_half_precision_loss_is_summed_in_float32() -> None:
    model = mae()
    x, noise = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(x, noise)
    assert output.loss_sum.dtype == torch.float32
    torch.testing.assert_close(output.loss, model(x, noise).loss, rtol=0.02, atol=0)


def test_parameters_of_the_cross_decoder() -> None:
    """Without its own queries' self-attention a block is the same size: q, kv and out instead of qkv and out."""
    same, cross = (sum(p.numel() for p in mae(decoder=kind).parameters()) for kind in ("self", "cross"))
    assert same == cross


def test_depths_put_the_decoder_after_the_encoder() -> None:
    model = mae()
    assert model.depth_count == 4
    assert model.parameter_depth("encoder.stem.project.weight") == 0
    assert model.parameter_depth("encoder.blocks.1.norm1.weight") == 2
    assert model.parameter_depth("encoder.norm.weight") == 3
    assert {model.parameter_depth(name) for name, _ in model.named_parameters() if not name.startswith("encoder.")} == {
        3
    }


def test_no_weight_decay_names_parameters_that_exist() -> None:
    model = mae({"positions": "learned"})
    assert model.no_weight_decay() <= {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_ratio": 1.0}, r"a mask ratio of 1\.0 hides nothing or everything"),
        ({"mask_ratio": 0.95}, r"a mask ratio of 0\.95 leaves none of 15 patches visible"),
        ({"decoder_heads": 5}, r"a decoder width of 44 can't be split into 5 heads"),
        ({"decoder_dim": 46, "decoder_heads": 2}, r"the decoder's sine-cosine .* divisible by 4, not 46"),
        ({"decoder_depth": 0}, r"decoder_depth is 0, but a decoder needs at least 1"),
    ],
)
def test_configurations_that_can_not_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)  # type: ignore[arg-type]
