"""A network made comparable with an older one: its embedding layer anew and alone, then all of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.errors import ConfigError, ModelError
from vitrail.recipes import evaluate, faces
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.events import Event, Note, ignore
from vitrail.recipes.face_measures import people_of
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.galleries import open_gallery
from vitrail.recipes.harmonic import open_older
from vitrail.recipes.runs import open_run

SIDE = 12
SHAPE: dict[str, Any] = {"network": "vit", "patch_size": 4, "dim": 16, "heads": 2, "depth": 1, "mlp_dim": 32}
BATCH: dict[str, Any] = {"batch_size": 30, "per_person": 5, "lr": 5e-3, "evaluate_every": 0, "precision": "float32"}


def write_people(folder: Path, people: range, each: int) -> None:
    """Each person is a pattern under noise."""
    for person in people:
        pattern = np.random.default_rng(person).integers(0, 256, (4, 4, 3)).repeat(3, 0).repeat(3, 1)
        (folder / f"p{person:02d}").mkdir(parents=True)
        for number in range(each):
            noise = np.random.default_rng(1000 * person + number).normal(0, 90, pattern.shape)
            image = (pattern + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / f"p{person:02d}" / f"{number}.png")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> str:
    """17 people to train on and 13 others, 7 images each."""
    folder = tmp_path_factory.mktemp("harmonic") / "people"
    write_people(folder / "train", range(17), 7)
    write_people(folder / "test", range(17, 30), 7)
    return str(folder)


@pytest.fixture(scope="module")
def old(people: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the paper, for smaller images, barely trained."""
    folder = tmp_path_factory.mktemp("old") / "run"
    recipe = FacesRecipe(data=people, run=folder, network="nns2", image_size=11, embedding_dim=13, epochs=2, **BATCH)
    return faces.train(recipe).folder


@pytest.fixture(scope="module")
def plain(people: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT by itself, with embeddings of another size."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return faces.train(FacesRecipe(data=people, run=folder, embedding_dim=7, epochs=20, **BATCH, **SHAPE)).folder


@pytest.fixture(scope="module")
def recipe(people: str, old: Path, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> FacesRecipe:
    """The ViT made harmonic with the old network."""
    run = tmp_path_factory.mktemp("new") / "run"
    return FacesRecipe(
        data=people, run=run, init=plain, harmonic_with=old, embedding_dim=13, head_epochs=10, epochs=40, **BATCH
    )


@pytest.fixture(scope="module")
def new(recipe: FacesRecipe) -> Path:
    """It, trained and evaluated."""
    return faces.run(recipe).folder


def figures_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())["harmonic"]
    return found


def test_embeddings_of_the_two_compare(new: Path, old: Path, plain: Path, people: str, tmp_path: Path) -> None:
    found = figures_of(new)
    assert (found["with"], found["trained_for_it"]) == (str(old), True)
    assert found["v1-v2"]["auc"] > found["v1-v1"]["auc"], "what is compared with v1 need not be v1"
    assert found["v2-v2"]["auc"] > found["v1-v2"]["auc"]
    assert found["v1-v2"]["same_pairs"] == 2 * found["v2-v2"]["same_pairs"]
    for far, at in found["v1-v2_at_thresholds_of_v2"].items():
        assert 0 <= at["far"] <= 1
        assert at["val"] <= 1, far
    assert (new / "harmonic.png").is_file()
    # Without being made to, another network's embeddings have nothing to do with v1's.
    stranger = FacesRecipe(data=people, run=tmp_path / "run", init=plain, embedding_dim=13, epochs=20, **BATCH)
    folder = faces.train(stranger).folder
    tested = evaluate.run(EvaluateRecipe(folder, harmonic_with=old)).figures["harmonic"]
    assert not tested["trained_for_it"]
    assert abs(tested["v1-v2"]["auc"] - 0.5) < 0.15 < found["v1-v2"]["auc"] - 0.5


def test_the_figures_are_those_of_counting(new: Path, old: Path) -> None:
    runs = [open_run(folder) for folder in (old, new)]
    sets = [people_of(run, None, ignore) for run in runs]
    (ours, theirs) = (run.embed(torch.tensor(images.pixels)).double() for run, images in zip(runs, sets, strict=True))
    labels = torch.tensor(sets[0].labels)
    apart = (ours[:, None] - theirs[None]).square().sum(-1)
    same = labels[:, None] == labels
    other, same = apart[~same], apart[same & ~torch.eye(len(labels), dtype=torch.bool)]
    wins = (same[:, None] < other[None]).double().mean()
    found = figures_of(new)["v1-v2"]
    assert found["auc"] == pytest.approx(float(wins), abs=1e-4)
    at = found["val_at_far"]["0.01"]
    assert abs(int((other <= at["threshold"]).sum()) - int(0.01 * len(other))) <= 1
    assert at["val"] == pytest.approx(float((same <= at["threshold"]).double().mean()), abs=0.01)


def test_first_the_embedding_layer_alone(recipe: FacesRecipe, new: Path, plain: Path) -> None:
    """In the first phase only it learns, from random weights; it is kept as a run of its own."""
    before, alone, whole = (open_run(folder).model.state_dict() for folder in (plain, new / "embedding-layer", new))
    for name in before:
        if name.startswith("embedding."):
            assert before[name].shape != alone[name].shape
        else:
            assert torch.equal(before[name], alone[name]), name
        if name.endswith("weight"):
            assert not torch.equal(alone[name], whole[name]), name
    config = json.loads((new / "config.json").read_text())
    assert config["harmonic"]["fingerprint"] == open_run(recipe.harmonic_with or "").model_fingerprint
    assert open_run(new).harmonic_with == config["harmonic"]["fingerprint"]
    assert open_run(plain).harmonic_with is None


def test_the_same_recipe_again_finds_everything_done(recipe: FacesRecipe, new: Path) -> None:
    weights = (new / "model.safetensors").read_bytes()
    assert faces.train(recipe).finished
    assert (new / "model.safetensors").read_bytes() == weights
    with pytest.raises(ConfigError, match=r"embedding-layer was begun with margin 0\.2, but now it is 0\.3"):
        faces.train(replace(recipe, margin=0.3))


def test_v1_is_asked_about_the_same_images(recipe: FacesRecipe, old: Path) -> None:
    """In its own size and by its own statistics, of the people that are trained on."""
    some = faces.settle(
        replace(recipe, validation=0.2, people_share=0.7, images_share=0.5), open_run(recipe.init or "")
    )
    images = faces.open_people(some, open_run(recipe.init or ""), ignore)
    older = open_older(old, some, images, ignore)
    assert images.train.image_size == (SIDE, SIDE)
    assert older.run.image_size == (11, 11)
    assert older.embeddings.shape == (len(images.train), 13)
    assert len(images.train) == 10 * 4, "of 17 people 4 are held out, and 70% of 13 stay, with half of 7 images"


def test_from_scratch_there_is_one_phase(recipe: FacesRecipe, tmp_path: Path) -> None:
    scratch = replace(recipe, run=tmp_path / "run", init=None, epochs=1, **SHAPE)
    folder = faces.train(scratch).folder
    assert not (folder / "embedding-layer").exists()
    assert open_run(folder).harmonic_with is not None


def test_with_muon_the_embedding_layer_alone_is_trained_by_adamw(recipe: FacesRecipe, tmp_path: Path) -> None:
    """There is no matrix for Muon in it."""
    by_muon = replace(recipe, run=tmp_path / "run", optimizer="muon", muon_lr=1e-2, head_epochs=1, epochs=1)
    assert faces.train(by_muon).finished


def test_a_gallery_of_v1_is_open_to_v2(old: Path, new: Path, plain: Path, people: str, tmp_path: Path) -> None:
    from vitrail.errors import GalleryError
    from vitrail.gallery import Box, Choice

    choice = Choice(Box(0, 0, 2 * SIDE, 2 * SIDE))
    pictures = []
    for path in sorted((Path(people) / "test" / "p20").iterdir()):
        pictures.append(tmp_path / path.name)
        Image.open(path).resize((2 * SIDE, 2 * SIDE)).save(pictures[-1])
    evaluate.run(EvaluateRecipe(old))
    with open_gallery(tmp_path / "gallery", old) as gallery:
        for picture in pictures[:3]:
            gallery.enroll("Ada", [picture], choice)
    with open_gallery(tmp_path / "gallery", new) as gallery:
        assert gallery.identify(pictures[5], choice, 0.01).faces == 3
    with pytest.raises(GalleryError):
        open_gallery(tmp_path / "gallery", plain)


def test_a_face_run_as_a_start(plain: Path, old: Path, people: str, tmp_path: Path) -> None:
    start = open_run(plain)
    same = faces.settle(FacesRecipe(data=people, init=plain, embedding_dim=7, drop_path=0.1), start)
    assert (same.network, same.image_size, same.channels) == ("vit", SIDE, 3)
    images = faces.open_people(same, start, ignore)
    assert images.train.mean == start.mean
    config = faces.configure(same, images.train, start)
    assert config.encoder is not None
    assert config.encoder.drop_path == 0.1
    model = faces.build(config, start)
    for name, weights in start.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weights), name
    paper = open_run(old)
    other = faces.settle(FacesRecipe(data=people, init=old), paper)
    assert (other.network, other.image_size) == ("nns2", 11)
    built = faces.build(faces.configure(other, faces.open_people(other, paper, ignore).train, paper), paper)
    assert built.state_dict()["embedding.linear.weight"].shape[0] == 128
    with pytest.raises(ConfigError, match="--init starts from a nns2, and --network is nn4"):
        faces.train(FacesRecipe(data=people, init=old, network="nn4", run=tmp_path / "run"))
    with pytest.raises(ModelError, match="with --init it is that of"):
        faces.train(FacesRecipe(data=people, init=old, depth=2, run=tmp_path / "run"))


def test_what_cannot_be_compared(recipe: FacesRecipe, new: Path, plain: Path, mae_run: Path, tmp_path: Path) -> None:
    recipe = replace(recipe, run=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"have 13 numbers, and only as many .* give --embedding-dim 13"):
        faces.train(replace(recipe, embedding_dim=17))
    with pytest.raises(ConfigError, match="-1 epochs of the embedding layer can't be meant: give 0 or more"):
        faces.train(replace(recipe, head_epochs=-1))
    with pytest.raises(ModelError, match="holds a masked autoencoder, and faces are compared by a face network"):
        faces.train(replace(recipe, harmonic_with=mae_run))
    with pytest.raises(ConfigError, match="the two networks embed in 7 and 13 numbers, which can't be compared"):
        evaluate.run(EvaluateRecipe(new, harmonic_with=plain))
    assert not (tmp_path / "run").exists()


def test_v1_may_be_gone(recipe: FacesRecipe, new: Path, old: Path) -> None:
    """Then nothing is said about it, and the reader is told how to have it said."""
    gone = old.with_name("elsewhere")
    old.rename(gone)
    heard: list[Event] = []
    try:
        figures = evaluate.run(EvaluateRecipe(new), heard.append).figures
    finally:
        gone.rename(old)
    assert "harmonic" not in figures
    assert any("no longer holds the network" in event.text for event in heard if isinstance(event, Note))
    assert evaluate.run(EvaluateRecipe(new)).figures["harmonic"]["trained_for_it"]
