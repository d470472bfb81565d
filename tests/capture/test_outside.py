"""Models that others wrote in plain PyTorch: timm's Vision Transformer, ``nn.TransformerEncoder``; and as they come."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitrail.capture import record_attention

needs_timm = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm is missing: pip install --no-deps timm"
)


@pytest.fixture(scope="module")
def timm(root: Path) -> Iterator[Any]:
    """timm's Vision Transformer, without the torchvision that it asks for."""
    sys.path.insert(0, str(root / "bench"))
    try:
        from references import timm_vision_transformer

        yield timm_vision_transformer()
    finally:
        sys.path.remove(str(root / "bench"))


@needs_timm
@pytest.mark.parametrize("norms", [False, True])
def test_a_vision_transformer_of_timm(timm: Any, norms: bool) -> None:
    torch.manual_seed(0)
    sizes = {"img_size": (10, 14), "patch_size": 2, "embed_dim": 12, "depth": 3, "num_heads": 3, "mlp_ratio": 1.5}
    model = timm.VisionTransformer(**sizes, num_classes=5, qk_norm=norms).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)  # so that no weights are uniform
    images = torch.randn(2, 3, 10, 14)
    with torch.no_grad():
        before = model(images)
        with record_attention(model) as record:
            after = model(images)
    assert torch.equal(before, after), "the fused kernel's output goes on"
    assert list(record.weights) == [f"blocks.{place}.attn" for place in range(3)]
    assert record.weights_only == []
    assert record.refused == {}
    own: list[Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False  # its own explicit path, which hands its weights to a dropout
        block.attn.attn_drop.register_forward_hook(lambda _, __, output: own.append(output))
    with torch.no_grad():
        model(images)
    for call, weights in zip(record, own, strict=True):
        assert call.weights.shape == (2, 3, 36, 36)
        assert (call.weights - weights).abs().max() <= 1e-6
        again = call.recomputed()
        assert again is not None
        assert (again - weights).abs().max() <= 1e-6


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_encoder_that_would_take_the_fast_path(norm_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(12, 3, 17, batch_first=True, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    read: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor, ...], kwargs: object) -> None:
        read.append(args[0])

    x = torch.randn(2, 7, 12)
    with torch.no_grad():
        before = model(x)
        handles = [part.self_attn.register_forward_pre_hook(keep, with_kwargs=True) for part in model.layers]
        with record_attention(model) as record:
            after = model(x)
        for handle in handles:
            handle.remove()
        assert (before - after).abs().max() <= 1e-6
        assert list(record.weights) == ["layers.0.self_attn", "layers.1.self_attn"]
        for call, part, given in zip(record, model.layers, read, strict=True):
            _, weights = part.self_attn(given, given, given, average_attn_weights=False)
            assert (call.weights - weights).abs().max() <= 1e-6
