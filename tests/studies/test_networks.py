"""The networks of a study: as the run that was named, as long as each other, and trained once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vitrail.errors import ConfigError
from vitrail.recipes import faces
from vitrail.recipes.events import ignore
from vitrail.recipes.training import RunSummary
from vitrail.studies.networks import SMALL, data_of, network, options, short_name, training_images
from vitrail.studies.terms import Stopped, StudyRecipe


@pytest.fixture
def recipe(trained: Path, here: Path) -> StudyRecipe:
    return StudyRecipe("face-data", run=trained)


def test_options_are_those_of_the_run(recipe: StudyRecipe, people: str, trained: Path) -> None:
    found = options(recipe)
    assert (found.data, found.run, found.validation, found.epochs) == (people, None, 0.0, 2)
    assert (found.dim, found.network, found.flip, found.random_resized_crop) == (16, "vit", True, (0.9, 1.0))
    assert options(replace(recipe, epochs=17)).epochs == 17
    assert options(replace(recipe, epochs=17, quick=True)).epochs == 2
    assert options(replace(recipe, data="glyphs")).data == "glyphs"
    plain = options(StudyRecipe("harmonic"))
    assert plain == replace(SMALL, data="glyphs", evaluate_every=0)
    assert data_of(StudyRecipe("harmonic")) == "glyphs"


def test_seeds() -> None:
    assert StudyRecipe("harmonic", seed=5).repetitions(3) == range(5, 8)
    assert StudyRecipe("harmonic", quick=True).repetitions(3) == range(1)
    assert StudyRecipe("harmonic", quick=True, seeds=2).repetitions(3) == range(2)


def test_a_network_is_trained_once(recipe: StudyRecipe, here: Path) -> None:
    first = network(recipe, 3, ignore, embedding_dim=13)
    assert first.folder == Path("runs/studies/people/embedding_dim-13-seed-3")
    assert first.options["seed"] == 3
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    again = network(recipe, 3, ignore, embedding_dim=13)
    assert (again.folder / "model.safetensors").stat().st_mtime_ns == written
    assert not (first.folder / "evaluation.json").exists(), "the study measures by itself"
    usual = network(replace(recipe, quick=True), 3, ignore, embedding_dim=128)
    assert usual.folder.name == "plain-seed-3-quick", "what is no change isn't named"
    with pytest.raises(ConfigError, match="was begun with"):
        network(replace(recipe, epochs=3), 3, ignore, embedding_dim=13)


def test_smaller_sets_take_as_many_steps(recipe: StudyRecipe) -> None:
    usual = options(recipe)
    assert len(training_images(usual)) == 16 * 17
    found = network(recipe, 0, ignore, people_share=0.5)
    config = json.loads((found.folder / "config.json").read_text())
    assert config["train"]["steps"] == pytest.approx(usual.epochs * (16 * 17 // 20), abs=3)
    assert len(config["images"]["classes"]) == 16
    assert len(training_images(replace(usual, people_share=0.5))) == 8 * 17


def test_an_interruption_ends_the_study(recipe: StudyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = RunSummary(Path("x"), "faces", 1, False, 1.0, {}, {}, ())
    monkeypatch.setattr(faces, "train", lambda *given: stopped)
    with pytest.raises(Stopped):
        network(recipe, 0, ignore)


def test_names_of_data(people: str) -> None:
    assert short_name(people) == "people"
    assert short_name("someone/faces") == "someone-faces"
