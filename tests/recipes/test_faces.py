"""Face networks: trained on some people, measured on others; what is measured equals plain counting."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

import vitrail as vt
from vitrail.data import load_images
from vitrail.errors import CollapseError, ConfigError, DataError, ModelError
from vitrail.faces.calibration import read_calibration
from vitrail.faces.mining import Mining
from vitrail.faces.networks import NETWORKS
from vitrail.recipes import evaluate, faces
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.evaluate_faces import raw_pixels
from vitrail.recipes.events import Event, Note, ignore
from vitrail.recipes.export import ExportRecipe
from vitrail.recipes.export import run as export
from vitrail.recipes.face_measures import people_of
from vitrail.recipes.face_model import FaceConfig, build_network
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.probe import run as probe
from vitrail.recipes.runs import open_run
from vitrail.recipes.terms import ProbeRecipe
from vitrail.recipes.training import RunSummary
from vitrail.recipes.vit import ViTRecipe
from vitrail.recipes.vit import run as train_vit
from vitrail.train.events import Evaluated, StepDone

SIDE = 12
SHAPE: dict[str, Any] = {"network": "vit", "patch_size": 4, "dim": 16, "heads": 2, "depth": 1, "mlp_dim": 32}


def write_people(folder: Path, people: range, each: int) -> None:
    """Each person has a fine pattern; each image of it other light, which pixels show far more of."""
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j][..., None]
    for person in people:
        pattern = np.random.default_rng(person).normal(size=(6, 6, 3)).repeat(2, 0).repeat(2, 1)
        draw = np.random.default_rng(1000 + person).normal
        (folder / f"p{person:02d}").mkdir(parents=True)
        for number in range(each):
            light = 60 * (draw(size=3) + draw(size=3) * rows + draw(size=3) * columns)
            image = 128 + 25 * pattern + light + draw(scale=8, size=pattern.shape)
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"p{person:02d}" / f"{number}.png")


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> str:
    """20 people to train on and 11 others, 7 images each."""
    folder = tmp_path_factory.mktemp("faces") / "people"
    write_people(folder / "train", range(20), 7)
    write_people(folder / "test", range(20, 31), 7)
    return str(folder)


@pytest.fixture(scope="session")
def recipe(people: str, tmp_path_factory: pytest.TempPathFactory) -> FacesRecipe:
    """A second of training, with a validation set."""
    return FacesRecipe(
        data=people,
        run=tmp_path_factory.mktemp("faces-run") / "run",
        batch_size=30,
        per_person=5,
        epochs=40,
        lr=5e-3,
        validation=0.2,
        evaluate_every=20,
        embedding_dim=13,
        precision="float32",
        **SHAPE,
    )


@pytest.fixture(scope="session")
def trained(recipe: FacesRecipe) -> tuple[RunSummary, list[Event]]:
    """Its run, and what was reported."""
    events: list[Event] = []
    return faces.run(recipe, events.append), events


@pytest.fixture
def run_folder(trained: tuple[RunSummary, list[Event]]) -> Path:
    return trained[0].folder


def test_training_beats_the_untrained_network_and_pixels(trained: tuple[RunSummary, list[Event]]) -> None:
    summary, events = trained
    assert summary.kind == "faces"
    assert summary.finished
    figures = summary.evaluation
    assert figures == json.loads((summary.folder / "evaluation.json").read_text())
    assert (figures["images"], figures["people"]) == (77, 11)
    assert figures["same_pairs"] == 11 * 21
    assert figures["different_pairs"] == 77 * 76 // 2 - 11 * 21
    assert figures["auc"] > max(other["auc"] for other in figures["beside"].values()) + 0.02
    assert set(figures["beside"]) == {"untrained", "raw pixels"}
    first, *_, last = [event for event in events if isinstance(event, StepDone)]
    assert last.scalars["satisfied"] > first.scalars["satisfied"]
    assert {"active", "skipped", "same_distance", "other_distance", "variance"} <= last.scalars.keys()
    looks = [event.scalars for event in events if isinstance(event, Evaluated)]
    assert [set(look) for look in looks] == [{"auc", "eer", "val_at_far_0.01"}] * 2
    assert len(list((summary.folder / "pictures").iterdir())) == 2
    assert {path.name for path in summary.pictures} == {"distances.png", "calibration.json"}
    assert all(path.is_file() for path in summary.pictures)
    assert any("77 test images of 11 people" in event.text for event in events if isinstance(event, Note))
    assert not any("trained on" in event.text for event in events if isinstance(event, Note))


def distances(vectors: torch.Tensor) -> np.ndarray:
    return np.array([[((a - b) ** 2).sum() for b in vectors.double().numpy()] for a in vectors.double().numpy()])


def test_figures_are_those_of_counting(trained: tuple[RunSummary, list[Event]]) -> None:
    run = open_run(trained[0].folder)
    images = people_of(run, None, ignore)
    apart = distances(run.embed(torch.tensor(images.pixels)))
    assert images.labels is not None
    pairs = [(i, j) for i in range(77) for j in range(i)]
    same = sorted(apart[i, j] for i, j in pairs if images.labels[i] == images.labels[j])
    other = sorted(apart[i, j] for i, j in pairs if images.labels[i] != images.labels[j])
    figures = trained[0].evaluation
    for far in ("0.01", "0.001"):
        at = figures["val_at_far"][far]
        accepted = sum(distance <= at["threshold"] for distance in other)
        assert abs(accepted - int(float(far) * len(other) + 1e-6)) <= 1, "distances are rounded in another way there"
        assert at["val"] == pytest.approx(sum(distance <= at["threshold"] for distance in same) / len(same), abs=0.01)
        assert at["interval"][0] <= at["val"] <= at["interval"][1]
    wins = sum((a < b) + (a == b) / 2 for a in same for b in other) / len(same) / len(other)
    assert figures["auc"] == pytest.approx(wins, abs=1e-4)
    calibration = read_calibration(run.folder / "calibration.json")
    assert calibration.fingerprint == run.model_fingerprint
    assert {f"{point.far:g}": point.threshold for point in calibration.points} == {
        far: at["threshold"] for far, at in figures["val_at_far"].items()
    }


def test_a_list_of_pairs(run_folder: Path, tmp_path: Path, people: str) -> None:
    lines = [f"p{person} {i} {i + 1}" for person in range(20, 30) for i in (1, 3)]
    lines += [f"p{person} 2 p{person + 1} {i}" for person in range(20, 30) for i in (1, 6)]
    (tmp_path / "pairs.txt").write_text("20\n" + "\n".join(lines))
    before = (run_folder / "calibration.json").stat().st_mtime_ns
    tested = evaluate.run(EvaluateRecipe(run_folder, pairs=tmp_path / "pairs.txt", mirror=True))
    listed = tested.figures["listed_pairs"]
    run = open_run(run_folder)
    images = people_of(run, None, ignore)
    vectors = run.embed(torch.tensor(images.pixels), flip=True)
    row = {
        (images.classes[label], number): place
        for place, (label, number) in enumerate(zip(images.labels, [1, 2, 3, 4, 5, 6, 7] * 11, strict=True))
    }  # type: ignore[arg-type]
    apart, same = [], []
    for line in lines:
        words = line.split()
        one, other = row[words[0], int(words[1])], row[words[-2] if len(words) == 4 else words[0], int(words[-1])]
        apart.append(float((vectors[one] - vectors[other]).square().sum()))
        same.append(len(words) == 3)
    wins = [a < b for a, s in zip(apart, same, strict=True) if s for b, t in zip(apart, same, strict=True) if not t]
    assert listed["pairs"] == 40
    assert listed["auc"] == pytest.approx(np.mean(wins), abs=1e-4)
    assert 0.5 <= listed["accuracy"] <= 1
    assert tested.figures["mirrored"]
    assert "listed_pairs" in tested.figures["beside"]["raw pixels"]
    # The same list beside the data is found by itself.
    moved = tmp_path / "people"
    moved.mkdir()
    (moved / "data").symlink_to(people)
    (moved / "lfw_protocol").mkdir()
    (moved / "lfw_protocol" / "pairsDevTest.txt").write_text((tmp_path / "pairs.txt").read_text())
    found = evaluate.run(EvaluateRecipe(run_folder, data=str(moved / "data"), mirror=True)).figures
    heard: list[Event] = []
    evaluate.run(EvaluateRecipe(run_folder, data=str(Path(people) / "train"), mirror=True), heard.append)
    # A folder of its own is divided anew, so that all of its test people were trained on.
    assert any("4 of these people have names that were trained on" in getattr(event, "text", "") for event in heard)
    assert found["listed_pairs"] == listed
    assert (run_folder / "calibration.json").stat().st_mtime_ns == before, "thresholds are of images by themselves"
    evaluate.run(EvaluateRecipe(run_folder))  # as it was


def test_embedding(run_folder: Path) -> None:
    run = vt.load(run_folder)
    assert (run.kind, run.image_size, run.channels) == ("faces", (SIDE, SIDE), 3)
    images = torch.randint(0, 256, (7, 3, SIDE, SIDE), dtype=torch.uint8)
    vectors = run.embed(images, batch_size=3)
    assert vectors.shape == (7, 13)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(7))
    torch.testing.assert_close(vectors, run.model(run.normalise(images)))
    both = run.embed(images, flip=True)
    torch.testing.assert_close(both.norm(dim=1), torch.ones(7))
    torch.testing.assert_close(both, run.embed(images.flip(-1), flip=True))
    mean = (vectors + run.embed(images.flip(-1))) / 2
    torch.testing.assert_close(both, mean / mean.norm(dim=1, keepdim=True))
    assert run.model_fingerprint == open_run(run_folder).model_fingerprint


def test_raw_pixels_know_neither_brightness_nor_contrast() -> None:
    images = load_images("glyphs", "test").subset(range(5))
    dark = replace(images, pixels=(images.pixels // 2 + 20).astype(np.uint8))
    torch.testing.assert_close(raw_pixels(dark), raw_pixels(images), atol=0.01, rtol=0)
    assert raw_pixels(images).shape == (5, 32 * 32)


def test_parts_of_a_batch_learn_what_the_whole_does(recipe: FacesRecipe, tmp_path: Path) -> None:
    """The network sees 6 images at a time; triplets are those of all 30."""
    short = replace(recipe, epochs=2, validation=0.0)
    folders = [faces.run(replace(short, run=tmp_path / str(parts), micro_batches=parts)).folder for parts in (1, 5)]
    whole, parts = ((folder / "metrics.jsonl").read_text().splitlines() for folder in folders)
    for one, other in zip(map(json.loads, whole), map(json.loads, parts), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    images = torch.randint(0, 256, (7, 3, SIDE, SIDE), dtype=torch.uint8)
    torch.testing.assert_close(*(open_run(folder).embed(images) for folder in folders), atol=1e-3, rtol=0)


def test_the_same_recipe_again_finds_everything_done(
    recipe: FacesRecipe, trained: tuple[RunSummary, list[Event]]
) -> None:
    again = faces.run(recipe)
    without_time = {name: value for name, value in again.evaluation.items() if name != "seconds"}
    assert without_time == {name: value for name, value in trained[0].evaluation.items() if name != "seconds"}
    with pytest.raises(ConfigError, match=r"was begun with margin 0\.2, but now it is 0\.3"):
        faces.run(replace(recipe, margin=0.3))


def test_starting_from_an_autoencoder(mae_run: Path, tmp_path: Path) -> None:
    start = open_run(mae_run)
    recipe = faces.settle(FacesRecipe(init=mae_run, data="glyphs"), start)
    assert (recipe.network, recipe.image_size, recipe.channels) == ("vit", 8, 1)
    images = faces.open_people(recipe, start, ignore)
    assert images.train.mean == start.mean
    model = faces.build(faces.configure(recipe, images.train, start), start)
    for name, weights in start.encoder.state_dict().items():
        assert torch.equal(model.state_dict()[f"backbone.{name}"], weights), name
    with pytest.raises(ModelError, match="with --init it is that of"):
        faces.run(FacesRecipe(init=mae_run, depth=3))
    with pytest.raises(ConfigError, match="--init starts from a vit, and --network is nn4"):
        faces.run(FacesRecipe(init=mae_run, network="nn4"))


def test_sizes_and_channels_follow_from_network_and_data(people: str) -> None:
    settled = faces.settle(FacesRecipe(data=people, network="nn2"), None)
    assert (settled.image_size, settled.channels) == (SIDE, 3), "images are never enlarged"
    assert faces.settle(FacesRecipe(data=people, network="nn1"), None).image_size == 220, "but for a fixed size"
    assert faces.settle(FacesRecipe(data=people, image_size=7), None).image_size == 7
    images = faces.open_people(settled, None, ignore)
    assert images.train.mean == images.train.std == (0.5, 0.5, 0.5), "from -1 to 1"
    with pytest.raises(ConfigError, match="nn2 reads colour images"):
        faces.configure(settled, replace(images.train, pixels=images.train.pixels[:, :1]), None)


@pytest.mark.parametrize("network", ["nns2", "nn4"])
def test_a_network_of_the_paper_takes_a_step(network: str, people: str, tmp_path: Path) -> None:
    recipe = FacesRecipe(
        data=people,
        run=tmp_path / "run",
        network=network,  # type: ignore[arg-type]
        batch_size=140,
        per_person=7,
        epochs=1,
        embedding_dim=64,
        precision="float32",  # in bf16 oneDNN garbles gradients of convolutions whose maps are of one pixel
    )
    summary = faces.run(recipe)
    assert summary.finished
    run = open_run(summary.folder)
    assert run.embed(torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)).shape == (2, 64)
    assert isinstance(run.config, FaceConfig)
    assert type(run.model) is type(NETWORKS[network](64))


def test_a_network_that_collapses_is_stopped(tmp_path: Path) -> None:
    """All images are the same, so all embeddings must be."""
    for person in range(6):
        (tmp_path / "data" / str(person)).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (SIDE, SIDE), (90, 80, 70)).save(tmp_path / "data" / str(person) / f"{number}.png")
    recipe = FacesRecipe(
        data=str(tmp_path / "data"), run=tmp_path / "run", batch_size=8, per_person=2, patience=3, **SHAPE
    )
    with pytest.raises(CollapseError, match="embeds every face in the same place: in the last 3 steps"):
        faces.run(recipe)


def test_what_a_face_network_is_not_for(run_folder: Path, tmp_path: Path, mae_run: Path) -> None:
    for wrong in (
        lambda: probe(ProbeRecipe(run_folder, data="digits")),
        lambda: export(ExportRecipe(run_folder)),
        lambda: train_vit(ViTRecipe(run=tmp_path / "run", init=run_folder)),
        lambda: open_run(run_folder).reconstruct(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)),
    ):
        with pytest.raises(ModelError, match="holds a face network"):
            wrong()
    with pytest.raises(DataError, match="glyphs has other classes to test on than to train on"):
        train_vit(ViTRecipe(run=tmp_path / "run", data="glyphs"))
    with pytest.raises(ConfigError, match="of kind mae, and --mirror is for runs of kind faces only"):
        evaluate.run(EvaluateRecipe(mae_run, mirror=True))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"batch_size": 4}, "leave room for two identities"),
        ({"per_person": 1}, "a batch of 30 with 1 images of an identity"),
        ({"micro_batches": 31}, "can't be cut into 31 parts"),
        ({"micro_batches": 0}, "can't be cut into 0 parts"),
        ({"margin": 0.0}, "a margin of 0.0 can't be meant"),
        ({"network": "nn4"}, "are for a vit"),
        ({"embedding_dim": 0}, "an embedding of less|an embedding of 0"),
        ({"validation": 1.0}, "leaves one side empty"),
        ({"patch_size": 5}, "5"),
    ],
)
def test_what_cannot_be_meant(recipe: FacesRecipe, tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        faces.run(replace(recipe, run=tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_people_in_both_parts_are_refused_before_training(tmp_path: Path) -> None:
    write_people(tmp_path / "data" / "train", range(4), 3)
    write_people(tmp_path / "data" / "test", range(3, 6), 3)
    with pytest.raises(DataError, match="p03 is in both the train and the test part"):
        faces.run(FacesRecipe(data=str(tmp_path / "data"), run=tmp_path / "run", batch_size=8, per_person=2, **SHAPE))
    assert not (tmp_path / "run").exists()


def test_the_options_name_what_there_is() -> None:
    assert get_args(faces.Mining) == get_args(Mining)
    known = get_args(FacesRecipe.__dataclass_fields__["network"].type)
    assert known == (*NETWORKS, "vit")
    with pytest.raises(ConfigError, match="there is no network called 'nn5': choose nn1"):
        build_network(FaceConfig("nn5", 128, (96, 96)))
    with pytest.raises(ConfigError, match="there is no network called 'nn9'"):
        faces.settle(FacesRecipe(network="nn9"), None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nn1 reads images of 220x220 pixels only, not of 96x96"):
        FaceConfig("nn1", 128, (96, 96))


def test_training_by_name(people: str, tmp_path: Path) -> None:
    summary = vt.train("faces", data=people, run=tmp_path / "run", batch_size=30, per_person=5, epochs=1, **SHAPE)
    assert summary.kind == "faces"
    with pytest.raises(ConfigError, match=r"FacesRecipe has no option 'marign': did you mean margin\?"):
        vt.train("faces", marign=0.1)
