"""FaceNet's networks: exact sizes, the maps after every layer, the sums written out, and what they refuse."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.errors import ConfigError, ModelError
from vitrail.faces import tables
from vitrail.faces.layers import ResponseNorm
from vitrail.faces.networks import NETWORKS, FaceEmbedder, FaceNetwork, nn1, nn2, nn4, nns1, nns2
from vitrail.faces.sizes import RESNET_50, network_sizes
from vitrail.faces.tables import TABLES, FullyConnected, Inception, Row
from vitrail.nn.cost import count_weights, multiply_adds
from vitrail.vision import ViT, ViTConfig

EXACT = {
    # name: image, weights, multiply-adds, the latter in G
    "NN1": ((220, 220), 140_006_592, 1_605_944_064, "1.606"),
    "NN2": ((224, 224), 7_448_256, 1_596_530_688, "1.597"),
    "NN3": ((160, 160), 7_448_256, 814_620_672, "0.815"),
    "NN4": ((96, 96), 6_600_384, 284_741_632, "0.285"),
    # Our own designs.
    "NNS1": ((165, 165), 25_742_176, 221_237_856, "0.221"),
    "NNS2": ((140, 116), 4_221_104, 20_129_472, "0.020"),
}


def on_meta(build: object, *given: int) -> FaceNetwork:
    with torch.device("meta"):
        network = build(*given)  # type: ignore[operator]
    assert isinstance(network, FaceNetwork)
    return network


def test_every_network_is_in_the_tables() -> None:
    names = [table.name for table in TABLES]
    assert names == list(EXACT) == [name.upper() for name in NETWORKS]
    for name, build in NETWORKS.items():
        assert on_meta(build, 128).table is getattr(tables, name.upper())


def test_sizes_are_the_papers() -> None:
    rows = network_sizes()
    assert {row.name: (row.image_size, row.weights, row.multiply_adds, f"{row.multiply_adds / 1e9:.3f}") for row in rows[:-1]} == EXACT  # fmt: skip # noqa: E501
    assert rows[-1] == RESNET_50
    assert (RESNET_50.weights, RESNET_50.multiply_adds) == (25_557_032, 4_090_000_000)
    by_name = {row.name: row for row in rows}
    nn1_row, nn2_row, nn4_row = (by_name[name] for name in ("NN1", "NN2", "NN4"))
    assert (round(nn1_row.weights, -6), round(nn1_row.multiply_adds, -8)) == (140e6, 1.6e9)
    assert (nn1_row.paper_weights, nn1_row.paper_multiply_adds) == (140e6, 1.6e9)
    assert (round(nn2_row.multiply_adds, -8), nn2_row.paper_multiply_adds) == (1.6e9, 1.6e9)
    assert (round(nn4_row.multiply_adds, -6), nn4_row.paper_multiply_adds) == (285e6, 285e6)
    # The paper's 7.5M is what NN2 has with its biases.
    assert (
        round(sum(parameter.numel() for parameter in on_meta(nn2).parameters()), -5) == nn2_row.paper_weights == 7.5e6
    )


@pytest.mark.parametrize("name", ["NNS1", "NNS2"])
def test_our_designs_keep_to_the_published_budgets(name: str) -> None:
    row = next(row for row in network_sizes() if row.name == name)
    assert (row.paper_weights, row.paper_multiply_adds) == {"NNS1": (26e6, 220e6), "NNS2": (4.3e6, 20e6)}[name]
    assert row.paper_weights is not None
    assert row.paper_multiply_adds is not None
    assert 0.95 < row.weights / row.paper_weights < 1.05
    assert 0.95 < row.multiply_adds / row.paper_multiply_adds < 1.05
    assert row.layers == "ours, to the paper's budget: its own were never published"
    assert "our design" in (nns1.__doc__ or "")
    assert "our design" in (nns2.__doc__ or "")


def test_each_layer_costs_what_the_paper_says() -> None:
    """Table 1 of the paper, FLOPS in millions; those of 3x3 convolutions are 335, 521, 173, 116, 116."""
    cost = multiply_adds(on_meta(nn1), torch.empty(1, 3, 220, 220))
    found = {name.removeprefix("layers."): round(count / 1e6) for name, count in cost.modules.items()}
    assert {name: found[name] for name in found if name.startswith("conv") and "." not in name} == {
        "conv1": 114,  # the paper: 115
        "conv2a": 12,  # the paper: 13
        "conv2": 335,
        "conv3a": 29,
        "conv3": 520,  # the paper: 521
        "conv4a": 29,
        "conv4": 173,
        "conv5a": 13,
        "conv5": 116,
        "conv6a": 13,
        "conv6": 116,
    }
    assert (found["fc1"], found["fc2"]) == (103, 34)


# Channels, height and width after each layer, from the paper's tables.
NN1_MAPS = {
    "conv1": (64, 110), "pool1": (64, 55), "rnorm1": (64, 55), "conv2a": (64, 55), "conv2": (192, 55),
    "rnorm2": (192, 55), "pool2": (192, 28), "conv3a": (192, 28), "conv3": (384, 28), "pool3": (384, 14),
    "conv4a": (384, 14), "conv4": (256, 14), "conv5a": (256, 14), "conv5": (256, 14), "conv6a": (256, 14),
    "conv6": (256, 14), "pool4": (256, 7),
}  # fmt: skip
NN2_MAPS = {
    "conv1": (64, 112), "pool1": (64, 56), "inception2": (192, 56), "pool2": (192, 28),
    "inception3a": (256, 28), "inception3b": (320, 28), "inception3c": (640, 14),
    "inception4a": (640, 14), "inception4b": (640, 14), "inception4c": (640, 14), "inception4d": (640, 14),
    "inception4e": (1024, 7), "inception5a": (1024, 7), "inception5b": (1024, 7),
}  # fmt: skip


@pytest.mark.parametrize(("build", "expected"), [(nn1, NN1_MAPS), (nn2, NN2_MAPS)])
def test_maps_are_as_large_as_in_the_tables(build: object, expected: dict[str, tuple[int, int]]) -> None:
    network = on_meta(build)
    found: dict[str, tuple[int, ...]] = {}
    for name, layer in network.layers.named_children():
        layer.register_forward_hook(lambda _, __, y, name=name: found.update({name: tuple(y.shape[1:])}))
    network(torch.empty(1, 3, *network.image_size, device="meta"))
    assert {name: found[name] for name in expected} == {name: (c, side, side) for name, (c, side) in expected.items()}


def written_out(network: FaceNetwork, images: Tensor) -> Tensor:
    """The same pass in PyTorch's own functions, the weights taken one after the other."""
    weights = iter(network.parameters())

    def conv(x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = next(weights), next(weights)
        return F.relu(F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2))

    def pool(x: Tensor, stride: int, kind: str = "max") -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1))  # zeros don't change the largest of numbers that ReLU left
        return F.max_pool2d(padded, 3, stride) if kind == "max" else F.lp_pool2d(padded, 2.0, 3, stride)

    def inception(x: Tensor, row: Inception) -> Tensor:
        parts = [conv(x)] if row.one else []
        parts.append(conv(conv(x), row.stride))
        if row.five:
            parts.append(conv(conv(x), row.stride))
        pooled = pool(x, row.stride, row.pool)
        return torch.cat([*parts, conv(pooled) if row.project else pooled], dim=1)

    def layer(x: Tensor, row: Row) -> Tensor:
        match row:
            case tables.Conv():
                return conv(x, row.stride)
            case tables.Pool():
                return pool(x, 2)
            case tables.Norm():
                return F.local_response_norm(x, 5)
            case Inception():
                return inception(x, row)
            case tables.Average():
                return x.mean(dim=(2, 3))
            case tables.Grid():
                return F.adaptive_avg_pool2d(x, (row.rows, row.columns))
            case tables.Flatten():
                return x.flatten(1)
            case FullyConnected():
                pieces = F.linear(x, next(weights), next(weights))
                return torch.maximum(pieces[:, ::2], pieces[:, 1::2])

    x = images
    for row in network.table.rows:
        x = layer(x, row)
    x = F.linear(x, next(weights), next(weights))
    assert next(weights, None) is None
    return x / x.norm(dim=1, keepdim=True)


def small_nn1() -> FaceNetwork:
    """NN1 for images and fully connected layers that a test can afford."""
    rows = tuple(replace(row, units=11) if isinstance(row, FullyConnected) else row for row in tables.NN1.rows)
    return FaceNetwork(replace(tables.NN1, image_size=(37, 29), rows=rows), 7)


@pytest.mark.parametrize("build", [small_nn1, lambda: nn4(13), lambda: nns2(11), lambda: FaceNetwork(tables.NN2, 17)])
def test_a_network_computes_what_its_table_says(build: object) -> None:
    torch.manual_seed(3)
    network = build().double()  # type: ignore[operator]
    images = torch.rand(2, 3, 37, 29, dtype=torch.float64) * 2 - 1
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, std=0.1)
    found = network(images)
    assert found.shape == (2, network.embedding_dim)
    torch.testing.assert_close(found, written_out(network, images), atol=1e-9, rtol=0)


@pytest.mark.parametrize("dim", [64, 128, 256, 512])
def test_embeddings_are_unit_vectors_of_any_width(dim: int) -> None:
    network = nns2(dim)
    assert network.image_size == (140, 116)
    embeddings = network(torch.rand(3, 3, 140, 116) * 2 - 1)
    assert embeddings.shape == (3, dim)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_an_embedding_does_not_depend_on_its_batch() -> None:
    network = nns2().train()
    images = torch.rand(5, 3, 70, 58) * 2 - 1
    torch.testing.assert_close(network(images)[3:4], network(images[3:4]), atol=1e-6, rtol=1e-5)


def test_bf16_autocast() -> None:
    """Forward and backward; the embedding is float32 and near that of float32."""
    torch.manual_seed(4)
    network = nns2(67)
    images = torch.rand(5, 3, 70, 58) * 2 - 1
    exact = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = network(images)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    assert (embeddings - exact).norm(dim=1).max() < 0.03
    embeddings[:, 0].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_no_image_at_all_and_images_of_one_pixel() -> None:
    network = nns2(7)
    assert network(torch.zeros(0, 3, 140, 116)).shape == (0, 7)
    assert network(torch.zeros(2, 3, 1, 1)).shape == (2, 7)


def test_wrong_images_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="NN1 reads images of 3 channels and 37x29 pixels, not of 3 channels and 29x37"
    ):
        small_nn1()(torch.zeros(1, 3, 29, 37))
    with pytest.raises(ConfigError, match="NNS2 reads images of 3 channels and 140x116 pixels, not of 1 channels"):
        nns2()(torch.zeros(1, 1, 140, 116))
    with pytest.raises(ConfigError, match="an embedding of 0 numbers can't be meant: give 1 or more"):
        nns2(0)


def test_weights_are_counted_without_biases() -> None:
    network = nns2()
    biases = sum(parameter.numel() for name, parameter in network.named_parameters() if name.endswith("bias"))
    assert biases > 0
    assert count_weights(network) + biases == sum(parameter.numel() for parameter in network.parameters())


def test_response_norms_stand_where_the_tables_have_them() -> None:
    norms = {name for name, module in on_meta(nn2).named_modules() if isinstance(module, ResponseNorm)}
    assert norms == {"layers.norm1", "layers.norm2"}


SHAPE = ViTConfig((24, 40), 8, 3, dim=28, depth=1, heads=7, mlp_dim=37)


def test_any_backbone_becomes_a_face_network() -> None:
    vit = ViT(SHAPE)
    embedder = FaceEmbedder(vit, 28, 11)
    images = torch.randn(5, 3, 24, 40)
    embeddings = embedder(images)
    expected = vit.embed(images) @ embedder.embedding.linear.weight.T + embedder.embedding.linear.bias
    torch.testing.assert_close(embeddings, expected / expected.norm(dim=1, keepdim=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert embedder(images).dtype == torch.float32


@pytest.mark.parametrize(
    ("backbone", "dim", "text"),
    [
        (
            ViT(replace(SHAPE, classes=13)),
            28,
            r"the backbone ViT gives \[2, 13\] for 2 images, .* reads \[2, 28\]: give",
        ),
        (ViT(SHAPE), 29, r"the backbone ViT gives \[2, 28\] for 2 images, .* reads \[2, 29\]: give"),
        (nn.Identity(), 28, r"the backbone Identity gives \[2, 3, 24, 40\]"),
    ],
)
def test_a_backbone_of_another_width_is_refused(backbone: nn.Module, dim: int, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        FaceEmbedder(backbone, dim, 11)(torch.zeros(2, 3, 24, 40))
