"""The Vision Transformer: what is pooled, both stems, other image sizes, depths of parameters, refusals."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from vitrail.errors import ConfigError
from vitrail.nn.positions import sincos_2d
from vitrail.vision import ViT, ViTConfig

CONFIG = ViTConfig((6, 15), 3, 5, 11, dim=28, depth=3, heads=7, mlp_dim=37)  # 2 x 5 patches of 45 numbers


def vit(**changes: object) -> ViT:
    """A model in which nothing is zero."""
    torch.manual_seed(0)
    model = ViT(replace(CONFIG, **changes))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def images(seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 5, 6, 15, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("positions", ["learned", "sincos"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_forward_is_the_papers_equations(norm_first: bool, positions: str) -> None:
    """Equations 1 to 4 of the ViT paper, patch by patch, on PyTorch's own encoder layer."""
    model = vit(norm_first=norm_first, positions=positions)
    x = images()
    flat = [
        x[:, :, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3].permute(0, 2, 3, 1).flatten(1)
        for row in range(2)
        for column in range(5)
    ]
    stem = model.stem.project
    tokens = [patch @ stem.weight.T + stem.bias + model.positions[place] for place, patch in enumerate(flat)]
    tokens.insert(0, (model.class_token + model.class_position).expand(2, 28))
    z = torch.stack(tokens, dim=1)
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(28, 7, 37, 0.0, "gelu", 1e-6, batch_first=True, norm_first=norm_first).eval()
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(block.attention.qkv.weight)
            layer.self_attn.in_proj_bias.copy_(block.attention.qkv.bias)
        pairs = {
            layer.self_attn.out_proj: block.attention.out,
            layer.linear1: block.feed_forward.up,
            layer.linear2: block.feed_forward.down,
            layer.norm1: block.norm1,
            layer.norm2: block.norm2,
        }
        for theirs, ours in pairs.items():
            theirs.load_state_dict(ours.state_dict())
        z = layer(z)
    z = model.norm(z)
    torch.testing.assert_close(model.encode(x), z, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.embed(x), z[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(model(x), z[:, 0] @ model.head.weight.T + model.head.bias, atol=1e-5, rtol=0)


def test_pooling() -> None:
    x = images()
    model = vit(pool="mean")
    tokens = model.encode(x)
    assert tokens.shape == (2, 11, 28)
    torch.testing.assert_close(model.embed(x), sum(tokens[:, place] for place in range(1, 11)) / 10)
    model = vit(pool="mean", class_token=False)
    tokens = model.encode(x)
    assert tokens.shape == (2, 10, 28)
    torch.testing.assert_close(model.embed(x), sum(tokens[:, place] for place in range(10)) / 10)


def test_without_classes_the_model_gives_features() -> None:
    model = vit(classes=0)
    assert model.head is None
    assert torch.equal(model(images()), model.embed(images()))


@pytest.mark.parametrize("patch", [2, 4, 6])
def test_convolutional_stem_gives_one_vector_a_patch_and_overlaps(patch: int) -> None:
    model = vit(stem="conv", patch_size=patch, image_size=(2 * patch, 5 * patch))
    x = torch.randn(2, 5, 2 * patch, 5 * patch, requires_grad=True)
    assert model.patch_embeddings(x).shape == (2, 10, 28)
    model.stem.norm = nn.Identity()  # it mixes all places, which would hide what the windows do
    model.stem(x)[0, 1].square().sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0)
    assert (seen[:, :patch] > 0).any()  # the neighbour's pixels count
    assert seen[:, patch : 2 * patch].sum() > seen[:, :patch].sum()
    assert (seen[:, 4 * patch :] == 0).all()


@pytest.mark.parametrize("stem", ["patch", "conv"])
@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_embedding_some_patches_is_embedding_all_and_taking_those(stem: str, positions: str) -> None:
    model = vit(stem=stem, positions=positions, patch_size=2, image_size=(6, 14))
    places = torch.tensor([[7, 0, 20], [2, 11, 3]])
    x = images()[..., :14]
    some, every = model.patch_embeddings(x, places), model.patch_embeddings(x)
    torch.testing.assert_close(some, every.gather(1, places[..., None].expand_as(some)))
    some.sum().backward()
    if positions == "learned":
        counts = torch.zeros(len(model.positions)).index_add(0, places.flatten(), torch.ones(6))
        torch.testing.assert_close(model.positions.grad, counts[:, None].expand_as(model.positions))


def test_a_new_classifier_says_nothing_yet() -> None:
    """Zero weights: the first loss is log(classes) exactly."""
    torch.manual_seed(0)
    assert torch.equal(ViT(CONFIG)(images()), torch.zeros(2, 11))


def test_new_maps_are_xavier_uniform_each_of_q_k_v_on_its_own() -> None:
    torch.manual_seed(0)
    model = ViT(replace(CONFIG, dim=84))
    for part in model.blocks[0].attention.qkv.weight.chunk(3):
        bound = (6 / (84 + 84)) ** 0.5
        assert 0.95 * bound < float(part.detach().abs().max()) <= bound
    assert (model.blocks[0].attention.qkv.bias == 0).all()
    assert 0.01 < float(model.positions.detach().std()) < 0.03


@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_resized_reads_another_size_with_the_same_weights(positions: str) -> None:
    model = vit(positions=positions)
    other = model.resized((12, 21))
    assert other.config == replace(model.config, image_size=(12, 21))
    assert other(torch.randn(2, 5, 12, 21)).shape == (2, 11)
    for name, x in model.state_dict().items():
        if name != "positions":
            assert torch.equal(other.state_dict()[name], x), name
    if positions == "sincos":
        assert torch.equal(other.positions, sincos_2d((4, 7), 28))
    same = model.resized((6, 15))
    assert torch.equal(same(images()), model(images()))
    with torch.no_grad():
        other.head.weight.zero_()
    assert not torch.equal(model.head.weight, other.head.weight)  # a copy, not a view


def test_images_of_another_size_are_refused_with_the_remedy() -> None:
    message = r"reads images of 5 channels and 6x15 pixels, not 3 channels and 6x18; resize them, or .* resized\(\)"
    with pytest.raises(ConfigError, match=message):
        vit()(torch.randn(2, 3, 6, 18))


def test_parameter_depths_go_from_the_stem_to_the_head() -> None:
    model = vit()
    depths = {name: model.parameter_depth(name) for name, _ in model.named_parameters()}
    assert model.depth_count == 5
    assert {depths[name] for name in ("stem.project.weight", "class_token", "positions", "class_position")} == {0}
    for index in range(3):
        assert {depth for name, depth in depths.items() if name.startswith(f"blocks.{index}.")} == {index + 1}
    assert {depths[name] for name in ("norm.weight", "head.weight", "head.bias")} == {4}
    assert set(depths.values()) == set(range(5))


def test_no_weight_decay_names_parameters_that_exist() -> None:
    model = vit()
    assert model.no_weight_decay() <= {name for name, _ in model.named_parameters()}


def test_drop_path_rises_to_the_last_block() -> None:
    model = vit(drop_path=0.3, depth=4)
    assert [block.residual.drop_path for block in model.blocks] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [block.residual.drop_path for block in vit(drop_path=0.3, depth=1).blocks] == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 4}, r"images of 6x15 pixels can't be cut into patches of 4x4"),
        ({"heads": 5}, r"a width of 28 can't be split into 5 heads; choose a number of heads that divides it"),
        ({"class_token": False}, r"pooling by CLS needs a CLS token, but class_token is off; use pool=mean"),
        ({"dim": 30, "heads": 5, "positions": "sincos"}, r"need a width divisible by 4, not 30; .* learned positions"),
        ({"depth": 0}, r"depth is 0, but a model needs at least 1"),
        ({"heads": 0}, r"heads is 0, but a model needs at least 1"),
        ({"channels": -1}, r"channels is -1, but a model needs at least 1"),
        ({"classes": -1}, r"classes is -1; give the number of classes, or 0 for no classifier"),
        ({"stem": "conv"}, r"a convolutional stem needs square patches of an even size, not 3x3; .* the plain stem"),
    ],
)
def test_configurations_that_can_not_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)  # type: ignore[arg-type]
