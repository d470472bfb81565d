"""What networks and texts cost: the ways that are timed, counted, and how they take turns."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vitrail.faces.sizes import RESNET_50, network_sizes
from vitrail.nn.attention import MultiHeadAttention
from vitrail.nn.cost import multiply_adds
from vitrail.recipes.events import ignore
from vitrail.studies import decoding_cost, network_cost, timing
from vitrail.studies.decoding_cost import exponents, write
from vitrail.studies.drawing import figure_png
from vitrail.studies.network_cost import VAL, timed
from vitrail.studies.rereading import Rereading, Way, decoding_multiply_adds, writer
from vitrail.studies.resnet import resnet50
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe
from vitrail.studies.timing import ratios, side_by_side
from vitrail.text.decoding import TransformerWriter, decode
from vitrail.text.options import Decoding
from vitrail.text.presets import course
from vitrail.text.transformer import Transformer, TransformerConfig

WAYS: tuple[Way, ...] = get_args(Way)


# -- taking turns -----------------------------------------------------------------------------------------------------


def test_every_round_begins_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    clock = iter(range(100))
    monkeypatch.setattr(time, "process_time", lambda: float(next(clock) ** 2))

    def prepare(name: str) -> Callable[[], Callable[[], object]]:
        return lambda: lambda: done.append(name)

    found = side_by_side({name: prepare(name) for name in "abc"}, 2)
    assert done == list("abcbca")
    assert found == {"a": [1.0, 21.0], "b": [5.0, 13.0], "c": [9.0, 17.0]}
    assert ratios(found["b"], found["a"]) == [5.0, 13 / 21]


def test_what_comes_before_a_turn_is_not_timed() -> None:
    def busy(seconds: float) -> None:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    def prepare() -> Callable[[], object]:
        busy(0.2)
        return lambda: busy(0.02)

    assert 0.02 <= side_by_side({"a": prepare}, 1)["a"][0] < 0.15


def test_the_processor_has_a_name() -> None:
    assert timing.processor()


# -- networks ---------------------------------------------------------------------------------------------------------


def test_resnet_50_is_that_of_transformers() -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    theirs = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()
    ours = resnet50().eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 67, 71)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images).logits, atol=1e-4)
    assert sum(parameter.numel() for parameter in ours.parameters()) == RESNET_50.weights
    with torch.device("meta"):
        cost = multiply_adds(resnet50(), torch.empty(1, 3, *RESNET_50.image_size))
    assert round(cost.total, -7) == RESNET_50.multiply_adds


def test_networks_take_turns() -> None:
    sizes = [size for size in network_sizes() if size.name in ("NNS2", "NN4")]
    found = timed(sizes, (1, 2), 2, ignore)
    assert set(found) == {(name, batch) for name in ("NNS2", "NN4") for batch in (1, 2)}
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
    assert min(found["NN4", 2]) > max(found["NNS2", 1])


def test_network_cost_from_its_name_to_its_figure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made_up(
        sizes: object, batches: tuple[int, ...], rounds: int, report: object
    ) -> dict[tuple[str, int], list[float]]:
        names = [*VAL, "ResNet-50"]
        return {
            (name, batch): [0.01 * (place + 1) * batch] * rounds
            for place, name in enumerate(names)
            for batch in batches
        }

    monkeypatch.setattr(network_cost, "timed", made_up)
    outcome = run(StudyRecipe("network-cost", quick=True))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert [row[0] for row in outcome.finding.rows] == [*VAL, "ResNet-50"]
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["one core"]
    networks = one["facts"]["networks"]
    assert networks["NN2"]["times"]["2"] == {"ms_an_image": [20.0] * 3, "beside_resnet": [round(2 / 7, 4)] * 3}
    assert networks["ResNet-50"]["weights"] == 25_502_912, "without biases and batch norms"
    assert 4.08e9 < networks["ResNet-50"]["multiply_adds"] < 4.10e9
    assert networks["NN1"]["paper_weights"] == 140_000_000
    assert figure_png(outcome.study, {"one core": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
    assert "the time of NN1 beside that of NN2: alone 0.50 times (0.50 to 0.50)" in " ".join(outcome.finding.words)


# -- texts ------------------------------------------------------------------------------------------------------------


def small(vocabulary: int = 17) -> TransformerConfig:
    return replace(course(vocabulary), dim=14, heads=7, hidden=11, encoder_layers=1, decoder_layers=3, max_length=32)


def model_of(config: TransformerConfig) -> Transformer:
    torch.manual_seed(5)
    model = Transformer(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_multiply_adds_are_those_that_pytorch_counts(way: Way, beams: int) -> None:
    config, tokens, length = small(), 5, 13
    model, source = model_of(config), torch.randint(2, 17, (1, length))
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.path = "explicit"  # PyTorch doesn't count its own kernel for processors
    at_work = writer(model, source, way)
    with FlopCounterMode(display=False) as counter:
        decode(at_work, Decoding(beams=beams, max_tokens=tokens, min_tokens=tokens - 1))
    assert counter.get_total_flops() // 2 == decoding_multiply_adds(config, way, tokens, length, beams)


@pytest.mark.parametrize("keep_source", [False, True])
def test_without_a_cache_the_same_is_said_of_what_comes_next(keep_source: bool) -> None:
    """Step by step: one branch, then three, which go on with each other, then fewer sources."""
    model, random = model_of(small()), torch.Generator().manual_seed(1)
    source = torch.randint(2, 17, (5, 13), generator=random)
    cached, rereading = TransformerWriter(model, source), Rereading(model, source, keep_source=keep_source)

    def advance(tokens: Tensor, parents: Tensor) -> Tensor:
        with torch.no_grad():
            ours, theirs = (each.advance(tokens, parents) for each in (rereading, cached))
        assert torch.allclose(ours, theirs, atol=1e-5)
        return ours

    first = advance(torch.ones(5, 1, dtype=torch.int64), torch.zeros(5, 1, dtype=torch.int64))
    assert (first[1:] - first[:1]).abs().amax((1, 2)).min() > 1e-3, "sources can be told apart"
    advance(torch.randint(17, (5, 3), generator=random), torch.zeros(5, 3, dtype=torch.int64))
    advance(torch.randint(17, (5, 3), generator=random), torch.randint(3, (5, 3), generator=random))
    for each in (cached, rereading):
        each.keep(torch.tensor([3, 0]))
    advance(torch.randint(17, (2, 3), generator=random), torch.randint(3, (2, 3), generator=random))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("way", WAYS[1:])
def test_without_a_cache_the_same_text_is_written(way: Way, beams: int) -> None:
    model, source = model_of(small()), torch.randint(2, 17, (1, 13), generator=torch.Generator().manual_seed(1))
    assert write(model, source, (way, 11, beams)) == write(model, source, ("cached", 11, beams))


def test_all_tokens_are_written() -> None:
    model, source = model_of(small()), torch.randint(2, 17, (1, 13))
    for way in WAYS:
        for beams in (1, 4):
            assert len(write(model, source, (way, 7, beams))) == 7


def test_growth_is_measured() -> None:
    lengths = (4, 8, 16)
    times = {(way, n, 1): [n**1.5, 2 * n**2.0] for way in WAYS for n in lengths}
    cost = {(way, n, 1): n**3 for way in WAYS for n in lengths}
    found = exponents(lengths, times, cost)
    assert found["cached"]["time"] == pytest.approx([1.5, 2.0])
    assert found["nothing kept"]["multiply_adds"] == pytest.approx(3)


def test_costs_grow_as_they_should() -> None:
    config = course(8000)

    def power(way: Way) -> float:
        costs = [decoding_multiply_adds(config, way, tokens, 256) for tokens in (2048, 4096)]
        return float(np.log2(costs[1] / costs[0]))

    assert 1 < power("cached") < 1.5
    assert 2 < power("source kept") < 2.5
    cached, kept, nothing = (decoding_multiply_adds(config, way, 1, 256) for way in WAYS)
    assert cached == kept == nothing - 2 * 4 * 256 * 512**2


def test_decoding_cost_from_its_name_to_its_figure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_cost, "course", small)
    monkeypatch.setattr(decoding_cost, "QUICK_LENGTHS", (3, 5, 7))
    monkeypatch.setattr(decoding_cost, "QUICK_SOURCE", 11)
    outcome = run(StudyRecipe("decoding-cost", quick=True))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert [row[0] for row in outcome.finding.rows] == ["3 tokens", "5 tokens", "7 tokens", "5 tokens, 4 beams"]
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["one core"]
    facts = one["facts"]
    assert facts["same_text"]
    assert len(facts["texts"]) == 3 * 3 + 2
    assert figure_png(outcome.study, {"one core": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
