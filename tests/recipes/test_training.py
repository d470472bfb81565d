"""Training recipes end to end on digits, and their objectives against plain formulas."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vitrail as vt
from vitrail.data import ImageBatch, load_images
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.nn.randomness import RowRandom
from vitrail.recipes import mae, vit
from vitrail.recipes.events import Event
from vitrail.recipes.labels import labelled_rows
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.runs import open_run
from vitrail.recipes.training import RunSummary
from vitrail.recipes.vit import Classification, ViTRecipe, classifier_from
from vitrail.train.events import Evaluated, Finished, Pictured
from vitrail.vision import MaskedAutoencoder


def batch_of(images: torch.Tensor, labels: torch.Tensor, mixed: bool) -> ImageBatch:
    others = (labels.roll(1), torch.linspace(0.1, 0.9, len(labels))) if mixed else None
    return ImageBatch(images, labels, others, torch.arange(len(images)), range(len(images)), len(images))


@pytest.mark.parametrize("mixed", [False, True])
def test_classification_is_cross_entropy_with_smoothed_and_mixed_labels(mixed: bool) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    images, labels = torch.randn(7, 3, 2, 2), torch.randint(5, (7,))
    batch = batch_of(images, labels, mixed)
    loss, count, scalars = Classification(module, label_smoothing=0.2).loss(batch, RowRandom(0, 0, range(7), 7))
    expected, right = 0.0, 0.0
    for row, logits in enumerate(module(images)):
        target = F.one_hot(labels[row], 5).float()
        if batch.mixed is not None:
            share = batch.mixed[1][row]
            target = share * target + (1 - share) * F.one_hot(batch.mixed[0][row], 5)
        right += float(target[logits.argmax()])
        smooth = 0.8 * target + 0.2 / 5
        expected -= float(smooth @ logits.detach().log_softmax(0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert count.item() == 7
    assert scalars["accuracy"].item() == pytest.approx(right, rel=1e-5)
    assert loss.requires_grad


def test_reconstruction_hides_by_the_rows_own_noise(mae_run: Path) -> None:
    model = open_run(mae_run).autoencoder()
    images, random = torch.randn(3, 1, 8, 8), RowRandom(5, 2, range(2, 5), 11)
    batch = ImageBatch(images, None, None, torch.arange(3), range(2, 5), 11)
    loss, count, scalars = mae.Reconstruct(model, 16).loss(batch, random)
    output = model(images, RowRandom(5, 2, range(11), 11).uniform("mask", 16)[2:5])
    assert loss.item() == output.loss_sum.item()
    assert (count.item(), scalars) == (3 * 12, {})


def test_a_masked_autoencoder_is_trained_pictured_and_measured(
    trained_mae: tuple[RunSummary, list[Event]], mae_recipe: MAERecipe
) -> None:
    summary, events = trained_mae
    assert summary.finished
    assert summary.kind == "mae"
    looks = [event for event in events if isinstance(event, Evaluated)]
    pictures = [event.path for event in events if isinstance(event, Pictured)]
    assert len(looks) == len(pictures) == mae_recipe.epochs
    assert looks[-1].scalars["loss"] < looks[0].scalars["loss"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (*pictures, *summary.pictures))
    written = json.loads((summary.folder / "evaluation.json").read_text())
    assert written == json.loads(json.dumps(summary.evaluation))
    # Without norm-pix the training loss is the error in pixels.
    assert written["masked_patch_error"]["model"] == pytest.approx(written["loss"], rel=1e-3)


def test_a_vit_is_trained_and_measured(trained_vit: tuple[RunSummary, list[Event]]) -> None:
    summary, events = trained_vit
    assert summary.finished
    assert sum(isinstance(event, Evaluated) for event in events) == 4
    assert 0.3 < summary.evaluation["accuracy"] <= 1
    low, high = summary.evaluation["interval"]
    assert low < summary.evaluation["accuracy"] < high
    assert summary.parameters == sum(p.numel() for p in open_run(summary.folder).model.parameters())
    assert {"train/accuracy", "train/loss", "evaluation/accuracy"} <= summary.metrics.keys()


def test_a_finished_run_is_not_trained_again(
    trained_vit: tuple[RunSummary, list[Event]], vit_recipe: ViTRecipe
) -> None:
    summary, _ = trained_vit
    weights = (summary.folder / "model.safetensors").read_bytes()
    events: list[Event] = []
    again = vit.run(vit_recipe, events.append)
    (finished,) = (event for event in events if isinstance(event, Finished))
    assert finished.seconds < 5
    assert (summary.folder / "model.safetensors").read_bytes() == weights
    assert again.evaluation["accuracy"] == summary.evaluation["accuracy"]


def test_another_option_does_not_overwrite_a_run(vit_recipe: ViTRecipe, vit_run: Path) -> None:
    with pytest.raises(ConfigError, match="was begun with epochs 4, but now it is 5"):
        vit.run(dataclasses.replace(vit_recipe, epochs=5))


def test_a_vit_starts_from_a_masked_autoencoder(mae_run: Path, tmp_path: Path) -> None:
    recipe = ViTRecipe(run=tmp_path / "run", init=mae_run, epochs=1, labels_per_class=5, batch_size=25, layer_decay=0.7)
    start = open_run(mae_run)
    model = vit.build(recipe, load_images("digits"), start)
    for name, weight in start.encoder.state_dict().items():
        assert model.state_dict()[name].equal(weight), name
    summary = vit.run(recipe)
    assert summary.finished
    assert open_run(tmp_path / "run").mean == start.mean


def test_from_scratch_has_the_same_shape_and_other_weights(mae_run: Path) -> None:
    encoder = open_run(mae_run).encoder
    start, scratch = classifier_from(encoder, 3), classifier_from(encoder, 3, weights=False)
    assert start.config == scratch.config
    assert start.blocks[0].feed_forward.up.weight.equal(encoder.blocks[0].feed_forward.up.weight)
    assert not scratch.blocks[0].feed_forward.up.weight.equal(encoder.blocks[0].feed_forward.up.weight)


def test_options_change_the_shape() -> None:
    recipe = MAERecipe(
        preset="tiny", dim=24, heads=3, depth=1, patch_size=4, pool="mean", stem="conv", mask_ratio=0.5,
        masking="grid", norm_pix=False, decoder="cross", decoder_dim=8, decoder_depth=1,
    )  # fmt: skip
    model = mae.build(dataclasses.replace(recipe, decoder_dim=12), load_images("digits"))
    assert isinstance(model, MaskedAutoencoder)
    config = model.config
    shape = (config.encoder.dim, config.encoder.depth, config.encoder.patch_size, config.encoder.pool)
    assert shape == (24, 1, 4, "mean")
    assert (config.mask_ratio, config.masking, config.norm_pix) == (0.5, "grid", False)
    assert (config.decoder, config.decoder_dim, config.decoder_mlp_dim) == ("cross", 12, 48)


def test_few_labels_are_evenly_drawn_by_the_seed() -> None:
    images = load_images("digits")
    rows = labelled_rows(images, 3, 0)
    assert images.labels is not None
    assert sorted(images.labels[rows]) == sorted(list(range(10)) * 3)
    assert (labelled_rows(images, 3, 0) == rows).all()
    assert set(labelled_rows(images, 3, 1)) != set(rows)
    assert len(labelled_rows(images, None, 0)) == len(images)
    with pytest.raises(ConfigError, match=r"999 labels per class were asked for, and digits has .* images of"):
        labelled_rows(images, 999, 0)


def test_recipes_go_by_name(tmp_path: Path) -> None:
    summary = vt.train("vit", run=tmp_path, epochs=1, preset="digits", depth=1, dim=8, mlp_dim=8, batch_size=400)
    assert summary.finished
    with pytest.raises(ConfigError, match="nothing called 'gan' to train: choose vit, mae, faces, summarizer or lm"):
        vt.train("gan")
    with pytest.raises(ConfigError, match=r"ViTRecipe has no option 'epoch': did you mean epochs?"):
        vt.train("vit", epoch=3)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"preset": "smal"}, ConfigError, "no preset called 'smal'.*did you mean small?"),
        ({"epochs": 0}, ConfigError, "0 epochs train nothing: give --epochs 1 or more"),
        ({"warmup_epochs": -1.0}, ConfigError, "a warm-up of -1.0 epochs can't be meant"),
        ({"label_smoothing": 1.0}, ConfigError, "a label smoothing of 1.0 can't be meant"),
        ({"batch_size": 4000}, DataError, "A batch of 4,000 is larger than digits"),
        ({"patch_size": 3}, ConfigError, "8x8 pixels can't be cut into patches of 3x3"),
        ({"validation": 1.5}, ConfigError, "leaves one side empty"),
        ({"labels_per_class": 0}, ConfigError, "ask for 1 to"),
        ({"image_size": 13}, ConfigError, "13x13 pixels can't be cut into equal patches: resize them"),
        ({"init": Path("nowhere")}, ConfigError, "nowhere does not exist, and a run folder was expected"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    tmp_path: Path, change: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        vit.run(ViTRecipe(run=tmp_path / "run", **change))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_start_settles_the_shape(mae_run: Path, vit_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"with --init it is that of .*: leave --preset and its changes out"):
        vit.run(ViTRecipe(run=tmp_path / "run", init=mae_run, preset="tiny"))
