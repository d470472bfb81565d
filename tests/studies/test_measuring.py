"""Intervals: people and seeds both count, differences are paired, and what can't be told is called so."""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy import stats

from vitrail.recipes.events import ignore
from vitrail.recipes.runs import open_run
from vitrail.studies import paper
from vitrail.studies.measuring import Interval, Vals, compare, embed, fewer, people_tested, vals
from vitrail.studies.tables import Setting, curve, facts, heads, rows, what_costs
from vitrail.studies.terms import StudyRecipe


def drawn(*means: float, seed: int = 0, spread: float = 0.01, draws: int = 4000) -> Vals:
    noise = torch.randn(draws, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * spread
    values = torch.tensor(means, dtype=torch.float64)
    return Vals(values, values[:, None] + noise)


def test_one_seed_strays_with_people_alone() -> None:
    found = drawn(0.3).interval()
    assert found.value == pytest.approx(0.3)
    assert found.error == pytest.approx(0.01, rel=0.05)
    half = NormalDist().inv_cdf(0.975) * found.error
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert found.cell() == "30.0 ± 1.0"


def test_seeds_count_by_students_t() -> None:
    means = (0.31, 0.25, 0.4)
    found = drawn(*means, spread=0.0).interval()
    low, high = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (found.low, found.high) == pytest.approx((low, high))
    both = drawn(*means, spread=0.01).interval()
    assert both.error == pytest.approx((stats.sem(means) ** 2 + 0.01**2) ** 0.5, rel=0.05)


def test_differences_are_paired() -> None:
    """The same draws of people: what they have in common goes out."""
    one, other = drawn(0.3), drawn(0.28)
    gain = one.minus(other)
    assert gain.told
    assert gain.error < 1e-9
    assert gain.points().startswith("+2.0 points (")
    stranger = one.minus(drawn(0.295, seed=1))
    assert not stranger.told
    assert stranger.points().startswith("too small to tell (-")
    assert other.minus(one).points().startswith("-2.0 points (")


def test_vals_are_those_of_all_pairs(trained: Path) -> None:
    run = open_run(trained)
    recipe = StudyRecipe("face-jpeg", run=trained)
    images = people_tested(run, recipe, ignore)
    embeddings = embed(run, images, recipe)
    torch.testing.assert_close(embeddings, run.embed(torch.tensor(images.pixels)))
    compared = compare(embeddings, images)
    found = vals([compared, compared], 1e-2)
    at = compared.at_far(1e-2)
    assert found.values.tolist() == [at.val.value] * 2
    assert torch.equal(found.draws[1], at.draws)
    assert compare(embeddings, images, embeddings).different_pairs == 2 * compared.different_pairs


def test_a_quick_study_has_fewer_people(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitrail.studies.measuring.QUICK", 7)
    images = people_tested(open_run(trained), StudyRecipe("harmonic", run=trained), ignore)
    assert len(fewer(images, StudyRecipe("harmonic", quick=True))) == 7 * 9
    assert fewer(images, StudyRecipe("harmonic")) is images


def test_a_table_has_the_papers_rows_beside_ours() -> None:
    settings = [Setting(str(x), x, {0.01: drawn(0.5), 0.001: drawn(y)}, {"more": x}) for x, y in ((50, 0.2), (10, 0.1))]
    table = rows(settings, paper.JPEG)
    assert heads("quality") == ("quality", "VAL at FAR 0.01", "VAL at FAR 0.001", "the paper's, FAR 0.001")
    assert table[:2] == (("50", "50.0 ± 1.0", "20.0 ± 1.0", "85.5"), ("10", "50.0 ± 1.0", "10.0 ± 1.0", "67.3"))
    assert table[2:] == tuple(
        (f"the paper: {x}", "-", "-", y)
        for x, y in zip((20, 30, 70, 90), ("81.4", "83.9", "86.1", "86.5"), strict=True)
    )
    line = curve("ours", settings)
    assert (line.x, line.y) == ((10, 50), pytest.approx((0.1, 0.2)))
    assert all(low < y < high for low, y, high in zip(line.low, line.y, line.high, strict=True))
    assert facts(settings)[1]["more"] == 10
    assert facts(settings)[1]["val_at_far"]["0.001"]["seeds"] == [pytest.approx(0.1)]


def test_the_papers_rows() -> None:
    """Tables 4 to 6."""
    assert dict(zip(paper.DIMENSION.x, paper.DIMENSION.y, strict=True)) == {
        64: 0.868,
        128: 0.879,
        256: 0.877,
        512: 0.856,
    }
    assert paper.DIMENSION.high[0] - paper.DIMENSION.low[0] == pytest.approx(2 * 1.96 * 0.017, abs=2e-4)
    assert paper.DATA.y == (0.763, 0.851, 0.851, 0.862)
    assert paper.PIXELS.y[0] == 0.378
    assert not paper.JPEG.low


def test_where_something_is_lost() -> None:
    loss, unsure, gain = (Interval(value, 0.01, value - 0.02, value + 0.02) for value in (-0.1, -0.01, 0.1))
    where = "at quality {}"
    assert what_costs({"10": loss, "20": loss, "90": unsure}, where) == (
        "this shows a loss at quality 10, 20, and none that can be told at quality 90"
    )
    assert what_costs({"10": gain, "20": unsure}, where) == "this shows no loss that can be told, at quality 10, 20"
    assert what_costs({"10": loss}, where) == "this shows a loss at quality 10"
