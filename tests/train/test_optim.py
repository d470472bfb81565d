"""Groups, schedules, Muon and the average, against formulas written out."""

import math

import pytest
import torch
from torch import nn
from train_toy import FEATURES, ToyNet, toy_config

from vitrail.errors import CheckpointError, ConfigError
from vitrail.train.average import WeightAverage
from vitrail.train.optim import Optimizers, is_hidden_matrix, layer_scale, schedule


def test_schedules() -> None:
    linear = toy_config(steps=11, warmup_steps=3, schedule="linear", final_lr_fraction=0.1)
    found = [schedule(linear, step) for step in range(11)]
    assert found[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert found[3:] == pytest.approx([1 - 0.9 * n / 7 for n in range(8)])
    cosine = toy_config(steps=11, warmup_steps=0, final_lr_fraction=0.2)
    assert [schedule(cosine, step) for step in range(11)] == pytest.approx(
        [0.2 + 0.8 * (1 + math.cos(math.pi * n / 10)) / 2 for n in range(11)]
    )
    constant = toy_config(steps=11, warmup_steps=2, schedule="constant")
    assert [schedule(constant, step) for step in range(4)] == [0.5, 1, 1, 1]
    assert schedule(toy_config(steps=1, warmup_steps=0), 0) == 1  # no step is lost
    assert schedule(toy_config(steps=5, warmup_steps=5), 4) == 1


def test_layer_scale() -> None:
    net = ToyNet()
    scales = {name: layer_scale(net, name, 0.5) for name, _ in net.named_parameters()}
    assert scales["head.weight"] == scales["head.bias"] == 1
    assert scales["blocks.1.weight"] == 0.5
    assert scales["blocks.0.bias"] == 0.25
    assert scales["stem.weight"] == scales["table"] == 0.125
    assert layer_scale(nn.Linear(2, 3), "weight", 1.0) == 1
    with pytest.raises(ConfigError, match=r"layer-decay is 0.5, but Linear has no parameter_depth .* --layer-decay 1"):
        layer_scale(nn.Linear(2, 3), "weight", 0.5)


def step_of(net: ToyNet, **changes: object) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights before and after one step with random gradients at the highest learning rate."""
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizers = Optimizers(net, toy_config(warmup_steps=0, **changes))
    assert optimizers.step(0) == 0.02
    return before, {name: parameter.detach() for name, parameter in net.named_parameters()}


def test_adamw_decays_matrices_only_and_scales_layers() -> None:
    """AdamW's first update is -lr * sign(gradient), beside the decay -lr * wd * weight."""
    net = ToyNet()
    before, after = step_of(net, weight_decay=0.5, layer_decay=0.5)
    for name, parameter in net.named_parameters():
        lr = 0.02 * layer_scale(net, name, 0.5)
        decay = 0.5 if name.endswith("weight") else 0.0  # neither biases nor the table
        expected = before[name] * (1 - lr * decay) - lr * parameter.grad.sign()
        torch.testing.assert_close(after[name], expected, rtol=1e-4, atol=1e-6)


def test_muon_takes_the_matrices_inside_blocks() -> None:
    net = ToyNet()
    names = {name for name, parameter in net.named_parameters() if is_hidden_matrix(name, parameter, net)}
    assert names == {"blocks.0.weight", "blocks.1.weight"}
    before, after = step_of(net, optimizer="muon", muon_lr=0.01, weight_decay=0.5)
    for name, parameter in net.named_parameters():
        if name not in names:
            decay = 0.5 if name.endswith("weight") else 0.0
            expected = before[name] * (1 - 0.02 * decay) - 0.02 * parameter.grad.sign()
            torch.testing.assert_close(after[name], expected, rtol=1e-4, atol=1e-6)
            continue
        update = (before[name] * (1 - 0.01 * 0.5) - after[name]) / (0.01 * 0.2 * math.sqrt(max(parameter.shape)))
        values = torch.linalg.svdvals(update)  # Newton-Schulz brings them near 1, in bf16
        assert values.min() > 0.5
        assert values.max() < 1.5
        u, _, v = torch.linalg.svd(parameter.grad)
        assert nn.functional.cosine_similarity(update.flatten(), (u @ v).flatten(), dim=0) > 0.95


def test_muon_without_blocks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optimizer is muon, but Linear has no trained matrix .* --optimizer adamw"):
        Optimizers(nn.Linear(2, 3), toy_config(optimizer="muon"))


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_state_by_name_continues_exactly(kind: str) -> None:
    def steps(net: ToyNet, optimizers: Optimizers, numbers: range) -> None:
        for step in numbers:
            generator = torch.Generator().manual_seed(step)
            for parameter in net.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizers.step(step)

    config = toy_config(optimizer=kind)
    whole, first, second = ToyNet(), ToyNet(), ToyNet()
    steps(whole, Optimizers(whole, config), range(6))
    early = Optimizers(first, config)
    steps(first, early, range(3))
    second.load_state_dict(first.state_dict())
    late = Optimizers(second, config)
    late.load_state_dict(early.state_dict())
    steps(second, late, range(3, 6))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_state_of_other_parameters_is_refused() -> None:
    net = ToyNet()
    step_of(net)
    optimizers = Optimizers(net, toy_config())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizers.step(0)
    state = optimizers.state_dict()
    other = ToyNet()
    other.stem.requires_grad_(False)
    with pytest.raises(CheckpointError, match=r"don't train the same parameters \(stem.bias is in one only\)"):
        Optimizers(other, toy_config()).load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"don't average the same parameters \(stem.bias is in one only\)"):
        WeightAverage(other, 0.9).load_state_dict(WeightAverage(net, 0.9).state_dict())


def test_average_by_hand() -> None:
    net = nn.Linear(FEATURES, 3)
    average = WeightAverage(net, decay=0.5)
    expected = net.weight.detach().clone()
    for step in range(1, 12):
        with torch.no_grad():
            net.weight.add_(torch.randn(net.weight.shape, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        beta = min(0.5, (1 + step) / (10 + step))
        expected = beta * expected + (1 - beta) * net.weight.detach()
        torch.testing.assert_close(average.state_dict()["weight"], expected)
    assert (1 + 7) / (10 + 7) < 0.5 < (1 + 9) / (10 + 9)  # both sides of the min were seen
    own = net.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(net.weight.detach(), expected)
    assert torch.equal(net.weight, own)
    with pytest.raises(KeyError), average.in_place():
        raise KeyError
    assert torch.equal(net.weight, own)
