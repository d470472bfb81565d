"""Our models are the field's: outputs, losses, gradients to 1e-5 in float32 on random weights (``bench/parity.py``)."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOLERANCE = 1e-5
needs_timm = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm is missing: pip install --no-deps timm"
)


@pytest.fixture(scope="module")
def bench(root: Path) -> Iterator[ModuleType]:
    """The benchmark as a module, with its neighbour in reach."""
    sys.path.insert(0, str(root / "bench"))
    try:
        spec = importlib.util.spec_from_file_location("bench_parity", root / "bench" / "parity.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(root / "bench"))
        sys.modules.pop("bench_parity", None)


def check(difference: Any) -> None:
    assert difference.output <= TOLERANCE, difference
    assert difference.loss <= TOLERANCE, difference
    assert difference.gradient <= TOLERANCE, difference
    assert difference.exact, difference


@pytest.mark.parametrize(("activation", "eps"), [("gelu", 1e-6), ("gelu_pytorch_tanh", 1e-12), ("relu", 1e-2)])
def test_huggingface_vit(bench: ModuleType, activation: str, eps: float) -> None:
    check(bench.huggingface_vit(eps=eps, hidden_act=activation))


@pytest.mark.parametrize("norm_pix", [False, True])
def test_huggingface_mae(bench: ModuleType, norm_pix: bool) -> None:
    check(bench.huggingface_mae(norm_pix))


@needs_timm
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_timm_vit(bench: ModuleType, pool: str) -> None:
    check(bench.timm_vit(pool))


@needs_timm
@pytest.mark.parametrize("norm_pix", [False, True])
def test_facebook_mae(bench: ModuleType, norm_pix: bool) -> None:
    check(bench.facebook_mae(norm_pix))


@pytest.mark.slow
def test_base_size(bench: ModuleType) -> None:
    for difference in bench.full():
        check(difference)


@needs_timm
def test_the_comparison_sees_a_difference(bench: ModuleType) -> None:
    """Another epsilon on one side is seen: the tolerance is not so wide that it hides mistakes."""
    reference = bench.randomise(bench.FacebookMAE(28, 4, 3, 84, 5, 7, 44, 3, 11, 2.0, False))
    encoder = bench.ViTConfig(28, 4, 3, 0, 84, 5, 7, 168, positions="sincos", norm_eps=1e-4)
    config = bench.MAEConfig(encoder, 44, 3, 11, 88, mask_ratio=0.7, norm_pix=False)
    ours = bench.from_mae(reference.state_dict(), config)
    difference = bench.autoencoder(
        "", reference, lambda images, noise: reference(images, noise, 0.7), ours, bench.Naming(bench.to_mae)
    )
    assert difference.largest > TOLERANCE
    assert difference.exact
