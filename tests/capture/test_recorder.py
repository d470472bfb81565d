"""Every listener: the weights are the model's, its outputs stay, and nothing is left behind."""

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from capture_models import TimmLikeAttention, WrittenOut, stacked, vitrail_models
from torch import Tensor, nn

from vitrail.capture import Call, record_attention
from vitrail.capture.call import weights_of
from vitrail.errors import ModelError
from vitrail.nn.attention import MultiHeadAttention

MODELS = vitrail_models()


def tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from tensors(part)
    elif hasattr(output, "prediction"):
        yield output.prediction


def hooks_of(module: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_always_called")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_heard_and_outputs_stay(name: str) -> None:
    model, inputs, layers = MODELS[name]
    with torch.no_grad():
        before = list(tensors(model(*inputs)))
        with record_attention(model) as record:
            after = list(tensors(model(*inputs)))
    assert len(record) == layers
    assert len({call.layer for call in record}) == layers
    assert record.refused == {}
    assert record.weights_only == []
    for old, new in zip(before, after, strict=True):
        assert torch.allclose(old, new, atol=1e-6)
    for call in record:
        again = call.recomputed()
        assert again is not None
        assert (again - record.weights[call.name]).abs().max() <= 1e-6
        assert torch.allclose(call.weights.sum(-1), torch.ones(()), atol=1e-5)
        assert call.output is not None
        assert call.v is not None
        assert torch.allclose(call.weights @ call.v, call.output, atol=1e-6)
    assert hooks_of(model) == 0
    assert all(part.tap is None for part in model.modules() if isinstance(part, MultiHeadAttention))


def test_streams_of_our_own_models() -> None:
    model, inputs, _ = MODELS["seq2seq"]
    with record_attention(model) as record, torch.no_grad():
        model(*inputs)
    assert [tuple(call.weights.shape[2:]) for call in record] == [(11, 11)] * 2 + [(5, 5), (5, 11)] * 3
    assert [call.cross for call in record] == [False] * 2 + [False, True] * 3
    model, inputs, _ = MODELS["mae"]
    with record_attention(model) as record, torch.no_grad():
        model(*inputs)
    assert record["encoder.blocks.0.attention"].weights.shape == (2, 3, 9, 9)  # CLS and 8 of 35 patches are visible
    assert record["decoder_blocks.1.attention"].weights.shape == (2, 5, 36, 36)


def test_relative_bias_and_mask_are_told_apart() -> None:
    model, (source, target), _ = MODELS["relative"]
    source = source.clone()
    source[1, 7:] = 0
    with record_attention(model) as record, torch.no_grad():
        model(source, target)
    call = record.calls[0]
    assert call.bias is not None
    assert call.mask is not None
    assert call.mask.dtype == torch.bool
    assert not call.mask[1, ..., 7:].any()
    assert torch.isfinite(call.bias).all()


def naive(x: Tensor, layer: WrittenOut, causal: bool) -> Tensor:
    """Weights by loops."""
    b, n, d = x.shape
    q, k = (f(x).view(b, n, layer.num_heads, -1) for f in (layer.q, layer.k))
    weights = torch.zeros(b, layer.num_heads, n, n)
    for e in range(b):
        for h in range(layer.num_heads):
            for i in range(n):
                seen = range(i + 1) if causal else range(n)
                scores = torch.stack([q[e, i, h] @ k[e, j, h] for j in seen]) * (d // layer.num_heads) ** -0.5
                weights[e, h, i, list(seen)] = scores.softmax(0)
    return weights


def test_weights_are_those_of_a_loop() -> None:
    layer = WrittenOut(15, 5).eval()
    x = torch.randn(2, 7, 15)
    with record_attention(layer) as record, torch.no_grad():
        layer(x)
        expected = naive(x, layer, causal=True)
    call = record.calls[0]
    assert call.source == "formula"
    assert call.scale == pytest.approx(3**-0.5)
    assert call.bias is None
    assert call.mask is not None
    assert torch.equal(call.mask[0, 0], torch.ones(7, 7, dtype=torch.bool).tril())
    assert torch.allclose(record.weights[""], expected, atol=1e-6)


class Batched(nn.Module):
    """Heads folded into the batch, as BLOOM does it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 3

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        scores = torch.baddbmm(bias.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=0.4)
        weights = scores.view(2, 3, 5, 7).softmax(-1)
        return torch.bmm(weights.view(6, 5, 7), v.flatten(0, 1))


class Summed(nn.Module):
    """Letters for axes, as XLNet does it."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        scores = torch.einsum("ibnd,jbnd->bnij", q.permute(2, 0, 1, 3), k.permute(2, 0, 1, 3)) * 0.4
        weights = (scores + bias).softmax(dim=3)
        return torch.einsum("bnij,jbnd->ibnd", weights, v.permute(2, 0, 1, 3))


@pytest.mark.parametrize("kind", [Batched, Summed])
def test_other_ways_to_write_it(kind: type[nn.Module]) -> None:
    q, k, v = torch.randn(2, 3, 5, 11), torch.randn(2, 3, 7, 11), torch.randn(2, 3, 7, 13)
    bias = torch.randn(2, 3, 5, 7)
    module = kind()
    with record_attention(module) as record:
        module(q, k, v, bias)
    (call,) = record.calls
    assert torch.allclose(call.weights, (q @ k.transpose(-1, -2) * 0.4 + bias).softmax(-1), atol=1e-6)
    assert call.q is not None
    assert call.k is not None
    assert call.v is not None
    assert call.bias is not None
    assert torch.equal(call.q, q)
    assert torch.equal(call.k, k)
    assert torch.equal(call.v, v)
    assert torch.allclose(call.bias, bias, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"need_weights": False},
        {"attn_mask": torch.ones(5, 7, dtype=torch.bool).triu(3)},
        {"attn_mask": torch.randn(6, 5, 7), "need_weights": False},
        {"key_padding_mask": torch.arange(7)[None] > torch.tensor([[4], [6]])},
    ],
    ids=["plain", "fused", "mask", "bias", "padding"],
)
@pytest.mark.parametrize("settings", [{}, {"kdim": 11, "vdim": 13}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_multi_head_attention_is_what_pytorch_says(options: dict[str, Any], settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(12, 3, batch_first=True, **settings).eval()
    q = torch.randn(2, 5, 12)
    k = torch.randn(2, 7, settings.get("kdim", 12))
    v = torch.randn(2, 7, settings.get("vdim", 12))
    with torch.no_grad():
        _, expected = layer(q, k, v, **{**options, "need_weights": True}, average_attn_weights=False)
        plain = layer(q, k, v, **options)[0]
        with record_attention(layer) as record:
            heard = layer(q, k, v, **options)[0]
    assert torch.equal(plain, heard)
    (call,) = record.calls
    assert torch.allclose(call.weights, expected, atol=1e-6)
    assert call.cross


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_padded_batch_off_the_fast_path() -> None:
    layer = nn.TransformerEncoderLayer(12, 4, 17, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).eval()
    x, padding = torch.randn(2, 7, 12), torch.arange(7)[None] > torch.tensor([[6], [3]])
    with torch.no_grad(), record_attention(model) as record:
        heard = model(x, src_key_padding_mask=padding)
    with torch.no_grad():
        plain = model(x, src_key_padding_mask=padding)
    assert torch.allclose(heard[1, :4], plain[1, :4], atol=1e-6)
    for weights in record.weights.values():
        assert weights.shape == (2, 4, 7, 7)
        assert (weights[1, ..., 4:] == 0).all()


@pytest.mark.parametrize("shape", [(5, 11), (3, 5, 11), (2, 3, 5, 11), (2, 7, 3, 5, 11)])
def test_fused_attention_of_any_rank(shape: tuple[int, ...]) -> None:
    class Fused(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3)

    x = torch.randn(shape)
    with record_attention(Fused()) as record:
        assert record.calls == []
        Fused()(x)
    seen = torch.ones(5, 5, dtype=torch.bool).tril()
    expected = (x @ x.transpose(-1, -2) * 0.3).masked_fill(~seen, float("-inf")).softmax(-1)
    assert torch.allclose(record.calls[0].weights.reshape(expected.shape), expected, atol=1e-6)


def test_half_precision_gives_float32_weights() -> None:
    model = stacked(lambda: TimmLikeAttention(12, 3)).eval().bfloat16()
    x = torch.randn(2, 7, 12).bfloat16()
    with record_attention(model) as record, torch.no_grad():
        after = model(x)
    assert torch.equal(after, model(x))
    assert {weights.dtype for weights in record.weights.values()} == {torch.float32}


def test_calls_are_handed_on_one_by_one() -> None:
    model, inputs, layers = MODELS["vit"]
    heard: list[Call] = []
    with record_attention(model, each=heard.append) as record, torch.no_grad():
        model(*inputs)
    assert record.calls == []
    assert len(heard) == layers


def test_a_module_called_twice_is_counted() -> None:
    layer = TimmLikeAttention(12, 3)
    model = nn.Sequential(layer, layer)
    with record_attention(model) as record:
        model(torch.randn(1, 5, 12))
    assert list(record.weights) == ["0", "0@2"]
    assert {call.layer for call in record} == {"0"}


def test_an_exception_leaves_nothing_behind() -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = TimmLikeAttention(12, 3)
            self.own = MultiHeadAttention(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.inner(self.own(x))
            raise RuntimeError("stop")

    model = Failing()
    fast = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError, match="stop"), record_attention(model):
        model(torch.randn(1, 5, 12))
    assert hooks_of(model) == 0
    assert model.own.tap is None
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_a_tap_of_somebody_else_still_hears() -> None:
    layer = MultiHeadAttention(12, 3)
    heard: list[object] = []
    layer.tap = heard.append
    with record_attention(layer) as record:
        layer(torch.randn(1, 5, 12))
    assert len(heard) == len(record) == 1
    assert layer.tap == heard.append


def test_a_model_without_attention_is_refused() -> None:
    model = nn.Linear(3, 5)
    with pytest.raises(ModelError, match="Linear computed no attention while it was recorded"), record_attention(model):
        model(torch.randn(2, 3))


def test_attention_that_cannot_be_heard_is_named() -> None:
    class LinearAttention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ (x.transpose(-1, -2) @ x)

    alone = LinearAttention()
    with pytest.raises(ModelError, match="LinearAttention carries a state along"), record_attention(alone):
        alone(torch.randn(2, 5, 12))
    hybrid = nn.Sequential(LinearAttention(), TimmLikeAttention(12, 3))
    with record_attention(hybrid) as record:
        hybrid(torch.randn(2, 5, 12))
    assert list(record.refused) == ["0"]
    assert "no weights" in record.refused["0"]


@pytest.mark.filterwarnings("ignore:.*jit.trace:DeprecationWarning")
def test_a_compiled_module_is_refused() -> None:
    scripted = torch.jit.trace(nn.Linear(3, 5), torch.randn(2, 3))
    with pytest.raises(ModelError, match="is compiled"), record_attention(nn.Sequential(scripted)):
        pass


def test_large_matrices_are_made_head_by_head(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k = torch.randn(2, 6, 5, 7), torch.randn(2, 3, 11, 7)
    terms: list[dict[str, Any]] = [
        {"mask": torch.rand(2, 1, 5, 11) > 0.3, "bias": torch.randn(1, 6, 5, 11), "sinks": torch.randn(6)},
        {"mask": torch.randn(2, 6, 5, 11), "softcap": 1.5},
        {"bias": torch.randn(6, 5, 11), "sinks": torch.randn(2, 6, 5, 1)},
        {"mask": torch.randn(5, 11)},
    ]
    for given in terms:
        with torch.no_grad():
            at_once = weights_of(q, k, scale=0.4, **given)
            monkeypatch.setattr("vitrail.capture.call.LARGE", 1)
            one_by_one = weights_of(q, k, scale=0.4, **given)
            monkeypatch.undo()
        assert torch.allclose(at_once, one_by_one, atol=1e-7)


def llama() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=17,
        hidden_size=12,
        intermediate_size=19,
        num_hidden_layers=3,
        num_attention_heads=6,
        initializer_range=0.3,
    )
    config.num_key_value_heads = 3
    return transformers.LlamaModel(config).eval()


def test_the_interface_is_asked_group_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = llama(), torch.randint(0, 17, (2, 7))
    records = []
    for large in (2**24, 1):
        monkeypatch.setattr("vitrail.capture.huggingface.LARGE", large)
        with torch.no_grad(), record_attention(model) as record:
            model(ids)
        records.append(record)
    for one, other in zip(*records, strict=True):
        assert torch.allclose(one.weights, other.weights, atol=1e-7)
        assert torch.allclose(one.output, other.output, atol=1e-6)


def test_one_layers_weights_are_in_memory_at_a_time() -> None:
    model, ids = llama(), torch.randint(0, 17, (1, 7))
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def count(call: Call) -> None:
        nonlocal most
        alive.append(weakref.ref(call.weights))
        most = max(most, sum(one() is not None for one in alive))

    with torch.no_grad(), record_attention(model, each=count):
        model(ids)
    assert len(alive) == 3
    assert most == 1
