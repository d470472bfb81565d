"""Each mining is its naive triple loop: values, gradients, counts; with ties, empty, and in blocks of any size."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from triplets_naive import distances, naive

from vitrail.errors import ConfigError
from vitrail.faces import triplets
from vitrail.faces.mining import MININGS, Block, Mining, count_triplets, mine, require_choices, squared_distances
from vitrail.faces.triplets import triplet_loss

D = 7
LABELS = [3, 3, 8, 3, 1, 8, 5, 1, 8, 3, 9, 8, 3]  # five identities with 5, 4, 2, 1 and 1 rows
CERTAIN = [mining for mining in MININGS if mining != "random-semi-hard"]


def some(rows: int = len(LABELS), seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    noise = torch.randn(rows, D, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return F.normalize(noise, dim=1)


def on_a_grid(rows: int = len(LABELS), seed: int = 0) -> Tensor:
    """Few different distances, each exact in binary: ties everywhere, between positives and negatives too."""
    draws = torch.randint(3, (rows, 2), generator=torch.Generator().manual_seed(seed))
    return draws.double() / 4


def compare(embeddings: Tensor, labels: Tensor, mining: Mining, margin: float) -> None:
    ours, theirs = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    expected = naive(theirs, labels, mining, margin)
    for reduction, scale in (("sum", 1), ("mean", 1 / max(expected.active, 1))):
        loss, found = triplet_loss(ours, labels, margin, mining, reduction)
        torch.testing.assert_close(loss, expected.loss * scale, rtol=1e-10, atol=1e-12)
        (gradient,) = torch.autograd.grad(loss, ours)
        if expected.loss.requires_grad:
            (wanted,) = torch.autograd.grad(expected.loss * scale, theirs, retain_graph=True)
        else:
            wanted = torch.zeros_like(theirs)
        torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-11)
    assert int(found.chosen) == len(expected.chosen)
    names = ("active", "pairs", "skipped", "triplets", "violating")
    assert {name: int(getattr(found, name)) for name in names} == {name: getattr(expected, name) for name in names}


@pytest.mark.parametrize("mining", CERTAIN)
@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_every_mining_is_its_triple_loop(mining: Mining, margin: float) -> None:
    compare(some(), torch.tensor(LABELS), mining, margin)


@pytest.mark.parametrize("mining", CERTAIN)
@pytest.mark.parametrize("seed", range(3))
def test_ties_are_those_of_the_triple_loop(mining: Mining, seed: int) -> None:
    compare(on_a_grid(seed=seed), torch.tensor(LABELS), mining, 0.125)  # the margin too is a distance that occurs


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    mining=st.sampled_from(CERTAIN),
    seed=st.integers(0, 99),
    grid=st.booleans(),
)
def test_any_batch(labels: list[int], mining: Mining, seed: int, grid: bool) -> None:
    compare((on_a_grid if grid else some)(len(labels), seed), torch.tensor(labels), mining, 0.25)


@pytest.mark.parametrize("mining", CERTAIN)
def test_blocks_of_any_size_give_the_same(mining: Mining, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 3 * len(LABELS)):
        monkeypatch.setitem(triplets.BLOCK, "cpu", size)
        compare(some(seed=5), torch.tensor(LABELS), mining, 0.3)


@pytest.mark.parametrize("mining", CERTAIN)
def test_float32_and_float64_choose_alike(mining: Mining) -> None:
    """Their sorts differ: whole numbers made of bits against PyTorch's own."""
    labels = torch.arange(11).repeat_interleave(7)
    embeddings = some(77, 1)
    double, counted = triplet_loss(embeddings, labels, mining=mining)
    single, found = triplet_loss(embeddings.float(), labels, mining=mining)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-6)
    assert abs(int(found.active) - int(counted.active)) <= 1e-3 * int(counted.active)
    grid = on_a_grid(77, 1)
    for name, value in vars(triplet_loss(grid, labels, 0.125, mining)[1]).items():
        torch.testing.assert_close(getattr(triplet_loss(grid.float(), labels, 0.125, mining)[1], name), value)


@pytest.mark.parametrize("mining", CERTAIN)
@pytest.mark.parametrize(
    "labels", [[4], [4, 4, 4, 4, 4], [0, 1, 2, 3, 4], []], ids=["one row", "one identity", "all distinct", "no row"]
)
def test_without_a_triplet_the_loss_is_0_with_a_gradient(mining: Mining, labels: list[int]) -> None:
    embeddings = some(len(labels)).requires_grad_()
    loss, found = triplet_loss(embeddings, torch.tensor(labels, dtype=torch.int64), mining=mining)
    loss.backward()
    assert float(loss.detach()) == 0
    assert embeddings.grad is not None
    assert not embeddings.grad.any()
    assert int(found.triplets) == int(found.chosen) == 0
    assert int(found.skipped) == int(found.pairs) == (20 if labels == [4] * 5 else 0)
    assert all(math.isfinite(float(value)) for value in found.scalars().values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [13, 331])
def test_identical_embeddings_have_no_semi_hard_negative(dtype: torch.dtype, rows: int) -> None:
    """All distances are 0, not some rounding; nothing leads out of there, and the statistics say so."""
    one = some(1, 4, dtype).expand(rows, D).contiguous().requires_grad_()
    labels = torch.arange(rows) % 5
    for mining in CERTAIN:
        loss, found = triplet_loss(one, labels, mining=mining)
        (gradient,) = torch.autograd.grad(loss, one)
        assert gradient.abs().max() < 1e-4
        assert int(found.violating) == int(found.triplets) == count_triplets(labels)
        if mining in ("all", "hardest"):
            assert float(loss.detach()) == pytest.approx(0.2)
        else:
            assert int(found.chosen) == 0
            assert int(found.skipped) == int(found.pairs)


def test_a_random_semi_hard_negative_is_one_of_them_and_any_of_them() -> None:
    embeddings, labels, margin = some(), torch.tensor(LABELS), 0.6
    table, anchor = distances(embeddings), 0
    negative = labels != labels[anchor]
    positive = 3
    wanted = {n for n in negative.nonzero()[:, 0].tolist() if 0 < table[anchor, n] - table[anchor, positive] < margin}
    assert len(wanted) >= 3
    block = Block(table[:1], negative[None], torch.tensor([[positive]]), torch.tensor([[True]]))
    drawn = []
    for noise in torch.linspace(0, 1, 301)[:-1]:
        mined = mine(block, "random-semi-hard", margin, noise.reshape(1, 1))
        assert int(mined.chosen) == int(mined.active) == 1
        assert mined.weights[0, positive] == 1
        drawn.append(int((mined.weights[0] == -1).nonzero()))
    counts = torch.tensor(drawn).bincount()
    assert set(drawn) == wanted
    assert (counts[counts > 0] - 300 / len(wanted)).abs().max() <= 1


def test_random_semi_hard_counts_as_the_hardest_and_follows_its_generator() -> None:
    embeddings, labels = some(77, 2), torch.arange(11).repeat_interleave(7)
    draws = [
        triplet_loss(embeddings, labels, mining="random-semi-hard", generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    _, nearest = triplet_loss(embeddings, labels, mining="hardest-semi-hard")
    assert float(draws[0][0]) == float(draws[1][0]) != float(draws[2][0])
    for _, found in draws:
        assert [int(found.chosen), int(found.skipped)] == [int(nearest.chosen), int(nearest.skipped)]


@pytest.mark.parametrize(("identities", "images"), [(45, 40), (2, 3), (7, 1), (1, 5)])
def test_counts_of_equal_identities(identities: int, images: int) -> None:
    labels = torch.arange(identities).repeat_interleave(images)
    expected = identities * (identities - 1) * images**2 * (images - 1)
    assert count_triplets(labels) == expected
    assert expected == 123_552_000 or identities != 45


def test_counts_of_unequal_identities() -> None:
    labels = torch.tensor(LABELS)
    assert count_triplets(labels) == naive(some(), labels, "all", 0.2).triplets == 5 * 4 * 8 + 4 * 3 * 9 + 2 * 11


REFERENCES: list[tuple[Mining, str]] = [("all", "all"), ("semi-hard", "semihard"), ("hard", "hard")]


@pytest.mark.parametrize(("mining", "theirs"), REFERENCES)
def test_pytorch_metric_learning_finds_the_same(mining: Mining, theirs: str) -> None:
    """Where its miner exists; on raw outputs, which it normalises as our networks do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

    raw = 3 * torch.randn(59, D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(59) % 11
    squared = LpDistance(normalize_embeddings=True, p=2, power=2)
    miner = TripletMarginMiner(margin=0.2, type_of_triplets=theirs, distance=squared)
    ours, reference = raw.clone().requires_grad_(), raw.clone().requires_grad_()
    chosen = miner(reference, labels)
    expected = TripletMarginLoss(margin=0.2, distance=squared)(reference, labels, chosen)
    loss, found = triplet_loss(F.normalize(ours, dim=1), labels, 0.2, mining)
    expected.backward()
    loss.backward()
    assert int(found.active) == len(chosen[0]) > 100
    torch.testing.assert_close(loss.detach(), expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.grad, reference.grad, rtol=1e-8, atol=1e-10)


def test_its_hardest_negative_miner_finds_the_same() -> None:
    """Its batch-hard miner with the easiest positives is our "hardest" where each anchor has one positive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchEasyHardMiner, BatchHardMiner

    embeddings, labels = some(58, 6), torch.arange(29).repeat_interleave(2)
    squared = LpDistance(normalize_embeddings=True, p=2, power=2)
    miners: list[tuple[Mining, object]] = [
        ("hardest", BatchHardMiner(distance=squared)),
        ("hardest-semi-hard-unbounded", BatchEasyHardMiner("hard", "semihard", distance=squared)),
    ]
    for mining, miner in miners:
        expected = TripletMarginLoss(margin=0.2, distance=squared)(embeddings, labels, miner(embeddings, labels))  # type: ignore[operator]
        torch.testing.assert_close(triplet_loss(embeddings, labels, 0.2, mining)[0], expected)


def test_squared_distances() -> None:
    a, b = some(5, 1), 3 * some(11, 2)
    torch.testing.assert_close(squared_distances(a, b), (a[:, None] - b).square().sum(-1))
    assert (squared_distances(a, a).diagonal() == 0).all()
    with torch.autocast("cpu", torch.bfloat16):
        assert squared_distances(a.bfloat16(), a.bfloat16()).dtype == torch.float32
        single = squared_distances(a.float(), b.float()).double()
    torch.testing.assert_close(single, squared_distances(a, b), rtol=1e-5, atol=1e-5)


def test_autocast_changes_nothing() -> None:
    embeddings, labels = some(dtype=torch.float32).requires_grad_(), torch.tensor(LABELS)
    plain = torch.autograd.grad(triplet_loss(embeddings, labels)[0], embeddings)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(torch.autograd.grad(triplet_loss(embeddings, labels)[0], embeddings)[0], plain)
    half = embeddings.detach().bfloat16().requires_grad_()
    loss, _ = triplet_loss(half, labels)
    assert loss.dtype == torch.float32
    assert torch.autograd.grad(loss, half)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("mining", CERTAIN)
@pytest.mark.parametrize("row", [0, 10])
def test_a_row_that_is_no_number_makes_the_loss_none(mining: Mining, row: int) -> None:
    """Even if it belongs to no triplet: a 0 would hide it from the loop."""
    embeddings = some(dtype=torch.float32)
    embeddings[row, 2] = float("nan")
    assert triplet_loss(embeddings, torch.tensor(LABELS), mining=mining)[0].isnan()


def test_labels_may_be_any_numbers() -> None:
    labels = torch.tensor(LABELS)
    expected = triplet_loss(some(), labels)[0]
    assert float(triplet_loss(some(), labels * -(10**12))[0]) == float(expected)
    assert float(triplet_loss(some(), labels.to(torch.int32))[0]) == float(expected)


def test_what_cannot_be_meant_is_refused() -> None:
    embeddings, labels = some(), torch.tensor(LABELS)
    with pytest.raises(ConfigError, match="no mining called 'semihard'; choose one of all, semi-hard, hardest-semi"):
        require_choices("semihard", 0.2)
    with pytest.raises(
        ConfigError, match=r"a margin of -0\.2 can't be meant; give a positive number, as FaceNet's 0\.2"
    ):
        triplet_loss(embeddings, labels, margin=-0.2)
    with pytest.raises(ConfigError, match="no reduction called 'max'; choose mean or sum"):
        require_choices("all", 0.2, "max")
    with pytest.raises(ConfigError, match="13 embeddings and 12 labels; give one label an embedding"):
        triplet_loss(embeddings, labels[:12])
    with pytest.raises(ConfigError, match="draws its negatives by chance: give a generator"):
        triplet_loss(embeddings, labels, mining="random-semi-hard")
