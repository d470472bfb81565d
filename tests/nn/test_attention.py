"""Attention against a naive loop, the two paths against each other, and the module against PyTorch's own."""

import math

import pytest
import torch
from torch import Tensor, nn

from vitrail.nn.attention import AttentionRecord, MultiHeadAttention, Path, attention, causal_mask

B, H, Q, K, D, DV = 2, 3, 5, 7, 11, 13
TOLERANCE = 1e-5  # float32, values and gradients


def naive(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """Equation 1 of Attention Is All You Need, one number at a time, in float64."""
    q, k, v = (x.detach().double() for x in (q, k, v))
    b, h, queries, _ = q.shape
    keys = k.shape[2]
    whole = None if mask is None else mask.expand(b, h, queries, keys)
    out = torch.zeros(b, h, queries, v.shape[-1], dtype=torch.float64)
    for example in range(b):
        for head in range(h):
            for i in range(queries):
                logits = []
                for j in range(keys):
                    logit = scale * float(
                        sum(q[example, head, i, a] * k[example, head, j, a] for a in range(q.shape[-1]))
                    )
                    if whole is not None:
                        entry = whole[example, head, i, j]
                        logit = (logit if entry else -math.inf) if entry.dtype == torch.bool else logit + float(entry)
                    if causal and j > i + keys - queries:
                        logit = -math.inf
                    logits.append(logit)
                top = max(logits)
                if top == -math.inf:
                    continue
                powers = [math.exp(logit - top) for logit in logits]
                for j, power in enumerate(powers):
                    out[example, head, i] += power / sum(powers) * v[example, head, j]
    return out


def boolean(queries: int, keys: int) -> Tensor:
    """A different mask for each example and query, every query seeing at least its first key."""
    mask = torch.rand(B, 1, queries, keys, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[..., 0] = True
    return mask


def additive(queries: int, keys: int) -> Tensor:
    """A bias for each head, with some keys forbidden."""
    bias = torch.randn(1, H, queries, keys, generator=torch.Generator().manual_seed(2))
    return bias.masked_fill(~boolean(queries, keys)[:1], float("-inf"))


def deaf(queries: int, keys: int) -> Tensor:
    """The second example's last query may attend nowhere."""
    mask = boolean(queries, keys)
    mask[1, :, -1] = False
    return mask


def deaf_additive(queries: int, keys: int) -> Tensor:
    return torch.zeros(B, 1, queries, keys).masked_fill(~deaf(queries, keys), float("-inf"))


def key_padding(queries: int, keys: int) -> Tensor:
    """One row of keys for all queries and heads; the second example is shorter."""
    lengths = torch.tensor([keys, keys - 2])
    return (torch.arange(keys) < lengths[:, None])[:, None, None]


MASKS = {
    "none": None,
    "boolean": boolean,
    "additive": additive,
    "deaf": deaf,
    "deaf additive": deaf_additive,
    "padding": key_padding,
}


def tensors(queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (B, H, queries, D), (B, H, keys, D), (B, H, keys, DV)
    q, k, v = (torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes)
    return q, k, v


def run(path: Path, queries: int, keys: int, mask: Tensor | None, causal: bool, scale: float | None) -> list[Tensor]:
    """The output and the gradients of q, k and v."""
    q, k, v = tensors(queries, keys)
    out = attention(q, k, v, mask=mask, causal=causal, scale=scale, path=path)
    out.mul(torch.randn(out.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    gradients = [x.grad for x in (q, k, v) if x.grad is not None]
    return [out.detach(), *gradients]


@pytest.mark.parametrize("queries", [Q, K, 1])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_both_paths_are_the_formula(name: str, causal: bool, queries: int, scale: float | None) -> None:
    make = MASKS[name]
    mask = None if make is None else make(queries, K)
    q, k, v = tensors(queries, K)
    expected = naive(q, k, v, mask, causal, D**-0.5 if scale is None else scale)
    fused = run("fused", queries, K, mask, causal, scale)
    explicit = run("explicit", queries, K, mask, causal, scale)
    torch.testing.assert_close(fused[0].double(), expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(explicit[0].double(), expected, atol=TOLERANCE, rtol=0)
    for one, other in zip(fused[1:], explicit[1:], strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=TOLERANCE, rtol=0)


def test_gradients_are_finite_differences() -> None:
    """The explicit path in float64, with a query that may attend nowhere."""
    q, k, v = (x.detach().double().requires_grad_() for x in tensors(Q, K))
    mask = deaf(Q, K)
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, mask=mask, path="explicit"), (q, k, v))


@pytest.mark.parametrize("name", ["deaf", "deaf additive"])
@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_a_query_that_may_attend_nowhere_gets_zeros_and_gives_none(path: Path, name: str) -> None:
    make = MASKS[name]
    assert make is not None
    out, dq, _, _ = run(path, Q, K, make(Q, K), False, None)
    assert (out[1, :, -1] == 0).all()
    assert (dq[1, :, -1] == 0).all()
    assert (out[0] != 0).all()


@pytest.mark.parametrize("name", ["deaf", "deaf additive"])
def test_a_deaf_query_makes_no_nan_on_the_way(name: str) -> None:
    """Not even one that is wiped out later: whoever looks for the origin of a NaN must not find this one."""
    make = MASKS[name]
    assert make is not None
    torch.autograd.set_detect_anomaly(True)
    try:
        run("explicit", Q, K, make(Q, K), False, None)
    finally:
        torch.autograd.set_detect_anomaly(False)


def test_with_more_keys_than_queries_the_last_query_sees_all() -> None:
    expected = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    assert torch.equal(causal_mask(3, 5), expected)


@pytest.mark.parametrize("path", ["auto", "fused", "explicit"])
@pytest.mark.parametrize("name", MASKS)
def test_half_precision_keeps_the_softmax_in_float32(path: Path, name: str) -> None:
    """bfloat16 inputs: within 2^-7 of the formula on the same rounded inputs, twice the spacing of bfloat16 at 1."""
    make = MASKS[name]
    mask = None if make is None else make(Q, K)
    q, k, v = (x.detach().bfloat16() for x in tensors(Q, K))
    out = attention(q, k, v, mask=mask, path=path)
    assert out.dtype == torch.bfloat16
    expected = naive(q, k, v, mask, False, D**-0.5)
    torch.testing.assert_close(out.double(), expected, atol=2**-6, rtol=2**-7)


def test_recorded_scores_are_float32_under_half_precision() -> None:
    seen: list[AttentionRecord] = []
    q, k, v = (x.detach().bfloat16() for x in tensors(Q, K))
    attention(q, k, v, tap=seen.append)
    assert seen[0].scores.dtype == seen[0].weights.dtype == torch.float32
    # bfloat16 weights would be off by up to 2^-9 each.
    torch.testing.assert_close(seen[0].weights.sum(-1), torch.ones(B, H, Q), atol=1e-6, rtol=0)


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    q, k, _ = (x.detach() for x in tensors(Q, K))
    v = torch.ones(B, H, K, DV)
    torch.manual_seed(0)
    outs = torch.stack([attention(q, k, v, dropout=0.3, path="explicit") for _ in range(400)])
    assert outs[0].std() > 0.05  # without dropout every row sums to exactly 1
    # A row's sum has a standard deviation below sqrt(0.3/0.7) = 0.65; the mean of 400, averaged over rows, below 0.01.
    assert abs(float(outs.mean()) - 1) < 0.03


# -- the tap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_tap_records_what_the_softmax_saw(name: str, causal: bool) -> None:
    make = MASKS[name]
    mask = None if make is None else make(Q, K)
    q, k, v = tensors(Q, K)
    seen: list[AttentionRecord] = []
    out = attention(q, k, v, mask=mask, causal=causal, path="fused", tap=seen.append)
    (record,) = seen
    assert record.output is out
    assert record.scale == D**-0.5
    assert torch.equal(record.q, q)
    assert torch.equal(record.k, k)
    assert torch.equal(record.v, v)
    rows = record.weights.sum(-1)
    heard = record.scores.isfinite().any(-1)
    torch.testing.assert_close(rows, heard.float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(record.scores[heard].softmax(-1), record.weights[heard], atol=1e-6, rtol=0)
    torch.testing.assert_close(record.weights @ v, out, atol=1e-6, rtol=0)
    raw = torch.einsum("bhqd,bhkd->bhqk", q, k) * D**-0.5
    if mask is None:
        allowed = torch.ones_like(raw, dtype=torch.bool)
    elif mask.dtype == torch.bool:
        allowed = mask.expand_as(raw)
    else:
        allowed, raw = (mask > float("-inf")).expand_as(raw), raw + mask
    if causal:
        allowed = allowed & causal_mask(Q, K)
    torch.testing.assert_close(record.scores, raw.masked_fill(~allowed, float("-inf")), atol=1e-5, rtol=0)


def test_gradients_flow_to_recorded_weights() -> None:
    """dL/dA of L = <G, A v> is G vᵀ."""
    seen: list[AttentionRecord] = []
    q, k, v = tensors(Q, K)
    out = attention(q, k, v, tap=seen.append)
    weighting = torch.randn_like(out)
    (out * weighting).sum().backward(inputs=[seen[0].weights, q], retain_graph=True)
    (gradient,) = torch.autograd.grad((out * weighting).sum(), seen[0].weights)
    torch.testing.assert_close(gradient, weighting @ v.detach().transpose(-2, -1), atol=1e-5, rtol=0)
    assert q.grad is not None


def test_a_module_is_tapped_and_untapped() -> None:
    module = MultiHeadAttention(12, 3)
    x = torch.randn(2, 5, 12)
    plain = module(x)
    seen: list[AttentionRecord] = []
    module.tap = seen.append
    recorded = module(x)
    module.tap = None
    module(x)
    assert [tuple(record.weights.shape) for record in seen] == [(2, 3, 5, 5)]
    torch.testing.assert_close(recorded, plain, atol=TOLERANCE, rtol=0)


# -- the module ------------------------------------------------------------------------------------------------------


def copy_self_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    """PyTorch stacks q, k and v as we do."""
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)


def randomise(module: nn.Module) -> None:
    """Biases and norms too: an unused one could not be told from zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_self_attention_is_pytorchs(path: Path, causal: bool) -> None:
    ours, theirs = MultiHeadAttention(21, 3), nn.MultiheadAttention(21, 3, batch_first=True)
    randomise(ours)
    copy_self_attention(ours, theirs)
    ours.path = path
    x = torch.randn(2, 5, 21)
    padding = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    mine, yours = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = ours(mine, mask=padding[:, None, None], causal=causal)
    blocked = ~causal_mask(5, 5) if causal else None
    expected, _ = theirs(yours, yours, yours, key_padding_mask=~padding, attn_mask=blocked, need_weights=False)
    torch.testing.assert_close(out, expected, atol=TOLERANCE, rtol=0)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(mine.grad, yours.grad, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(ours.qkv.weight.grad, theirs.in_proj_weight.grad, atol=1e-4, rtol=1e-5)


def test_cross_attention_is_pytorchs_with_another_width_and_length() -> None:
    ours = MultiHeadAttention(21, 3, memory_dim=17)
    theirs = nn.MultiheadAttention(21, 3, kdim=17, vdim=17, batch_first=True)
    randomise(ours)
    with torch.no_grad():
        k_weight, v_weight = ours.kv.weight.chunk(2)
        theirs.q_proj_weight.copy_(ours.q.weight)
        theirs.k_proj_weight.copy_(k_weight)
        theirs.v_proj_weight.copy_(v_weight)
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.kv.bias]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    x, memory = torch.randn(2, 5, 21), torch.randn(2, 7, 17)
    expected, weights = theirs(x, memory, memory, average_attn_weights=False)
    seen: list[AttentionRecord] = []
    torch.testing.assert_close(ours(x, memory), expected, atol=TOLERANCE, rtol=0)
    ours.tap = seen.append
    ours(x, memory)
    torch.testing.assert_close(seen[0].weights, weights, atol=TOLERANCE, rtol=0)


def test_dropout_only_while_training() -> None:
    module = MultiHeadAttention(12, 3, dropout=0.5)
    x = torch.randn(2, 5, 12)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="a width of 20 can't be split into 3 heads; choose heads that divide it"):
        MultiHeadAttention(20, 3)


def test_shapes_are_checked_while_tests_run() -> None:
    """The import hook of tests/conftest.py is on: a key of another width than the query is named."""
    with pytest.raises(Exception, match="parameter 'k'"):
        attention(torch.randn(B, H, Q, D), torch.randn(B, H, K, D + 1), torch.randn(B, H, K, DV))
