"""A run folder becomes the model that was trained, or one sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vitrail as vt
from vitrail.data import load_images
from vitrail.errors import CheckpointError, ConfigError, ModelError
from vitrail.recipes.runs import open_run
from vitrail.train.weights import save_weights


@pytest.fixture
def copy(mae_run: Path, tmp_path: Path) -> Path:
    """A copy of the masked autoencoder's run, to be spoilt."""
    return Path(shutil.copytree(mae_run, tmp_path / "copy"))


def digits(count: int) -> torch.Tensor:
    return torch.from_numpy(np.array(load_images("digits", "test").pixels[:count]))


def test_a_run_has_the_trained_weights_and_its_images_statistics(mae_run: Path) -> None:
    run = vt.load(mae_run)
    weights = load_file(mae_run / "model.safetensors")
    assert run.kind == "mae"
    assert not run.model.training
    assert {name: x.equal(weights[name]) for name, x in run.model.state_dict().items()} == dict.fromkeys(weights, True)
    images = load_images("digits")
    assert (run.mean, run.std, run.classes) == (images.mean, images.std, images.classes)
    assert run.options["epochs"] == 2


def test_embeddings_are_the_encoders(mae_run: Path) -> None:
    run, images = open_run(mae_run), digits(5)
    expected = run.encoder.embed((images / 255 - run.mean[0]) / run.std[0])
    torch.testing.assert_close(run.embed(images, batch_size=2), expected, atol=1e-5, rtol=1e-5)


def test_a_reconstruction_keeps_what_is_visible(mae_run: Path) -> None:
    run, images = open_run(mae_run), digits(7)
    result = run.reconstruct(images)
    visible = ~result.hidden.bool()
    assert visible.float().mean() == 0.25
    assert result.paste[visible].equal(images[visible])
    assert result.paste[~visible].equal(result.predicted[~visible])
    assert not result.given
    assert run.reconstruct(images).predicted.equal(result.predicted)
    assert not run.reconstruct(images, seed=1).hidden.equal(result.hidden)


def test_a_classifier_reconstructs_nothing(vit_run: Path) -> None:
    with pytest.raises(ModelError, match="holds a Vision Transformer, and only a masked autoencoder fills in"):
        open_run(vit_run).reconstruct(digits(2))


def test_images_of_another_shape_are_refused(mae_run: Path) -> None:
    with pytest.raises(ModelError, match=r"digits has images of 1 channels and 12x12 pixels, and .* reads 1 .* 8x8"):
        open_run(mae_run).feed(load_images("digits", image_size=12))


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere does not exist, and a run folder was expected: name one"):
        open_run(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file is a file, and a run folder was expected"):
        open_run(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"is not a run folder, for it has no config.json"):
        open_run(tmp_path)


def test_a_run_without_weights_says_how_to_go_on(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model.safetensors.*: let it go on with 'vitrail train mae --run"):
        open_run(copy)


def test_weights_of_another_shape_are_named(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["encoder.norm.weight"] = torch.ones(5)
    save_weights(copy / "model.safetensors", weights)
    with pytest.raises(ModelError, match=r"encoder.norm.weight is \(5,\) there and \(32,\) in the model"):
        open_run(copy)
    del weights["encoder.norm.weight"]
    save_weights(copy / "model.safetensors", weights)
    with pytest.raises(ModelError, match=r"encoder.norm.weight is nothing there and \(32,\) in the model"):
        open_run(copy)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"kind": "gan"}, ModelError, "is a run of kind 'gan'"),
        ({"format": 99}, ModelError, r"\(format 99\), and this version knows vit, mae, faces \(format 1\)"),
        ({"images": {}}, CheckpointError, "lacks or garbles 'data': restore the file"),
        ({"model": {"encoder": {"width": 3}}}, CheckpointError, "lacks or garbles .*width"),
    ],
)
def test_a_configuration_of_another_kind_is_refused(
    copy: Path, change: dict[str, object], error: type[Exception], text: str
) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(error, match=text):
        open_run(copy)
