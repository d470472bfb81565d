"""Blocks against PyTorch's TransformerEncoderLayer and TransformerDecoderLayer, values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.nn.attention import MultiHeadAttention, causal_mask
from vitrail.nn.blocks import (
    BlockConfig,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    Norm,
    Residual,
    activate,
    make_norm,
)
from vitrail.nn.cache import GrowingKeyValues

DIM, HEADS, HIDDEN, EPS = 21, 3, 29, 1e-3  # a large epsilon, so that one that is ignored shows


def randomise(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


def attention_weights(module: MultiHeadAttention) -> dict[str, nn.Parameter | Tensor]:
    if hasattr(module, "qkv"):
        weight, bias = module.qkv.weight, module.qkv.bias
    else:
        weight, bias = torch.cat([module.q.weight, module.kv.weight]), torch.cat([module.q.bias, module.kv.bias])
    return {
        "in_proj_weight": weight,
        "in_proj_bias": bias,
        "out_proj.weight": module.out.weight,
        "out_proj.bias": module.out.bias,
    }


def load(theirs: nn.Module, parts: dict[str, MultiHeadAttention | nn.Module]) -> None:
    """Copy our parts into PyTorch's layer under its names."""
    weights: dict[str, Tensor] = {}
    for name, part in parts.items():
        inside = attention_weights(part) if isinstance(part, MultiHeadAttention) else dict(part.named_parameters())
        weights |= {f"{name}.{key}": value.detach().clone() for key, value in inside.items()}
    theirs.load_state_dict(weights)


def gradients(module: nn.Module, parts: dict[str, MultiHeadAttention | nn.Module]) -> dict[str, Tensor]:
    """The gradients of our parts under PyTorch's names."""
    for parameter in module.parameters():
        assert parameter.grad is not None
        parameter.data = parameter.grad
    found: dict[str, Tensor] = {}
    for name, part in parts.items():
        inside = attention_weights(part) if isinstance(part, MultiHeadAttention) else dict(part.named_parameters())
        found |= {f"{name}.{key}": value.detach() for key, value in inside.items()}
    return found


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("causal", [True, False])
def test_encoder_block_is_pytorchs(norm_first: bool, activation: str, causal: bool) -> None:
    ours = EncoderBlock(BlockConfig(DIM, HEADS, HIDDEN, norm_first=norm_first, activation=activation, eps=EPS))  # type: ignore[arg-type]
    theirs = nn.TransformerEncoderLayer(
        DIM, HEADS, HIDDEN, 0.0, activation, layer_norm_eps=EPS, batch_first=True, norm_first=norm_first
    )
    randomise(ours)
    parts = {
        "self_attn": ours.attention,
        "linear1": ours.feed_forward.up,
        "linear2": ours.feed_forward.down,
        "norm1": ours.norm1,
        "norm2": ours.norm2,
    }
    load(theirs, parts)
    x = torch.randn(2, 5, DIM)
    padding = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    mine, yours = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = ours(mine, mask=padding[:, None, None], causal=causal)
    expected = theirs(yours, src_mask=~causal_mask(5, 5) if causal else None, src_key_padding_mask=~padding)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    weighting = torch.randn_like(out)
    (out * weighting).sum().backward()
    (expected * weighting).sum().backward()
    torch.testing.assert_close(mine.grad, yours.grad, atol=1e-4, rtol=1e-4)
    found = gradients(ours, parts)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_decoder_block_is_pytorchs(norm_first: bool, activation: str) -> None:
    ours = DecoderBlock(BlockConfig(DIM, HEADS, HIDDEN, norm_first=norm_first, activation=activation, eps=EPS))  # type: ignore[arg-type]
    theirs = nn.TransformerDecoderLayer(
        DIM, HEADS, HIDDEN, 0.0, activation, layer_norm_eps=EPS, batch_first=True, norm_first=norm_first
    )
    randomise(ours)
    assert ours.self_attention is not None
    parts = {
        "self_attn": ours.self_attention,
        "multihead_attn": ours.cross_attention,
        "linear1": ours.feed_forward.up,
        "linear2": ours.feed_forward.down,
        "norm1": ours.norm1,
        "norm2": ours.norm2,
        "norm3": ours.norm3,
    }
    load(theirs, parts)
    x, memory = torch.randn(2, 5, DIM), torch.randn(2, 7, DIM)
    padding = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    mine, yours = memory.clone().requires_grad_(), memory.clone().requires_grad_()
    out = ours(x, mine, causal=True, memory_mask=padding[:, None, None])
    expected = theirs(x, yours, tgt_mask=~causal_mask(5, 5), memory_key_padding_mask=~padding)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    weighting = torch.randn_like(out)
    (out * weighting).sum().backward()
    (expected * weighting).sum().backward()
    torch.testing.assert_close(mine.grad, yours.grad, atol=1e-4, rtol=1e-4)
    found = gradients(ours, parts)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_without_self_attention_positions_do_not_see_each_other(norm_first: bool) -> None:
    block = DecoderBlock(BlockConfig(DIM, HEADS, HIDDEN, norm_first=norm_first), memory_dim=13, self_attention=False)
    x, memory = torch.randn(2, 5, DIM), torch.randn(2, 7, 13)
    changed = x.clone()
    changed[:, 2] += 1
    before, after = block(x, memory), block(changed, memory)
    others = [0, 1, 3, 4]
    torch.testing.assert_close(after[:, others], before[:, others], atol=1e-6, rtol=0)
    assert not torch.allclose(after[:, 2], before[:, 2])
    assert not any(name.startswith(("self_attention", "norm1")) for name, _ in block.named_parameters())


def test_gated_activations_multiply_a_gate_with_a_value() -> None:
    x = torch.randn(3, 22)
    gate, value = x[:, :11], x[:, 11:]
    torch.testing.assert_close(activate(x, "swiglu"), gate * torch.sigmoid(gate) * value)
    torch.testing.assert_close(activate(x, "geglu"), F.gelu(gate) * value)
    torch.testing.assert_close(activate(x, "geglu_tanh"), F.gelu(gate, approximate="tanh") * value)
    network = FeedForward(BlockConfig(7, 1, 11, activation="swiglu"))
    assert network.up.weight.shape == (22, 7)
    assert network.down.weight.shape == (7, 11)
    assert network(torch.randn(2, 3, 7)).shape == (2, 3, 7)


def test_tanh_gelu_is_pytorchs() -> None:
    x = torch.randn(3, 5)
    torch.testing.assert_close(activate(x, "gelu_tanh"), nn.GELU(approximate="tanh")(x))
    assert not torch.equal(activate(x, "gelu_tanh"), activate(x, "gelu"))


@pytest.mark.parametrize(("kind", "mean"), [("layer", 0.0), ("rms", None)])
def test_norms(kind: Norm, mean: float | None) -> None:
    x = torch.randn(5, 101) * 3 + 2
    y = make_norm(kind, 101, 1e-6)(x)
    if mean is None:
        torch.testing.assert_close(y, x / x.square().mean(-1, keepdim=True).sqrt(), atol=1e-5, rtol=0)
    else:
        torch.testing.assert_close(
            y, (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0), atol=1e-5, rtol=0
        )


def test_drop_path_skips_whole_examples_and_keeps_the_mean() -> None:
    residual = Residual(drop_path=0.25)
    x, added = torch.zeros(4001, 3, 2), torch.ones(4001, 3, 2)
    torch.manual_seed(0)
    y = residual(x, added)
    per_example = y.flatten(1)
    assert (per_example == per_example[:, :1]).all()
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    # 4001 examples: the share kept has a standard error of 0.007.
    assert abs(float((y > 0).float().mean()) - 0.75) < 0.03
    residual.eval()
    assert torch.equal(residual(x, added), added)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_of_attention_alone(norm_first: bool) -> None:
    block = EncoderBlock(BlockConfig(DIM, HEADS, HIDDEN, norm_first=norm_first), feed_forward=False)
    randomise(block)
    x = torch.randn(2, 5, DIM)
    expected = x + block.attention(block.norm1(x)) if norm_first else block.norm1(x + block.attention(x))
    torch.testing.assert_close(block(x), expected)
    assert {name.partition(".")[0] for name, _ in block.named_parameters()} == {"norm1", "attention"}
    assert block(x, last=2).shape == (2, 2, DIM)


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_block_goes_on_from_a_cache(norm_first: bool) -> None:
    block = EncoderBlock(BlockConfig(DIM, HEADS, HIDDEN, norm_first=norm_first)).eval()
    randomise(block)
    x, cache = torch.randn(2, 7, DIM), GrowingKeyValues()
    parts = [block(part, causal=True, cache=cache) for part in x.split((4, 1, 2), dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), block(x, causal=True), atol=1e-5, rtol=1e-5)
