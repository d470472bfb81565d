"""Cached gradients are those of the whole graph: in parts of any size, with dropout, under autocast, in a run."""

import json
from pathlib import Path

import pytest
import torch
from faces_toy import Faces, TinyNet, faces, part, run
from torch import Tensor, nn

from vitrail.errors import CollapseError, ConfigError
from vitrail.faces.caching import EmbeddingObjective, triplet_objective
from vitrail.faces.mining import MININGS, Mining
from vitrail.faces.triplets import triplet_loss
from vitrail.nn.randomness import RowRandom
from vitrail.train.objective import AccumulatingObjective

ROWS = 23


def gradients(objective: EmbeddingObjective, batch: Faces) -> tuple[float, list[Tensor]]:
    """Of one step, as the loop takes it."""
    objective.module.zero_grad()
    random = RowRandom(0, 3, batch.rows, batch.total)
    loss, count, _ = objective.accumulate(batch, random, Tensor.backward)
    assert not loss.requires_grad
    assert float(count) == 1
    found = [parameter.grad for parameter in objective.module.parameters()]
    return float(loss), [torch.zeros(()) if gradient is None else gradient.clone() for gradient in found]


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("chunk", [1, 5, ROWS - 1])
def test_cached_gradients_are_those_of_the_whole_graph(mining: Mining, chunk: int) -> None:
    batch = faces(ROWS, dtype=torch.float64)
    network = TinyNet().double()
    whole, expected = gradients(triplet_objective(network, mining=mining, chunk=ROWS), batch)
    cached, found = gradients(triplet_objective(network, mining=mining, chunk=chunk), batch)
    assert cached == pytest.approx(whole, rel=1e-12)
    assert whole > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)


def test_uncached_it_is_the_plain_loss() -> None:
    batch, network = faces(ROWS), TinyNet()
    objective = triplet_objective(network, margin=0.3, chunk=ROWS)
    assert isinstance(objective, AccumulatingObjective)
    loss, found = gradients(objective, batch)
    assert batch.labels is not None
    expected, statistics = triplet_loss(network(batch.images), batch.labels, margin=0.3)
    assert loss == pytest.approx(float(expected.detach()))
    for ours, theirs in zip(found, torch.autograd.grad(expected, list(network.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs)
    given, count, scalars = objective.loss(batch, RowRandom(0, 3, batch.rows, batch.total))
    assert given.requires_grad
    assert float(given.detach() / count) == pytest.approx(loss)
    assert {name: float(value) for name, value in scalars.items()} == pytest.approx(
        {name: float(value) for name, value in statistics.scalars().items()}
    )


def test_dropout_drops_the_same_twice() -> None:
    """The gradient is that of the very embeddings that were mined; and what comes after draws what it would have."""
    batch, network, chunk = faces(ROWS, dtype=torch.float64), TinyNet(dropout=0.5).double(), 6
    torch.manual_seed(5)
    embeddings = torch.cat([network(images) for images in batch.images.split(chunk)])
    after = torch.rand(3)
    assert batch.labels is not None
    expected, _ = triplet_loss(embeddings, batch.labels)
    torch.manual_seed(5)
    loss, found = gradients(triplet_objective(network, chunk=chunk), batch)
    assert torch.equal(torch.rand(3), after)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    for ours, theirs in zip(found, torch.autograd.grad(expected, list(network.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)


def test_under_autocast_all_parameters_learn() -> None:
    """Weights are first cast without a graph; older PyTorch would have kept and reused those, and nothing learned."""
    batch, network = faces(ROWS), TinyNet()

    def learned(chunk: int) -> list[Tensor]:
        # All triplets, and all with a loss: none of them changes sides by a rounded embedding.
        return gradients(triplet_objective(network, chunk=chunk, mining="all", margin=5.0), batch)[1]

    exact = learned(ROWS)
    with torch.autocast("cpu", torch.bfloat16):
        whole = learned(ROWS)
    with torch.autocast("cpu", torch.bfloat16):  # anew, or the weights that were cast above would do
        cached = learned(6)
    for ours, theirs, true in zip(cached, whole, exact, strict=True):
        size = float(true.abs().max())
        assert size > 1e-4
        assert not torch.equal(theirs, true)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05 * size)
        torch.testing.assert_close(ours, true, rtol=0, atol=0.1 * size)


def test_the_graph_of_one_chunk_at_a_time() -> None:
    """No more images go through the network with a graph than the chunk has, and each goes twice."""
    seen: list[tuple[int, bool]] = []
    network = TinyNet()
    network.register_forward_hook(lambda module, given, out: seen.append((len(given[0]), out.requires_grad)))
    gradients(triplet_objective(network, chunk=9), faces(ROWS))
    assert seen == [(9, False), (9, False), (5, False), (9, True), (9, True), (5, True)]


def test_random_negatives_follow_seed_and_step() -> None:
    objective = triplet_objective(TinyNet(), mining="random-semi-hard", chunk=ROWS)
    batch = faces(ROWS)
    losses = [
        float(objective.loss(batch, RowRandom(seed, step, batch.rows, ROWS))[0].detach())
        for seed, step in [(0, 0), (0, 0), (1, 0), (0, 1)]
    ]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


class Normalised(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(3 * 7 * 7, 5), nn.BatchNorm1d(5))


def test_what_depends_on_other_rows_is_refused_where_it_matters() -> None:
    network, batch = Normalised(), faces(ROWS)
    with pytest.raises(
        ConfigError, match=r"^2 normalises over a batch, so that parts of the batch don't embed as the w"
    ):
        gradients(triplet_objective(network, chunk=6), batch)
    gradients(triplet_objective(network, chunk=ROWS), batch)
    network.eval()
    gradients(triplet_objective(network, chunk=6), batch)


def test_a_part_of_a_batch_is_refused() -> None:
    some = part(faces(ROWS), range(11))
    with pytest.raises(
        ConfigError, match="of the whole batch of 23 images, but only 11 of them came at once: use 1 micro"
    ):
        gradients(triplet_objective(TinyNet(), chunk=6), some)


def test_faces_without_labels_are_refused() -> None:
    batch = faces(ROWS)
    batch.labels = None
    with pytest.raises(ConfigError, match="and these have no labels: use labelled data"):
        gradients(triplet_objective(TinyNet()), batch)


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="a chunk of 0 images can't be meant"):
        triplet_objective(TinyNet(), chunk=0)


def test_a_run_learns_and_writes_its_statistics(tmp_path: Path) -> None:
    run(tmp_path, {"config": {"steps": 40, "lr": 0.02}, "objective": {"chunk": 8}})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 40
    for name in ("satisfied", "active", "skipped", "same_distance", "other_distance", "variance"):
        assert f"train/{name}" in lines[0]
    first, last = (
        {name: sum(line[f"train/{name}"] for line in some) / 8 for name in ("satisfied", "same_distance")}
        for some in (lines[:8], lines[-8:])
    )
    assert last["satisfied"] > first["satisfied"] + 0.1
    assert last["same_distance"] < first["same_distance"]
    assert all(0 < line["train/loss"] < 1 for line in lines)


def test_a_run_that_collapses_ends_and_says_why(tmp_path: Path) -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.ones(5))

        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.normalize(self.place.expand(len(images), 5), dim=1)

    objective = triplet_objective(Constant(), mining="hardest", patience=3, chunk=6)
    batch = faces(ROWS)
    gradients(objective, batch)
    gradients(objective, batch)
    with pytest.raises(CollapseError, match="mine semi-hard triplets in place of hardest"):
        gradients(objective, batch)
