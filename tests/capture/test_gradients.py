"""Gradients against central differences in float64, for every listener; interventions against edited models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from capture_models import WrittenOut, vitrail_models
from torch import Tensor, nn

from vitrail.capture import (
    Call,
    Record,
    Target,
    class_score,
    masked_token,
    next_token,
    part_gradients,
    record_attention,
)
from vitrail.capture.call import attended
from vitrail.capture.gradients import output_gradients
from vitrail.capture.interventions import Ablate, Patch, effect, head_effects, mean_outputs, run_edited
from vitrail.errors import ConfigError, ModelError

STEP = 1e-5


def gpt2() -> Any:
    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=17, n_embd=12, n_layer=2, n_head=3, n_positions=23, initializer_range=0.3)
    return hf.GPT2LMHeadModel(config).eval()


def gemma() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 6, "intermediate_size": 19}
    config = hf.Gemma2Config(
        vocab_size=17, **sizes, num_key_value_heads=3, head_dim=4, attn_logit_softcapping=3.0, initializer_range=0.3
    )
    config.sliding_window = 3
    return hf.Gemma2ForCausalLM(config).eval()


class OutOnly(nn.Module):
    """The first of what multi-head attention gives."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(12, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x)[0]


def models() -> dict[str, tuple[nn.Module, tuple[Any, ...]]]:
    torch.manual_seed(0)
    x = torch.randn(1, 5, 12, dtype=torch.float64)
    ours = vitrail_models()
    tokens = tuple(part[:1] for part in ours["relative"][1])
    found: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
        "vitrail": (ours["block"][0], (x,)),
        "relative": (ours["relative"][0], tokens),
        "fused": (ours["timm-like"][0], (x,)),
        "multihead": (OutOnly().eval(), (x,)),
        "formula": (nn.Sequential(WrittenOut(12, 3), WrittenOut(12, 3)).eval(), (x,)),
        "interface": (gemma(), (torch.randint(0, 17, (1, 5)),)),
    }
    with torch.no_grad():
        for parameter in ours["relative"][0].parameters():
            parameter.mul_(5)
    found["gpt2"] = (gpt2(), (torch.randint(0, 17, (1, 5)),))
    return {name: (model.double(), inputs) for name, (model, inputs) in found.items()}


MODELS = models()


def number(output: Any) -> Tensor:
    x = output if isinstance(output, Tensor) else output.logits
    return (x * torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)).sum()


class Nudge:
    """Moves one number of one call; ``part`` weights moves a weight, whose value then counts that much more."""

    def __init__(self, name: str, part: str, place: tuple[int, ...], step: float) -> None:
        self.name, self.part, self.place, self.step = name, part, place, step
        self.v: Tensor | None = None

    def inputs(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if name != self.name:
            return q, k, v
        self.v = v
        parts = {"q": q, "k": k, "v": v}
        if self.part in parts:
            moved = parts[self.part].clone()
            moved[self.place] += self.step
            parts[self.part] = moved
        return parts["q"], parts["k"], parts["v"]

    def output(self, name: str, output: Tensor) -> Tensor:
        if name != self.name or self.part != "weights" or self.v is None:
            return output
        b, h, i, j = self.place
        moved = output.clone()
        moved[b, h, i] += self.step * self.v[b, h // (output.shape[1] // self.v.shape[1]), j]
        return moved


# Gemma takes its softmax in float32 whatever the precision, which central differences can't do with.
@pytest.mark.parametrize("name", [name for name in MODELS if name != "interface"])
def test_gradients_are_central_differences(name: str) -> None:
    model, inputs = MODELS[name]
    with record_attention(model, graph=True) as record:
        target = number(model(*inputs))
    gradients = output_gradients(target, record)
    generator = np.random.default_rng(0)
    exchangeable = ("weights", "v") if name == "formula" else ("weights", "q", "k", "v")
    pairs = [*zip(record, gradients, strict=True)]
    for call, g in (pairs[0], pairs[-1]):
        found = part_gradients(call, g)
        assert found["weights"].shape == call.weights.shape
        for part in generator.permutation(exchangeable)[:2]:
            assert float(found[part].abs().max()) > 1e-8
            place = tuple(int(generator.integers(size)) for size in found[part].shape)
            sides = [
                float(number(run_edited(model, lambda: model(*inputs), Nudge(call.name, part, place, step))))
                for step in (STEP, -STEP)
            ]
            expected = (sides[0] - sides[1]) / (2 * STEP)
            assert float(found[part][place]) == pytest.approx(expected, abs=1e-6, rel=1e-6), (call.name, part)


def test_the_chain_rule_is_autograds() -> None:
    """With everything at once: shared keys, a softcap, a bias, a mask, sinks."""
    torch.manual_seed(0)
    q = torch.randn(2, 6, 5, 7, dtype=torch.float64, requires_grad=True)
    k = torch.randn(2, 3, 11, 7, dtype=torch.float64, requires_grad=True)
    v = torch.randn(2, 3, 11, 13, dtype=torch.float64, requires_grad=True)
    bias, sinks = torch.randn(1, 6, 5, 11, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    mask = torch.rand(2, 1, 5, 11) > 0.3
    call = Call("x", "interface", torch.empty(2, 6, 5, 11), q, k, v, None, mask, False, 0.7, bias, 1.5, sinks)
    weights = call.recomputed(torch.float64)
    assert weights is not None
    weights.retain_grad()
    g = torch.randn(2, 6, 5, 13, dtype=torch.float64)
    attended(weights, v).backward(g)
    found = part_gradients(replace(call, weights=weights), g)
    for name, expected in {"q": q.grad, "k": k.grad, "v": v.grad, "weights": weights.grad}.items():
        assert expected is not None
        assert torch.allclose(found[name], expected, atol=1e-12)


def test_gradients_of_frozen_models_are_the_same() -> None:
    model, inputs = MODELS["interface"]
    with record_attention(model, graph=True) as record:
        expected = output_gradients(number(model(*inputs)), record)
    model.requires_grad_(False)
    try:
        with record_attention(model, graph=True) as record:
            found = output_gradients(number(model(*inputs)), record)
    finally:
        model.requires_grad_(True)
    for x, y in zip(found, expected, strict=True):
        assert torch.allclose(x, y)


def test_targets() -> None:
    logits = torch.randn(1, 5, 7)
    logp = logits.log_softmax(-1)
    assert next_token(3)(logits) == logp[0, -1, 3]
    assert next_token()(logits) == logp[0, -1].max()
    assert masked_token(2, 4)(logits) == logp[0, 2, 4]
    assert class_score(2)(logits[:, 0]) == logits[0, 0, 2]
    assert class_score()(logits[:, 0]) == logits[0, 0].max()
    with pytest.raises(ConfigError, match="there is no token 9: this model's output has 7"):
        next_token(9)(logits)
    with pytest.raises(ModelError, match="holds no logits"):
        next_token()(object())
    with pytest.raises(ConfigError, match="no gradient; reduce it to one number"):
        output_gradients(torch.ones(2, requires_grad=True), Record())
    with pytest.raises(ConfigError, match="depends on nothing"):
        output_gradients(torch.ones(()), Record())


TARGET = Target("a weighted sum", number)


def without_head(weight: Tensor, head: int, width: int) -> Tensor:
    edited = weight.clone()
    edited[:, head * width : (head + 1) * width] = 0
    return edited


@pytest.mark.parametrize(
    ("name", "call", "matrix", "width"),
    [
        ("vitrail", "attention", "attention.out", 4),
        ("fused", "1", "1.proj", 4),
        ("multihead", "inner", "inner.out_proj", 4),
        ("interface", "model.layers.0.self_attn", "model.layers.0.self_attn.o_proj", 4),
        ("relative", "decoder.1.cross_attention", "decoder.1.cross_attention.out", 4),
    ],
)
def test_a_head_taken_away_is_a_model_without_its_columns(name: str, call: str, matrix: str, width: int) -> None:
    model, inputs = MODELS[name]
    ablated = run_edited(model, lambda: model(*inputs), Ablate({call: [1]}))
    layer = model.get_submodule(matrix)
    kept = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.copy_(without_head(kept, 1, width))
        expected = number(model(*inputs))
        layer.weight.copy_(kept)
        before = number(model(*inputs))
    assert float(number(ablated)) == pytest.approx(float(expected), abs=1e-9)
    assert abs(float(expected - before)) > 1e-6
    assert effect(model, lambda: model(*inputs), TARGET, Ablate({call: [1]})) == pytest.approx(float(expected - before))


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_the_map_of_all_heads(how: Any) -> None:
    model, inputs = MODELS["interface"]
    effects = head_effects(model, lambda: model(*inputs), TARGET, how)
    assert {name: len(found) for name, found in effects.items()} == {f"model.layers.{i}.self_attn": 6 for i in (0, 1)}
    name = "model.layers.1.self_attn"
    for head in range(6):
        assert effects[name][head] == effect(model, lambda: model(*inputs), TARGET, Ablate({name: [head]}, how))


def test_the_mean_of_other_texts() -> None:
    model, inputs = MODELS["interface"]
    name = "model.layers.0.self_attn"
    with torch.no_grad(), record_attention(model) as record:
        model(*inputs)
    means = mean_outputs([record, record])
    assert record[name].output is not None
    assert torch.allclose(means[name], record[name].output[0].mean(1))
    heads: list[Tensor] = []
    edit = Ablate({name: [2]}, "mean", means)
    with torch.no_grad(), record_attention(model, edit=edit) as record:
        model(*inputs)
    heads = [call.output[0, 2] for call in record if call.name == name and call.output is not None]
    assert torch.allclose(heads[0], means[name][2].expand_as(heads[0]))


@pytest.mark.parametrize("name", ["vitrail", "fused", "multihead", "interface"])
def test_patching_everything_gives_the_other_output(name: str) -> None:
    model, inputs = MODELS[name]
    other = tuple(x.flip(1) for x in inputs)
    with torch.no_grad(), record_attention(model) as record:
        model(*other)
    calls: dict[str, None] = {call.name: None for call in record}
    last = next(reversed(calls))

    def heads_of(edit: Patch) -> Call:
        with torch.no_grad(), record_attention(model, edit=edit) as found:
            model(*inputs)
        return found[last]

    patched = heads_of(Patch(record, calls, frozenset({"q", "k", "v"})))
    for part in ("weights", "output"):
        assert torch.allclose(getattr(patched, part), getattr(record[last], part))
    only = heads_of(Patch(record, {last: [0]}, frozenset({"q", "k", "v"})))
    shared = only.weights.shape[1] // record[last].k.shape[1] if record[last].k is not None else 1  # type: ignore[union-attr]
    assert not torch.allclose(only.weights[:, shared:], record[last].weights[:, shared:])
    output = run_edited(model, lambda: model(*inputs), Patch(record, calls, frozenset({"output"})))
    assert torch.isfinite(number(output))


def test_what_does_not_fit_is_refused() -> None:
    model, inputs = MODELS["interface"]
    run: Callable[[], Any] = lambda: model(*inputs)  # noqa: E731
    with pytest.raises(ConfigError, match="has no head 6: it has 6"):
        run_edited(model, run, Ablate({"model.layers.0.self_attn": [6]}))
    with torch.no_grad(), record_attention(model) as record:
        model(inputs[0][:, :3])
    with pytest.raises(ConfigError, match="patch between inputs of equally many tokens"):
        run_edited(model, run, Patch(record, {"model.layers.0.self_attn": None}, frozenset({"v"})))
    model, inputs = MODELS["formula"]
    with torch.no_grad(), record_attention(model) as record:
        model(inputs[0].flip(1))
    with pytest.raises(ModelError, match="writes its attention out by hand"):
        run_edited(model, lambda: model(*inputs), Patch(record, {"0": None}, frozenset({"q"})))
