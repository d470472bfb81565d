"""Evaluation, fills, pictures, exports and the demo."""

import io
import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.data import load_images
from vitrail.errors import ConfigError, DataError, ModelError, OutputError
from vitrail.nn.randomness import RowRandom
from vitrail.recipes import demo, evaluate, export, reconstruct
from vitrail.recipes.events import Event, Note
from vitrail.recipes.fills import bilinear, compare, mean_image, mean_of, with_true_statistics
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.mae import run as pretrain
from vitrail.recipes.runs import open_run
from vitrail.vision import patchify
from vitrail.vision.pictures import confusion_png, reconstruction_png


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_accuracy_is_the_share_of_images_told_apart(vit_run: Path) -> None:
    figures = evaluate.run(evaluate.EvaluateRecipe(vit_run, precision="float32")).figures
    run, images = open_run(vit_run), load_images("digits", "test")
    assert images.labels is not None
    with torch.no_grad():
        guesses = run.model(run.normalise(torch.from_numpy(np.array(images.pixels)))).argmax(1).numpy()
    assert figures["accuracy"] == pytest.approx((guesses == images.labels).mean())
    assert figures["confusion"][3][5] == ((images.labels == 3) & (guesses == 5)).sum()
    assert figures["per_class"]["7"] == pytest.approx((guesses[images.labels == 7] == 7).mean(), abs=1e-6)
    assert json.loads((vit_run / "evaluation.json").read_text()) == figures


def test_the_mean_image_is_the_plain_mean() -> None:
    images = load_images("digits")
    expected = (images.pixels / 255 - images.mean[0]) / images.std[0]
    np.testing.assert_allclose(mean_of(images), expected.mean(0), atol=1e-5)
    hidden = np.zeros((2, 1, 8, 8), dtype=bool)
    hidden[1, 0, :3] = True
    filled = mean_image(np.zeros((2, 1, 8, 8), np.float32), hidden, mean_of(images))
    assert (filled[0] == 0).all()
    np.testing.assert_array_equal(filled[1, 0, :3], mean_of(images)[0, :3])


def test_bilinear_filling_is_exact_on_slopes_and_nearest_outside() -> None:
    y, x = np.mgrid[:7, :11].astype(np.float32)
    slopes = np.stack([2 * y - x, 0.5 * x + 3])[None]
    hidden = np.zeros((1, 1, 7, 11), dtype=bool)
    hidden[0, 0, 2:5, 3:9] = True
    known = np.where(hidden, np.nan, slopes)
    np.testing.assert_allclose(bilinear(known, hidden), slopes, atol=1e-4)
    hidden[:] = True
    hidden[0, 0, 3, 4] = False  # one visible pixel: no triangle, all are its neighbours
    known = np.where(hidden, np.nan, slopes).astype(np.float32)
    np.testing.assert_array_equal(bilinear(known, hidden), np.broadcast_to(slopes[:, :, 3:4, 4:5], slopes.shape))


def test_model_and_fills_are_compared_on_the_same_hidden_pixels(mae_run: Path) -> None:
    run = open_run(mae_run)
    model, training = run.autoencoder(), load_images("digits")
    images = load_images("digits", "test").subset(range(5))
    found = compare(model, images, training, seed=3, precision="float32")
    inputs = run.normalise(torch.from_numpy(np.array(images.pixels)))
    with torch.no_grad():
        output = model(inputs, RowRandom(3, 0, range(5), 5).uniform("mask", 16))
    expected = {"model": 0.0, "mean_image": 0.0, "bilinear": 0.0}
    for image in range(5):
        hidden = model.pixel_mask(output.mask)[image : image + 1].bool().numpy()
        truth = inputs[image : image + 1].numpy()
        fills = {
            "model": model.reconstruct(inputs, output)[image : image + 1].numpy(),
            "mean_image": mean_of(training)[None],
            "bilinear": bilinear(np.where(hidden, np.nan, truth), hidden),
        }
        for name, fill in fills.items():
            expected[name] += float(((fill - truth) ** 2)[hidden].mean() / 5)
    assert found == pytest.approx(expected, rel=1e-4)


def test_fills_may_be_given_the_true_patches_mean_and_contrast(mae_run: Path) -> None:
    model = open_run(mae_run).autoencoder()
    truth, fill = torch.randn(3, 1, 8, 8), torch.randn(3, 1, 8, 8)
    fill[0] = 5.0  # flat: there is no pattern to give a contrast
    given, true, own = (patchify(x, 2) for x in (with_true_statistics(fill, truth, model), truth, fill))
    torch.testing.assert_close(given.mean(-1), true.mean(-1))
    torch.testing.assert_close(given[1:].std(-1), true[1:].std(-1))
    assert given[0].std(-1).max() < 1e-5
    assert (own[1:].argmax(-1) == given[1:].argmax(-1)).all()


def test_pictures_show_pixels_as_squares_and_hide_what_is_hidden() -> None:
    original = torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)
    predicted = torch.zeros_like(original)
    hidden = torch.zeros(2, 1, 8, 8)
    hidden[:, :, :4] = 1
    plain, marked = (
        opened(
            reconstruction_png(
                original, predicted, hidden, given=given, names=["a", "b"], title="title", patch_size=(4, 4)
            )
        )
        for given in (False, True)
    )
    blank = (np.abs(plain - np.array([126, 146, 178])).sum(2) < 6).mean()
    black, white = (plain.sum(2) < 6).mean(), (np.abs(plain - 200).sum(2) < 6).mean()
    # Each image: masked and reconstruction are half blank; paste and reconstruction half predicted; original is whole.
    assert blank == pytest.approx(black, rel=0.2)
    assert white == pytest.approx(2 * blank, rel=0.2)
    orange = [((sheet[..., 0] - sheet[..., 2]) > 80).sum() for sheet in (plain, marked)]
    assert orange[0] == 0 < orange[1]


def test_a_confusion_is_darkest_where_most_are() -> None:
    sheet = opened(confusion_png(torch.tensor([[9, 1], [0, 5]]), ["cat", "dog"], "title"))
    assert sheet.min() < 60
    assert opened(confusion_png(torch.ones(40, 40, dtype=torch.int64), [str(i) for i in range(40)])).ndim == 3


def test_files_of_any_size_are_reconstructed(mae_run: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    paths = []
    for size, mode in (((11, 23), "RGB"), ((64, 8), "L"), ((8, 8), "RGBA")):
        shape = (size[1], size[0]) + ((len(mode),) if mode != "L" else ())
        paths.append(tmp_path / f"{mode} of a rather long name.png")
        Image.fromarray(generator.integers(0, 255, shape, dtype=np.uint8), mode=None).save(paths[-1])
    written = reconstruct.run(reconstruct.ReconstructRecipe(mae_run, tuple(paths), tmp_path / "deep" / "sheet.png"))
    assert written == tmp_path / "deep" / "sheet.png"
    assert opened(written.read_bytes()).shape[2] == 3


def test_a_reconstruction_names_its_mistakes(mae_run: Path, vit_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no image to reconstruct: name at least one file"):
        reconstruct.run(reconstruct.ReconstructRecipe(mae_run, ()))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError, match=r"text.png"):
        reconstruct.run(reconstruct.ReconstructRecipe(mae_run, (tmp_path / "text.png",)))
    with pytest.raises(DataError, match=r"none.png"):
        reconstruct.run(reconstruct.ReconstructRecipe(mae_run, (tmp_path / "none.png",)))
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(ModelError, match="only a masked autoencoder fills in"):
        reconstruct.run(reconstruct.ReconstructRecipe(vit_run, (tmp_path / "black.png",)))
    with pytest.raises(OutputError):
        reconstruct.run(
            reconstruct.ReconstructRecipe(mae_run, (tmp_path / "black.png",), tmp_path / "text.png" / "sheet.png")
        )


def test_true_statistics_in_a_picture_are_announced(tmp_path: Path) -> None:
    shape = {"preset": "tiny", "dim": 24, "heads": 3, "depth": 1, "mlp_dim": 24, "pool": "cls"}
    summary = pretrain(MAERecipe(run=tmp_path / "run", epochs=1, **shape))  # type: ignore[arg-type]
    assert summary.evaluation["given"] == "mean and contrast of each hidden patch, to model and fills alike"
    Image.new("L", (8, 8), 100).save(tmp_path / "grey.png")
    notes: list[Event] = []
    reconstruct.run(reconstruct.ReconstructRecipe(tmp_path / "run", (tmp_path / "grey.png",)), notes.append)
    assert [note.text for note in notes if isinstance(note, Note)] == [
        "outlined patches bear the original's mean and contrast: this model predicts their pattern only"
    ]
    # A plain encoder with CLS is what the other libraries know.
    folder = export.run(export.ExportRecipe(tmp_path / "run"))
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["ViTMAEForPreTraining"]
    weights = torch.load(export.run(export.ExportRecipe(tmp_path / "run", "mae")), weights_only=True)["model"]
    assert "decoder_blocks.0.attn.qkv.weight" in weights
    assert export.run(export.ExportRecipe(tmp_path / "run", "timm", tmp_path / "encoder.safetensors")).is_file()


def test_a_classifier_is_no_masked_autoencoder_elsewhere_either(vit_run: Path) -> None:
    with pytest.raises(ModelError, match="is a classifier, and facebookresearch/mae knows masked autoencoders only"):
        export.run(export.ExportRecipe(vit_run, "mae"))


@pytest.mark.timeout(600)  # half a minute at rest, several beside other work
def test_the_demo_runs_from_end_to_end_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: object) -> None:
        raise AssertionError(f"the demo reached for the network: {arguments}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    recipe = demo.DemoRecipe(tmp_path / "demo", epochs=1, finetune_epochs=1, seeds=1, face_epochs=1, text_epochs=1)
    summary = demo.run(recipe)
    assert summary.vision is not None
    assert summary.faces is not None
    assert summary.vision.picture.is_file()
    assert {score.probe for score in summary.vision.scores} == {
        "linear, BatchNorm", "linear, raw", "attentive", "kNN", "finetune",
    }  # fmt: skip
    written = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert written["labels_per_class"] == summary.vision.labels_per_class
    assert written["masked_patch_error"].keys() == {"model", "mean_image", "bilinear"}
    assert summary.faces.sheet.is_file()
    assert summary.faces.figures["people"] == 150
    assert summary.faces.figures["beside"].keys() == {"untrained", "raw pixels"}
    assert 0 < summary.faces.agreement <= 1
    assert written["faces"] == summary.faces.figures
    assert summary.texts is not None
    assert written["texts"] == json.loads(json.dumps(summary.texts.figures))
    assert len(summary.texts.examples) == 3
    assert all(example.document and example.author for example in summary.texts.examples)
