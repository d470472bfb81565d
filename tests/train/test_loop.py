"""The loop against a plain one written out, and what it tells while it goes on."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from train_toy import FEATURES, AccumulatingToy, ToyBatch, ToyBatches, ToyNet, ToyObjective, evaluate, toy_config

from vitrail.errors import ConfigError, NonFiniteLossError
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.train import load_weights, train
from vitrail.train.checkpoint import STATE, load_state
from vitrail.train.events import Evaluated, Event, Finished, Pictured, Saved, Started, StepDone
from vitrail.train.optim import schedule


def lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def by_hand(steps: int, clip: float, seed: int = 0) -> tuple[nn.Module, list[float], list[float]]:
    """What ``train`` should do, in the words of PyTorch's own tutorial; weights, losses, norms of the gradient."""
    config = toy_config(clip=clip, steps=steps)
    net = ToyNet()
    matrices = [p for n, p in net.named_parameters() if p.ndim > 1 and n != "table"]
    others = [p for n, p in net.named_parameters() if p.ndim < 2 or n == "table"]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.95))
    losses, norms = [], []
    for step in range(steps):
        torch.manual_seed(derive_seed(seed, step, 0))
        (batch,) = ToyBatches().make(step)
        random = RowRandom(seed, step, batch.rows, batch.total)
        noisy = batch.inputs + 0.1 * random.normal("noise", FEATURES)
        kept = random.uniform("keep") < 0.7
        loss = nn.functional.cross_entropy(net(noisy)[kept], batch.labels[kept])
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), clip or math.inf)))
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * schedule(config, step)
        optimizer.step()
        losses.append(loss.item())
    return net, losses, norms


@pytest.mark.parametrize("clip", [0.0, 1.5])
def test_same_as_a_plain_loop(tmp_path: Path, clip: float) -> None:
    config = toy_config(steps=12, log_every=1, clip=clip)
    train(ToyObjective(ToyNet()), ToyBatches(), config, tmp_path)
    net, losses, norms = by_hand(12, clip)
    assert max(norms) > 1.5 > min(norms)  # so that clipping is seen to be done and left
    for name, tensor in load_weights(tmp_path).items():
        torch.testing.assert_close(tensor, net.state_dict()[name], rtol=1e-5, atol=1e-6)
    found = lines(tmp_path)
    assert [line["step"] for line in found] == list(range(1, 13))
    assert [line["train/loss"] for line in found] == pytest.approx(losses, rel=1e-5)
    assert [line["train/grad_norm"] for line in found] == pytest.approx(norms, rel=1e-5)
    assert found[0]["train/lr"] == pytest.approx(0.02 / 5)
    assert found[-1]["train/lr"] == 0.0


@pytest.mark.parametrize("kind", [ToyObjective, AccumulatingToy])
@pytest.mark.parametrize(("batch_size", "parts"), [(24, 3), (23, 4)])
def test_micro_batches_change_nothing(tmp_path: Path, kind: type[ToyObjective], batch_size: int, parts: int) -> None:
    for count in (1, parts):
        config = toy_config(batch_size=batch_size, micro_batches=count, clip=0.5)
        batches = ToyBatches(batch_size, micro_batches=count)
        train(kind(ToyNet(dropout=0.0), keep=0.3), batches, config, tmp_path / str(count))
    one, several = lines(tmp_path / "1"), lines(tmp_path / str(parts))
    for a, b in zip(one, several, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)
    ours = load_weights(tmp_path / "1")
    for name, tensor in load_weights(tmp_path / str(parts)).items():
        if name != "seen":
            torch.testing.assert_close(tensor, ours[name], rtol=1e-4, atol=1e-5)


def test_a_line_is_the_mean_over_its_examples(tmp_path: Path) -> None:
    """Also where steps have different counts, and where the last line has fewer steps."""
    for every in (1, 3):
        config = toy_config(steps=10, log_every=every)
        objective = ToyObjective(ToyNet())
        counts: list[float] = []
        loss = objective.loss

        def counted(batch: ToyBatch, random: RowRandom, loss: Any = loss, counts: list[float] = counts) -> Any:
            result = loss(batch, random)
            counts.append(float(result[1]))
            return result

        objective.loss = counted  # type: ignore[method-assign]
        train(objective, ToyBatches(), config, tmp_path / str(every))
    single, triple = lines(tmp_path / "1"), lines(tmp_path / "3")
    assert [line["step"] for line in triple] == [3, 6, 9, 10]
    for line, first in zip(triple, (0, 3, 6, 9), strict=True):
        steps = range(first, line["step"])
        for name in ("train/loss", "train/accuracy"):
            mean = sum(single[s][name] * counts[s] for s in steps) / sum(counts[s] for s in steps)
            assert line[name] == pytest.approx(mean)
        assert line["train/grad_norm"] == pytest.approx(sum(single[s]["train/grad_norm"] for s in steps) / len(steps))
        assert line["train/lr"] == single[line["step"] - 1]["train/lr"]


def test_events_and_files(tmp_path: Path) -> None:
    events: list[Event] = []

    def picture(module: nn.Module, path: Path) -> None:
        assert path.suffix == ".png"
        path.write_bytes(b"drawn")

    result = train(
        ToyObjective(ToyNet()), ToyBatches(), toy_config(), tmp_path,
        evaluate=evaluate, picture=picture, report=events.append,
    )  # fmt: skip
    parameters = sum(parameter.numel() for parameter in ToyNet().parameters())
    assert events[0] == Started(0, 40, parameters, "cpu", "float32", "as asked", 1)
    kinds = {kind: [event for event in events if isinstance(event, kind)] for kind in (StepDone, Evaluated, Saved)}
    assert [event.step for event in kinds[StepDone]] == [*range(3, 40, 3), 40]
    assert [event.step for event in kinds[Evaluated]] == [8, 16, 24, 32, 40]
    assert [event.step for event in kinds[Saved]] == [7, 14, 21, 28, 35, 40]
    assert isinstance(events[-1], Finished)
    last = kinds[StepDone][-1]
    assert last.examples_per_second > 0
    assert last.seconds_left == 0
    assert last.scalars.keys() == {"accuracy", "lr", "grad_norm"}
    assert [event.path for event in events if isinstance(event, Pictured)] == sorted((tmp_path / "pictures").iterdir())
    assert result.finished
    assert result.steps == 40
    assert result.metrics["evaluation/accuracy"] == kinds[Evaluated][-1].scalars["accuracy"] > 0.8
    assert result.metrics["train/loss"] == last.loss < lines(tmp_path)[0]["train/loss"]
    assert [line["step"] for line in lines(tmp_path, "timing.jsonl")] == [event.step for event in kinds[StepDone]]
    assert "time" not in (tmp_path / "metrics.jsonl").read_text()


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), tmp_path, evaluate=evaluate)
    events = EventAccumulator(str(tmp_path)).Reload()
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    expected = [(line["step"], line["train/loss"]) for line in lines(tmp_path) if "train/loss" in line]
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])
    assert {"evaluation/accuracy", "time/examples_per_second"} <= set(events.Tags()["scalars"])


def test_two_runs_are_the_same_and_two_seeds_are_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(seed=seed), tmp_path / name)
    a, b, c = (((tmp_path / name) / "metrics.jsonl").read_bytes() for name in "abc")
    assert a == b != c


def test_average_is_evaluated_kept_and_left_in_the_module(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def look(module: nn.Module) -> dict[str, float]:
        seen.append(module.head.weight.detach().clone())
        return evaluate(module)

    objective = ToyObjective(ToyNet())
    train(objective, ToyBatches(), toy_config(ema=0.9), tmp_path, evaluate=look)
    plain = ToyObjective(ToyNet())
    train(plain, ToyBatches(), toy_config(), tmp_path / "plain")

    kept = load_weights(tmp_path)
    assert torch.equal(kept["head.weight"], seen[-1])
    assert torch.equal(kept["head.weight"], objective.module.state_dict()["head.weight"])
    state = load_state(tmp_path / STATE)
    assert torch.equal(kept["head.weight"], state["average"]["head.weight"])
    assert torch.equal(state["model"]["head.weight"], plain.module.state_dict()["head.weight"])  # undisturbed
    assert not torch.equal(state["model"]["head.weight"], kept["head.weight"])
    assert torch.equal(kept["seen"], state["model"]["seen"])


def test_bf16_is_autocast(tmp_path: Path) -> None:
    kinds: set[torch.dtype] = set()

    net = ToyNet()
    net.head.register_forward_hook(lambda module, given, output: kinds.add(output.dtype))
    half = train(ToyObjective(net), ToyBatches(), toy_config(precision="bf16"), tmp_path, evaluate=evaluate)
    single = train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), tmp_path / "float32")
    assert kinds == {torch.bfloat16}
    assert {tensor.dtype for tensor in load_weights(tmp_path).values()} == {torch.float32, torch.int64}
    close, exact = half.metrics["train/loss"], single.metrics["train/loss"]
    assert close != exact
    assert close == pytest.approx(exact, rel=0.1)


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    net = ToyNet()
    net.stem.requires_grad_(False)
    events: list[Event] = []
    train(ToyObjective(net), ToyBatches(), toy_config(ema=0.9), tmp_path, report=events.append)
    assert torch.equal(load_weights(tmp_path)["stem.weight"], ToyNet().stem.weight)
    assert not torch.equal(load_weights(tmp_path)["head.weight"], ToyNet().head.weight)
    assert isinstance(events[0], Started)
    assert events[0].parameters == sum(p.numel() for p in net.parameters() if p.requires_grad)
    with pytest.raises(ConfigError, match="ToyNet has no parameter that takes a gradient"):
        train(ToyObjective(net.requires_grad_(False)), ToyBatches(), toy_config(), tmp_path / "none")


def test_an_empty_count_is_no_division_by_zero(tmp_path: Path) -> None:
    train(ToyObjective(ToyNet(), keep=0.0), ToyBatches(), toy_config(weight_decay=0.0), tmp_path)
    assert lines(tmp_path)[-1]["train/loss"] == 0
    assert torch.equal(load_weights(tmp_path)["head.weight"], ToyNet().head.weight)


def test_a_bad_loss_stops_before_the_update_and_names_the_batch(tmp_path: Path) -> None:
    batches = ToyBatches(micro_batches=3)
    batches.spoil[16] = 11  # row 11 is in the second of three parts
    objective = ToyObjective(ToyNet(), keep=1.0)
    config = toy_config(micro_batches=3)
    with pytest.raises(
        NonFiniteLossError,
        match=r"^The loss became nan in step 17, in rows 8 to 15 \(indices 16008, .*, 16015\) of its batch: look at",
    ):
        train(objective, batches, config, tmp_path)
    assert load_state(tmp_path / STATE)["step"] == 14
    assert all(torch.isfinite(tensor).all() for tensor in objective.module.parameters())
    train(ToyObjective(ToyNet(), keep=1.0), ToyBatches(micro_batches=3), config, tmp_path)  # the input was mended
    whole = tmp_path / "whole"
    train(ToyObjective(ToyNet(), keep=1.0), ToyBatches(micro_batches=3), config, whole)
    assert (tmp_path / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_bad_gradient_stops_before_the_update(tmp_path: Path) -> None:
    class Root(ToyObjective):
        def loss(self, batch: ToyBatch, random: RowRandom) -> Any:
            loss, count, scalars = super().loss(batch, random)
            if random.step == 9:
                loss = loss + (self.module.head.bias.sum() * 0).abs().sqrt()  # 0, and its slope is not a number
            return loss, count, scalars

    objective = Root(ToyNet())
    with pytest.raises(NonFiniteLossError, match=r"gradient's norm became nan in step 10 although the loss was finite"):
        train(objective, ToyBatches(), toy_config(), tmp_path)
    assert all(torch.isfinite(tensor).all() for tensor in objective.module.parameters())
    assert load_state(tmp_path / STATE)["step"] == 7


def test_a_shared_parameter_is_kept_under_both_names(tmp_path: Path) -> None:
    net = ToyNet()
    net.blocks[1].weight = net.blocks[0].weight
    train(ToyObjective(net), ToyBatches(), toy_config(ema=0.9), tmp_path)
    kept = load_weights(tmp_path)
    assert torch.equal(kept["blocks.0.weight"], kept["blocks.1.weight"])
    assert torch.equal(kept["blocks.0.weight"], load_state(tmp_path / STATE)["average"]["blocks.0.weight"])


def test_parts_in_evaluation_mode_stay_there(tmp_path: Path) -> None:
    """A module that keeps a frozen part in evaluation mode, by its own ``train``, finds it so in every step."""

    class Probe(ToyNet):
        def train(self, mode: bool = True) -> "Probe":
            super().train(mode)
            self.blocks.eval()
            return self

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            assert not self.blocks.training
            return super().forward(inputs)

    net = Probe()
    train(ToyObjective(net), ToyBatches(), toy_config(), tmp_path, evaluate=evaluate)
    assert net.training


def test_no_gpu_is_said(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=r"PyTorch finds no GPU on this machine: use --device cpu"):
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(device="cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
