"""Triplets counted beside loops, drawn by chance, and the studies that train by them."""

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.data import ImageBatch
from vitrail.faces.mining import count_triplets
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.recipes.events import ignore
from vitrail.studies import mining, triplet_runs, triplets
from vitrail.studies.drawing import figure_png
from vitrail.studies.mining import collapsed
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import Stopped, StudyRecipe
from vitrail.studies.triplet_counts import count, losses_of, mean, of_identities, pairs_of, random_triplets
from vitrail.studies.triplet_runs import WAYS, random_objective, trained
from vitrail.train import TrainResult

MARGIN = 0.2
LABELS = torch.tensor([2, 0, 1, 0, 1, 1, 0, 3, 1, 0, 1])
PEOPLE = Path(__file__).parents[3] / "shared" / "data" / "faces" / "lfw_protocol" / "people.txt"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit_vectors(rows: int, dim: int = 3, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(rows, dim, generator=generator(seed)), dim=1)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitrail.studies.measuring.DRAWS", 40)


# -- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("people", "each"), [(3, 5), (7, 2), (1, 11), (5, 1)])
def test_closed_forms_are_those_of_loops(people: int, each: int) -> None:
    labels = torch.arange(people).repeat_interleave(each)
    rows = range(len(labels))
    pairs = [(a, p) for a, p in product(rows, rows) if a != p and labels[a] == labels[p]]
    assert pairs_of(people, each) == len(pairs)
    found = sum(int(labels[a] != labels[n]) for (a, _), n in product(pairs, rows))
    assert of_identities(people, each) == count_triplets(labels) == found


def test_the_papers_batch() -> None:
    assert of_identities(*triplets.PAPER["FaceNet's batch"]) == 123_552_000
    assert pairs_of(*triplets.PAPER["FaceNet's batch"]) == 70_200
    assert of_identities(30, 8) == 389_760


@pytest.mark.data
@pytest.mark.skipif(not PEOPLE.is_file(), reason="needs ../shared/data/faces")
def test_the_triplets_of_lfw() -> None:
    counts = [int(parts[1]) for line in PEOPLE.read_text().splitlines() if len(parts := line.split("\t")) == 2]
    assert (len(counts), sum(counts)) == (5749, 13233)
    assert sum(n * (n - 1) * (13233 - n) for n in counts) == triplets.LFW


def test_counts_are_those_of_loops() -> None:
    embeddings = unit_vectors(len(LABELS))
    found = count(embeddings, LABELS, MARGIN, generator())
    distance = torch.cdist(embeddings.double(), embeddings.double()).square()
    kinds = {"triplets": 0, "active": 0, "semi_hard": 0, "hard": 0, "pairs": 0, "skipped": 0}
    rows = range(len(LABELS))
    for a, p in product(rows, rows):
        if a == p or LABELS[a] != LABELS[p]:
            continue
        kinds["pairs"] += 1
        gaps = [float(distance[a, n] - distance[a, p]) for n in rows if LABELS[n] != LABELS[a]]
        kinds["triplets"] += len(gaps)
        kinds["active"] += sum(gap < MARGIN for gap in gaps)
        kinds["semi_hard"] += (semi := sum(0 < gap < MARGIN for gap in gaps))
        kinds["hard"] += sum(gap < 0 for gap in gaps)
        kinds["skipped"] += not semi
    assert {name: asdict(found)[name] for name in kinds} == kinds
    assert min(kinds.values()) > 0
    assert found.active == found.semi_hard + found.hard
    assert found.distance == pytest.approx(float(distance.mean()), rel=1e-5)
    other = count(unit_vectors(len(LABELS), seed=1), LABELS, MARGIN, generator())
    assert mean([found, other]).hard == (found.hard + other.hard) / 2


def test_triplets_drawn_by_chance_are_one_a_pair() -> None:
    anchors, positives, negatives = random_triplets(LABELS, generator()).tolist()
    rows = range(len(LABELS))
    assert list(zip(anchors, positives, strict=True)) == [
        (a, p) for a, p in product(rows, rows) if a != p and LABELS[a] == LABELS[p]
    ]
    assert all(LABELS[a] != LABELS[n] for a, n in zip(anchors, negatives, strict=True))
    assert (
        random_triplets(LABELS, generator()).tolist()[2]
        == negatives
        != random_triplets(LABELS, generator(1)).tolist()[2]
    )
    drawn = torch.cat([random_triplets(LABELS, generator(seed))[:, :1] for seed in range(600)], 1)
    assert (drawn[0] == 1).all(), "the first row that has a positive"
    seen = torch.bincount(drawn[2], minlength=len(LABELS))
    others = LABELS != 0
    assert (seen[~others] == 0).all()
    assert (seen[others] > 600 / 7 / 2).all(), "all of them alike"


@pytest.mark.parametrize("labels", [torch.zeros(5, dtype=torch.int64), torch.arange(5), torch.arange(1)])
def test_nothing_is_drawn_where_there_is_nothing(labels: Tensor) -> None:
    assert random_triplets(labels, generator()).shape == (3, 0)
    found = count(unit_vectors(len(labels)), labels, MARGIN, generator())
    assert found.triplets == found.active == found.drawn == 0


def test_losses_are_those_of_loops() -> None:
    embeddings, found = unit_vectors(len(LABELS)), random_triplets(LABELS, generator())
    losses = losses_of(embeddings, found, MARGIN)
    for (a, p, n), loss in zip(found.T.tolist(), losses.tolist(), strict=True):
        e = embeddings
        expected = ((e[a] - e[p]) ** 2).sum() - ((e[a] - e[n]) ** 2).sum() + MARGIN
        assert loss == pytest.approx(max(0.0, float(expected)), abs=1e-6)
    assert 0 < int((losses == 0).sum()) < len(losses)


def test_random_negatives_train_by_the_mean_of_those_with_a_loss() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    images = torch.randn(len(LABELS), 3, 2, 2, generator=generator())
    rows = range(len(LABELS))
    batch = ImageBatch(images, LABELS, None, torch.tensor(rows), rows, len(rows))
    random = RowRandom(7, 11, rows, len(rows))
    loss, batches, scalars = random_objective(network, MARGIN).loss(batch, random)
    drawn = random_triplets(LABELS, generator(derive_seed(7, 11, "triplets")))
    losses = losses_of(network(images), drawn, MARGIN)
    assert float(loss.detach()) == pytest.approx(float(losses[losses > 0].mean().detach()))
    assert float(batches) == 1
    assert float(scalars["active"]) == int((losses > 0).sum())
    assert float(scalars["skipped"]) == 0
    loss.backward()
    assert network[1].weight.grad is not None
    assert network[1].weight.grad.abs().sum() > 0


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> StudyRecipe:
    monkeypatch.setattr(triplet_runs, "LOOKS", 4)
    monkeypatch.setattr(triplet_runs, "BATCHES", 2)
    return StudyRecipe("mining", run=trained, quick=True, seeds=2)


def test_ways_begin_alike_and_are_trained_once(recipe: StudyRecipe) -> None:
    first, seen, lost = trained(recipe, "hardest", 3, ignore)
    assert first.folder == Path("runs/studies/people/triplets-hardest-seed-3-quick")
    assert (first.options["mining"], first.options["seed"]) == ("hardest", 3)
    assert seen["step"][:3] == [0, 3, 6]
    assert len(seen["step"]) == len(seen["active"]) == len(seen["distance"])
    assert list(lost["step"]) == list(range(1, 14))
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    again = trained(recipe, "hardest", 3, ignore)
    assert again[1:] == (seen, lost)
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == written
    _, others, _ = trained(recipe, "random", 3, ignore)
    assert [others[name][0] for name in others] == [seen[name][0] for name in others]
    assert others["distance"][-1] != seen["distance"][-1]


def test_an_interruption_ends_the_study(recipe: StudyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = TrainResult(1, 1.0, False, {})
    monkeypatch.setattr(triplet_runs, "train", lambda *given, **named: stopped)
    with pytest.raises(Stopped):
        trained(recipe, "hard", 0, ignore)


def test_a_collapse_is_known() -> None:
    assert collapsed({"distance": [1.0, 0.0019]}, MARGIN)
    assert not collapsed({"distance": [0.0001, 0.0021]}, MARGIN)


def test_mining_from_its_name_to_its_figure(recipe: StudyRecipe) -> None:
    outcome = run(recipe)
    assert outcome.finding is not None
    assert [row[0] for row in outcome.finding.rows] == list(mining.QUICK_WAYS)
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["people"]
    ways = one["facts"]["ways"]
    assert list(ways) == list(mining.QUICK_WAYS)
    assert all(len(way["runs"]) == 2 for way in ways.values())
    assert figure_png(outcome.study, {"people": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
    assert any(line.startswith("hardest negatives beside semi-hard ones: VAL") for line in outcome.finding.words)


def test_triplets_from_their_name_to_their_figure(recipe: StudyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triplets, "LARGE", 97)
    outcome = run(StudyRecipe("triplets", run=recipe.run, quick=True, seeds=2))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    names = [row[0] for row in outcome.finding.rows]
    assert names[:2] == ["random unit vectors", "before training"]
    assert "then a batch of 97" in names
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["people"]
    facts = one["facts"]
    # 4 people with 5 images each.
    assert facts["closed"]["this batch"] == str(of_identities(4, 5))
    # The run holds nobody out here: 16 people with 17 images each.
    assert facts["closed"]["all training images"] == str(of_identities(16, 17))
    for seen in facts["looks"]:
        assert all(
            active == pytest.approx(semi + hard, abs=0.01)
            for active, semi, hard in zip(seen["active"], seen["semi_hard"], seen["hard"], strict=True)
        )
    assert figure_png(outcome.study, {"people": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()


def test_words_tell_a_collapse_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    gain = mining.Vals(torch.zeros(2, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64))
    found = {way: dict.fromkeys(mining.FARS, gain) for way in WAYS}
    ends = {way: [0.1, 0.1] for way in WAYS}

    def words(*ends_of_hardest: float) -> str:
        looks = {way: [{"distance": [1.0, 1.0]}] * 2 for way in WAYS}
        looks["hardest"] = [{"distance": [1.0, end]} for end in ends_of_hardest]
        return " ".join(mining._words(found, looks, ends, MARGIN))  # type: ignore[arg-type]

    assert "this shows the collapse" in words(1e-5, 1e-4)
    assert "2 of 2 networks end" in words(1e-5, 1e-4)
    assert "in some of these trainings only" in words(1.0, 1e-4)
    assert "this doesn't show the collapse" in words(1.0, 1.0)
    assert "too small to tell" in words(1.0, 1.0)
