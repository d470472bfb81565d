"""Studies of masked autoencoders: how much is hidden, how few labels there are, and where they look."""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import dist, log, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from studies_people import write_people

from vitrail.capture import record_attention
from vitrail.data import ImageSet
from vitrail.errors import ConfigError, ModelError
from vitrail.recipes.events import ignore
from vitrail.studies import label_fraction, mae_attention, mask_ratio, masked
from vitrail.studies.drawing import figure_png
from vitrail.studies.masked import accuracy, bounded, gain, open_pictures, pretrained, tuned_accuracies
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import Stopped, StudyRecipe
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViTConfig


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three classes of coloured patterns under noise, 12x12."""
    folder = tmp_path_factory.mktemp("masked") / "shapes"
    write_people(folder, range(3), 17)
    return str(folder)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "QUICK_STEPS", 2)
    monkeypatch.setattr(masked, "QUICK_TUNED", 3)
    monkeypatch.setattr(mae_attention, "QUICK_IMAGES", 5)


def image_set(labels: Sequence[int] | None, pixels: np.ndarray | None = None) -> ImageSet:
    found = np.zeros((len(labels or range(23)), 1, 2, 2), np.uint8) if pixels is None else pixels
    classes = tuple("abc") if labels is not None else ()
    of_labels = None if labels is None else np.array(labels)
    channels = found.shape[1]
    return ImageSet("made", "train", found, of_labels, classes, (0.5,) * channels, (0.25,) * channels, "x", ())


# -- images, networks, intervals --------------------------------------------------------------------------------------


def test_a_part_of_a_set_is_spread_over_its_classes() -> None:
    labels = np.random.default_rng(0).permutation([0] * 11 + [1] * 22 + [2] * 11)
    images = image_set(labels.tolist())
    part = bounded(images, 12)
    assert part.labels is not None
    assert np.bincount(part.labels).tolist() == [3, 6, 3]
    assert bounded(images, 44) is images
    assert len(bounded(image_set(None), 7)) == 7
    numbered = image_set(None, np.arange(23, dtype=np.uint8).reshape(23, 1, 1, 1))
    assert bounded(numbered, 5).pixels.ravel().tolist() == [0, 4, 9, 13, 18]


def test_a_masked_autoencoder_is_trained_once(shapes: str, here: Path) -> None:
    recipe = StudyRecipe("mask-ratio", data=shapes, quick=True)
    pictures = open_pictures(recipe, "", ignore)
    first = pretrained(recipe, pictures, 3, ignore, 0.5)
    assert first.folder == Path("runs/studies/shapes/mae-hides-0.5-seed-3-quick")
    config = first.autoencoder().config
    assert (config.decoder, config.norm_pix, config.mask_ratio) == ("self", False, 0.5)
    assert first.options["flip"], "in colour"
    assert json.loads((first.folder / "config.json").read_text())["train"]["steps"] == 2
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    again = pretrained(recipe, pictures, 3, ignore, 0.5)
    assert (again.folder / "model.safetensors").stat().st_mtime_ns == written
    other = pretrained(recipe, pictures, 3, ignore, 0.75)
    assert other.autoencoder().config.mask_ratio == 0.75
    with pytest.raises(ConfigError, match="was begun with"):
        pretrained(replace(recipe, epochs=3), pictures, 3, ignore, 0.5)


def test_grey_images_are_not_mirrored(here: Path) -> None:
    options = masked._options(StudyRecipe("mask-ratio"), image_set(None), 0, 0.75, Path("x"))
    assert not options.flip
    assert options.preset == "digits"
    large = image_set(None, np.zeros((640, 1, 32, 32), np.uint8))
    options = masked._options(StudyRecipe("mask-ratio"), large, 0, 0.75, Path("x"))
    assert (options.preset, options.dim, options.epochs) == ("fast", 128, masked.STEPS // 5)


def test_interruptions_end_the_study(shapes: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = StudyRecipe("mask-ratio", data=shapes, quick=True)
    pictures = open_pictures(recipe, "", ignore)
    trained = pretrained(recipe, pictures, 0, ignore)
    monkeypatch.setattr(masked, "finetune", lambda *given: None)
    with pytest.raises(Stopped):
        tuned_accuracies(trained, pictures, recipe, 0, ignore)
    monkeypatch.setattr(masked, "carry_out", lambda *given: (False, 0.0, {}))
    with pytest.raises(Stopped):
        pretrained(recipe, pictures, 1, ignore)


def test_an_accuracy_strays_with_images_and_seeds() -> None:
    one = accuracy([0.8], 400)
    assert one.value == 0.8
    assert one.error == pytest.approx(0.02)
    assert (one.low, one.high) == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=1e-5)
    several = accuracy([0.7, 0.8, 0.84], 10**12)
    assert (several.low, several.high) == pytest.approx(
        stats.t.interval(0.95, 2, np.mean([0.7, 0.8, 0.84]), stats.sem([0.7, 0.8, 0.84]))
    )
    apart = gain([0.8], [0.5], 400)
    assert apart.value == pytest.approx(0.3)
    assert apart.error == pytest.approx(sqrt(0.8 * 0.2 / 400 + 0.5 * 0.5 / 400))
    paired = gain([0.8, 0.6], [0.7, 0.5], 10**12)
    assert paired.error < 1e-5, "what seeds have in common goes out"
    assert gain([0.51], [0.5], 400).points().startswith("too small to tell (-")


# -- how much is hidden -----------------------------------------------------------------------------------------------


def planted(linear: Sequence[float], tuned: Sequence[float]) -> dict[float, dict[str, list[float]]]:
    return {
        ratio: {"model": [1.0], "mean_image": [4.0], "bilinear": [of], "linear": [one], "tuned": [other]}
        for ratio, of, one, other in zip(mask_ratio.RATIOS, (0.5, 2.0, 4.0, 8.0), linear, tuned, strict=True)
    }


def test_words_of_mask_ratios() -> None:
    found = planted((0.3, 0.5, 0.6, 0.59), (0.7, 0.7, 0.71, 0.5))
    words = mask_ratio._words(found, {"untrained": [0.4], "scratch": [0.71]}, 1000, "made")
    assert words[0].endswith("100% above with 25% hidden, 50% below with 50% hidden, 75% below with 75% hidden, "
                             "75% below with 90% hidden")  # fmt: skip
    assert words[1].startswith("a linear map, 75% hidden: +30.0 points (")
    assert "too small to tell (-3.3 to +5.3) beside 90%" in words[1]
    assert "adds: to a linear map +20.0 points" in words[3]
    assert "to fine-tuning too small to tell (-4.0 to +4.0) beside the same net from scratch" in words[3]
    assert "75% hidden (90%: too small to tell)" in words[4]
    assert "75% hidden (25% and 50%: too small to tell)" in words[4]
    found[0.75]["model"] = [4.1]
    words = mask_ratio._words(found, {"untrained": [0.4], "scratch": [0.71]}, 1000, "made")
    assert words[4] == "this shows nothing: the trainings were too short to guess what is hidden"


def test_mask_ratio_from_name_to_figure(shapes: str, here: Path) -> None:
    recipe = StudyRecipe("mask-ratio", data=shapes, quick=True)
    outcome = run(recipe)
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert outcome.finding.rows[2][-2:] == ("73.5", "84.9")
    assert [row[0] for row in outcome.finding.rows[:4]] == ["25% (9 patches)", "50% (18 patches)", "75% (27 patches)",
                                                            "90% (33 patches)"]  # fmt: skip
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["shapes"]
    facts = one["facts"]
    assert list(facts["settings"]) == ["0.25", "0.5", "0.75", "0.9"]
    assert all(len(figures) == 1 for of in (*facts["settings"].values(), facts["beside"]) for figures in of.values())
    assert facts["train_images"] + facts["test_images"] == 51
    again = figure_png(outcome.study, {"shapes": read_finding(one)})
    assert again == (outcome.folder / "figure.png").read_bytes(), "nothing is drawn that isn't in the file"
    before = sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors"))
    assert len(before) == 4 + 4 + 1, "one from scratch is enough"
    assert run(recipe).finding == outcome.finding
    assert sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors")) == before


# -- how few labels there are -----------------------------------------------------------------------------------------


def test_label_fraction_from_name_to_figure(shapes: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_fraction, "SHARES", (0.01, 0.5, 1.0))
    recipe = StudyRecipe("label-fraction", data=shapes, quick=True, seeds=2)
    outcome = run(recipe)
    assert outcome.finding is not None
    assert [row[0] for row in outcome.finding.rows] == ["3", "18", "40", "the paper: 1.28 million"]
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert [curve.x for curve in outcome.finding.curves] == [(3, 18, 40)] * 2
    configs = [json.loads(path.read_text()) for path in here.rglob("probes/*/config.json")]
    assert len(configs) == 3 * 2 * 2
    assert {config["train"]["steps"] for config in configs} == {3}
    for seed in (0, 1):
        images = [config["images"]["fingerprint"] for config in configs if config["recipe"]["seed"] == seed]
        assert sorted(map(images.count, set(images))) == [2, 2, 2], "both starts read the same labels"
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["shapes"]
    assert figure_png(outcome.study, {"shapes": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()


def test_words_of_label_fractions() -> None:
    """Also of trainings that were too short, whatever they gave."""
    scratch, tuned = label_fraction.STARTS
    found = {10: {scratch: [0.3], tuned: [0.6]}, 1000: {scratch: [0.6], tuned: [0.61]}}
    words = label_fraction._words(found, 1000, "made", False)
    assert words[0].startswith("10 labels: +30.0 points (")
    assert words[1].startswith("1,000 labels: too small to tell (")
    assert words[2].startswith("10 labels from the masked autoencoder beside 1,000 from scratch: too small to tell (")
    assert "help on made with 10 labels, at" in words[3]
    assert label_fraction._words(found, 1000, "made", True)[3].startswith("this shows nothing: ")
    nothing = {labels: {start: [0.5] for start in label_fraction.STARTS} for labels in (10, 1000)}
    assert "this shows no gain from images without labels on made" in label_fraction._words(
        nothing, 1000, "made", False
    )


# -- where they look --------------------------------------------------------------------------------------------------

GRID, SIDE = (3, 5), 2


def small_model(decoder: str, class_token: bool) -> MaskedAutoencoder:
    torch.manual_seed(5)
    vit = ViTConfig(
        (GRID[0] * SIDE, GRID[1] * SIDE),
        SIDE,
        1,
        0,
        dim=12,
        depth=2,
        heads=3,
        mlp_dim=7,
        pool="cls" if class_token else "mean",
        class_token=class_token,
        positions="sincos",
    )
    config = MAEConfig(vit, 8, 2, 2, 11, decoder="self" if decoder == "self" else "cross", mask_ratio=0.7)
    model = MaskedAutoencoder(config)
    for name, parameter in model.named_parameters():
        if "qkv" in name or "attention" in name:
            torch.nn.init.normal_(parameter, std=0.6)
    return model


def some_images(count: int = 7) -> ImageSet:
    shape = (count, 1, GRID[0] * SIDE, GRID[1] * SIDE)
    return image_set(None, np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8))


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("decoder", ["self", "cross"])
def test_figures_of_attention_are_those_of_loops(decoder: str, class_token: bool) -> None:
    model = small_model(decoder, class_token)
    hidden = mae_attention.masked(model, some_images(), 3)
    found = mae_attention.attention(model, hidden, StudyRecipe("mae-attention", device="cpu"))
    assert [layer.name for layer in found] == ["encoder 1", "encoder 2", "decoder 1", "decoder 2"]
    model.eval()
    with torch.no_grad(), record_attention(model) as record:
        output = model(hidden.inputs, hidden.noise)
    for layer, call in zip(found, record.calls, strict=True):
        for image in range(7):
            order = hidden.order[image].tolist()
            assert sorted(order[: hidden.keep]) == np.flatnonzero(output.mask[image].numpy() == 0).tolist()
            seen = [None] * class_token + order[: hidden.keep]
            everything = seen + order[hidden.keep :]
            queries, keys = call.weights.shape[2:]
            of_keys: list[int | None] = everything[:keys] if keys < len(everything) else everything
            of_queries: list[int | None] = seen if layer.visible is None else everything[-queries:]
            for head, weights in enumerate(call.weights[image].tolist()):
                far, wide, shares = [], [], []
                for place, row in zip(of_queries, weights, strict=True):
                    wide.append(-sum(weight * log(weight) for weight in row))
                    if place not in seen:
                        shares.append(sum(weight for key, weight in zip(of_keys, row, strict=True) if key in seen))
                    if place is None:
                        continue
                    known = [(key, weight) for key, weight in zip(of_keys, row, strict=True) if key is not None]
                    total = sum(weight for _, weight in known)
                    here = divmod(place, GRID[1])
                    far.append(sum(weight * dist(here, divmod(key, GRID[1])) for key, weight in known) / total)
                assert layer.distance[image, head] == pytest.approx(np.mean(far), rel=1e-4)
                assert layer.entropy[image, head] == pytest.approx(np.mean(wide), rel=1e-4)
                if layer.visible is not None:
                    assert layer.visible[image, head] == pytest.approx(np.mean(shares), rel=1e-4)
        assert layer.keys == keys
    assert found[2].visible_alike == (1 if decoder == "cross" else (4 + class_token) / (15 + class_token))


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("decoder", ["self", "cross"])
def test_maps_of_a_patch(decoder: str, class_token: bool) -> None:
    model = small_model(decoder, class_token)
    hidden = mae_attention.masked(model, some_images(), 3)
    found = mae_attention.attention(model, hidden, StudyRecipe("mae-attention", device="cpu"))
    model.eval()
    with torch.no_grad(), record_attention(model) as record:
        model(hidden.inputs, hidden.noise)
    image = mae_attention.shown_rows(7)[1]
    order = hidden.order[image]
    for layer, call in zip(found, record.calls, strict=True):
        # The last patch that asks in this layer is the last query of all.
        asks = int(order[hidden.keep - 1] if layer.visible is None else order[-1])
        shown = [int(one) for one in mae_attention._map(layer, 1, order, asks, model).split()]
        row = call.weights[image, :, -1].mean(0)[class_token:]
        for key, weight in zip(order, row.tolist(), strict=False):
            assert shown[key] == round(1000 * weight)
        blind = set(order[len(row) :].tolist())
        assert {place for place, one in enumerate(shown) if one < 0} == blind
        assert bool(blind) == (layer.visible is None or decoder == "cross")


def test_mae_attention_from_name_to_figure(here: Path) -> None:
    recipe = StudyRecipe("mae-attention", data="digits", quick=True, seeds=2)
    outcome = run(recipe)
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["digits"]
    assert [layer["name"] for layer in one["facts"]["layers"]] == ["encoder 1", "encoder 2", "encoder 3",
                                                                   "decoder 1", "decoder 2"]  # fmt: skip
    assert one["words"][-2].startswith("this shows what training on digits made of attention: ")
    assert one["words"][-2].split("than")[0].count("of 20 heads") == 1
    picture = one["facts"]["shown"]["pictures"][0]
    assert len(picture["visible"]) == 4
    assert picture["asks"][0] in picture["visible"]
    assert picture["asks"][1] not in picture["visible"]
    original, filled = (
        np.array([row.split() for row in picture[name]], int).reshape(4, 2, 4, 2) for name in ("original", "filled")
    )
    same = (original == filled).all(axis=(1, 3)).ravel()
    assert same[picture["visible"]].all()
    assert not same.all()
    again = figure_png(outcome.study, {"digits": read_finding(one)})
    assert again == (outcome.folder / "figure.png").read_bytes(), "nothing is drawn that isn't in the file"


def test_mae_attention_of_a_run_keeps_no_pictures_of_other_images(shapes: str, here: Path) -> None:
    recipe = StudyRecipe("mask-ratio", data=shapes, quick=True)
    trained = pretrained(recipe, open_pictures(recipe, "", ignore), 0, ignore)
    outcome = run(StudyRecipe("mae-attention", run=trained.folder, quick=True))
    found = json.loads((outcome.folder / "results.json").read_text())["found"]
    assert list(found) == ["shapes, shapes/mae-hides-0.75-seed-0-quick"]
    assert next(iter(found.values()))["facts"]["shown"] is None
    fresh = next((trained.folder / "probes").glob("*"), None)
    assert fresh is None, "nothing was trained"


def test_a_run_of_another_kind_is_refused(trained: Path, here: Path) -> None:
    with pytest.raises(ModelError, match="only a masked autoencoder fills in hidden patches"):
        run(StudyRecipe("mae-attention", run=trained, quick=True))


def test_shares_of_few_images_that_come_to_the_same_number_are_one() -> None:
    assert label_fraction.amounts(np.array([31, 29, 30])) == [1, 6, None]
    assert label_fraction.amounts(np.array([140, 151])) == [1, 7, 28, None]
