"""Probes of a run: what is chosen without the test set, what is written, what is compared."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vitrail.data import load_images
from vitrail.errors import ConfigError, ModelError
from vitrail.recipes.events import Event
from vitrail.recipes.intervals import mean_interval, wilson_interval
from vitrail.recipes.probe import ProbeSummary, run
from vitrail.recipes.probing import Features, Method, folds, probe_accuracy
from vitrail.recipes.terms import ProbeRecipe

METHODS: tuple[Method, ...] = ("linear, BatchNorm", "linear, raw", "attentive", "kNN")


def blobs(method: Method, test_labels: torch.Tensor | None = None) -> Features:
    """Three classes around three centres; half of the images mirrored, as a second view."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    centres = 3 * torch.randn(3, 7, generator=generator)
    features = centres[labels] + torch.randn(120, 7, generator=generator)
    if method == "attentive":
        features = features[:, None] + 0.1 * torch.randn(120, 5, 7, generator=generator)
    expected = labels[90:] if test_labels is None else test_labels
    return Features((features[:90], features[:90] + 0.1), features[90:], labels[:90], expected, 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_probe_tells_apart_what_is_apart(method: Method) -> None:
    accuracy, chosen = probe_accuracy(method, blobs(method), torch.arange(90), seed=0)
    assert accuracy > 0.9
    assert chosen > 0


@pytest.mark.parametrize("method", METHODS)
def test_test_labels_choose_nothing(method: Method) -> None:
    wrong = (torch.arange(30) + 1) % 3
    (accuracy, chosen), (spoilt, chosen_again) = (
        probe_accuracy(method, blobs(method, labels), torch.arange(90), seed=0) for labels in (None, wrong)
    )
    assert chosen == chosen_again
    assert spoilt < 0.2 < accuracy


@pytest.mark.parametrize(("method", "width", "least"), [("kNN", 2, 5), ("linear, BatchNorm", 23, 1e-1)])
def test_what_is_chosen_was_not_fitted_on(method: Method, width: int, least: float) -> None:
    """A third of the labels is wrong: an image's own would speak for one neighbour and for the weakest penalty."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(150, width, generator=generator) + 2
    wrong = torch.rand(150, generator=generator) < 1 / 3
    labels = ((features[:, 0] > features[:, 1]) ^ wrong).long()
    noisy = Features((features[:120],), features[120:], labels[:120], labels[120:], 2)
    _, chosen = probe_accuracy(method, noisy, torch.arange(120), seed=0)
    assert chosen >= least


def test_folds_leave_each_image_out_once_and_each_class_evenly() -> None:
    labels = torch.tensor([0] * 50 + [1] * 25 + [2] * 10)
    parts = folds(labels, 3)
    assert torch.stack(parts).sum(0).tolist() == [1] * 85
    for part in parts:
        assert torch.bincount(labels[part]).tolist() == [10, 5, 2]
    assert not folds(labels, 4)[0].equal(parts[0])
    assert len(folds(torch.arange(6000) % 3, 0)) == 1


def test_intervals_are_those_of_the_tables() -> None:
    # Student: t(2) = 4.3027; Wilson for 9 of 10: Brown, Cai & DasGupta's formula by hand.
    mean, interval = mean_interval([0.7, 0.8, 0.9])
    assert mean == pytest.approx(0.8)
    assert interval == pytest.approx((0.8 - 4.302653 * 0.1 / 3**0.5, 0.8 + 4.302653 * 0.1 / 3**0.5), abs=1e-6)
    assert mean_interval([0.7]) == (0.7, None)
    assert wilson_interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson_interval(0.0, 10)[0] == 0
    assert wilson_interval(1.0, 10)[1] == pytest.approx(1)


@pytest.fixture(scope="module")
def probed(trained_mae: tuple[object, list[Event]]) -> ProbeSummary:
    """All probes of the small run, with baselines, from few labels."""
    folder = trained_mae[0].folder  # type: ignore[attr-defined]
    recipe = ProbeRecipe(folder, seeds=2, labels_per_class=6, baselines=True, epochs=2, batch_size=30)
    return run(recipe)


def test_all_probes_are_asked_with_their_baselines(probed: ProbeSummary) -> None:
    asked = [(score.probe, score.subject) for score in probed.scores]
    encoders = ["trained encoder", "untrained encoder"]
    assert asked == [
        *[(probe, s) for s in [*encoders, "raw pixels"] for probe in ("linear, BatchNorm", "linear, raw")],
        *[("attentive", s) for s in encoders],
        *[("kNN", s) for s in [*encoders, "raw pixels"]],
        ("finetune", "trained encoder"),
        ("finetune", "from scratch"),
    ]
    assert probed.finished
    for score in probed.scores:
        assert len(score.accuracies) == 2
        assert all(0 <= accuracy <= 1 for accuracy in score.accuracies)
        assert score.images == 360
    # Pixels of digits are easy: a probe that reads them well reads the rest as well as it can be read.
    pixels = [score.mean for score in probed.scores if score.subject == "raw pixels"]
    assert min(pixels) > 0.75


def test_each_kind_is_written_down(probed: ProbeSummary) -> None:
    names = ["linear.json", "attentive.json", "knn.json", "finetune.json"]
    assert [path.name for path in probed.files] == names
    for path in probed.files:
        figures = json.loads(path.read_text())
        assert figures["seeds"] == [0, 1]
        assert figures["fingerprint"]["train"] == load_images("digits").fingerprint
        assert figures["fingerprint"]["test"] == load_images("digits", "test").fingerprint
        assert figures["seconds"] >= 0
        for score in figures["scores"]:
            low, high = score["interval"]
            assert low <= score["mean"] <= high


def test_fine_tuning_goes_through_the_loop_and_is_found_again(probed: ProbeSummary, mae_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in mae_run.glob("probes/*/model.safetensors")}
    assert len(before) == 4
    recipe = ProbeRecipe(mae_run, kind="finetune", seeds=2, labels_per_class=6, epochs=2, batch_size=30)
    again = run(recipe)
    assert again.scores[0].accuracies == next(s for s in probed.scores if s.probe == "finetune").accuracies
    assert {path: path.stat().st_mtime_ns for path in mae_run.glob("probes/*/model.safetensors")} == before


def test_from_scratch_means_from_other_weights(mae_run: Path) -> None:
    recipe = ProbeRecipe(
        mae_run, kind="finetune", seeds=1, labels_per_class=2, epochs=1, lr=1e-9, weight_decay=0.0, baselines=True
    )
    before = set(mae_run.glob("probes/*/model.safetensors"))
    run(recipe)
    pretrained, scratch = (load_file(path) for path in sorted(set(mae_run.glob("probes/*/model.safetensors")) - before))
    own = load_file(mae_run / "model.safetensors")["encoder.blocks.0.feed_forward.up.weight"]
    torch.testing.assert_close(pretrained["blocks.0.feed_forward.up.weight"], own, atol=1e-6, rtol=0)
    assert (scratch["blocks.0.feed_forward.up.weight"] - own).abs().max() > 0.05


def test_mirrored_images_join_the_training_set(mae_run: Path) -> None:
    from vitrail.recipes import probe

    train, test = load_images("digits").subset(range(7)), load_images("digits", "test").subset(range(5))
    features = probe.features(None, "knn", train, test, ProbeRecipe(mae_run, flip=True))
    plain, mirrored = (view.view(7, 8, 8) for view in features.train)
    assert mirrored.equal(plain.flip(-1))
    assert len(features.test) == 5
    (score,) = run(ProbeRecipe(mae_run, kind="knn", seeds=1, labels_per_class=6, flip=True)).scores
    assert score.interval is None


def test_an_interrupted_fine_tuning_is_said_so(mae_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitrail.recipes import training

    def stopped(*arguments: object) -> tuple[bool, float, dict[str, float]]:
        return False, 0.1, {}

    monkeypatch.setattr(training, "carry_out", stopped)
    summary = run(ProbeRecipe(mae_run, kind="finetune", seeds=1, labels_per_class=3, epochs=1))
    assert (summary.finished, summary.scores, summary.files) == (False, (), ())


def test_a_vit_is_probed_too(vit_run: Path) -> None:
    (score, _) = run(ProbeRecipe(vit_run, kind="linear", seeds=1)).scores
    assert score.mean > 0.5


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"seeds": 0}, ConfigError, "0 seeds measure nothing: give --seeds 1 or more"),
        ({"kind": "knm"}, ConfigError, "no probe of kind 'knm': choose linear, attentive, knn, finetune or all"),
        ({"labels_per_class": 500}, ConfigError, "500 labels per class were asked for, and digits has"),
    ],
)
def test_mistakes_are_one_sentence(mae_run: Path, change: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        run(ProbeRecipe(mae_run, **change))  # type: ignore[arg-type]


def test_data_of_other_classes_is_no_test_for_a_classifier(vit_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.evaluate import run as evaluate

    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for shade in (10, 60, 110):
                Image.new("L", (9, 9), shade + len(name) + len(split)).save(folder / f"{shade}.png")
    with pytest.raises(ModelError, match=r"pets has the classes cat, dog, and .* knows 0, 1, 2 … \(10\)"):
        evaluate(EvaluateRecipe(vit_run, data=str(tmp_path / "pets")))
