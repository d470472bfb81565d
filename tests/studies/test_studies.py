"""Each study from its name to its table, figures and picture, on a few made-up people."""

import json
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main
from vitrail.errors import ConfigError, DataError
from vitrail.recipes import faces
from vitrail.recipes.training import RunSummary
from vitrail.studies import STUDIES
from vitrail.studies.drawing import figure_png
from vitrail.studies.running import run
from vitrail.studies.terms import Curve, Finding, Name, Study, StudyRecipe

FACES = ("face-dimension", "face-data", "face-jpeg", "face-pixels", "harmonic")


def study_of(name: str) -> Study:
    study: Study = import_module(f"vitrail.studies.{name.replace('-', '_')}").STUDY
    return study


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of people: intervals are tested elsewhere."""
    monkeypatch.setattr("vitrail.studies.measuring.DRAWS", 40)


def test_every_study_is_listed_and_there() -> None:
    assert set(get_args(Name)) == set(STUDIES)
    told = StudyRecipe.__doc__ or ""
    for name, question in STUDIES.items():
        study = study_of(name)
        assert set(study.reads) <= {field.name for field in fields(StudyRecipe)}
        assert f"{name}: {question.partition(' (')[0]}" in told
        assert study.question.lower() == question.partition(" (")[0].lower()


@pytest.mark.parametrize("name", FACES)
def test_a_study_from_its_name_to_its_figure(name: Name, trained: Path, here: Path) -> None:
    recipe = StudyRecipe(name, run=trained, quick=True)
    outcome = run(recipe)
    assert outcome.finding is not None
    assert outcome.folder == Path("runs/studies/quick") / name
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    written = json.loads((outcome.folder / "results.json").read_text())
    assert written["study"] == name
    assert list(written["found"]) == ["people"]
    assert written["found"]["people"]["words"] == list(outcome.finding.words)
    with Image.open(outcome.folder / "figure.png") as picture:
        assert picture.format == "PNG"
    assert not list(outcome.folder.glob("*.part"))


def test_again_it_finds_its_networks_and_says_the_same(trained: Path, here: Path) -> None:
    recipe = StudyRecipe("harmonic", run=trained, quick=True)
    outcome = run(recipe)
    before = sorted(path.stat().st_mtime_ns for path in Path("runs").rglob("model.safetensors"))
    assert run(recipe).finding == outcome.finding
    assert sorted(path.stat().st_mtime_ns for path in Path("runs").rglob("model.safetensors")) == before


def test_other_data_stand_beside_each_other(trained: Path, here: Path, people: str) -> None:
    recipe = StudyRecipe("face-pixels", run=trained, results=Path("here"))
    run(recipe)
    Path("others").symlink_to(people)
    one = json.loads(Path("here/face-pixels/results.json").read_text())["found"]
    run(replace(recipe, data="others"))
    both = json.loads(Path("here/face-pixels/results.json").read_text())["found"]
    assert list(both) == ["people", "others"]
    assert both["people"] == one["people"]
    assert {row["x"] for row in both["others"]["facts"]["settings"]} == {9, 16, 36, 81, 144}
    assert not Path("runs").exists(), "a named run is measured, and nothing is trained"
    Path("here/face-pixels/results.json").write_text("{}")
    with pytest.raises(DataError, match=r"results\.json can't be read .*: put back a copy, or remove it"):
        run(recipe)


def test_an_option_that_a_study_does_not_read_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"^entropy-gap reads no --data: leave it out \(it reads --seeds, --seed, "):
        run(StudyRecipe("entropy-gap", data="glyphs"))
    with pytest.raises(ConfigError, match=r"^harmonic reads no --model: leave it out \(it reads --data, --run, "):
        run(StudyRecipe("harmonic", model="bert"))
    assert not list(here.iterdir())


@pytest.mark.slow
def test_a_network_made_harmonic_and_one_that_is_not(trained: Path, here: Path) -> None:
    outcome = run(StudyRecipe("harmonic", run=trained, quick=True, epochs=160))
    assert outcome.finding is not None
    compared = outcome.finding.facts["compared"]
    found = {name: by_far["0.01"]["value"] for name, by_far in compared.items()}
    assert found["v1-v2"] > found["v1-v2, apart"] + 0.1
    assert found["v1-v2, apart"] < 0.1
    assert any(line.startswith("trained apart, v1-v2 has a VAL of") for line in outcome.finding.words)


def test_an_interrupted_study_goes_on(
    trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = RunSummary(Path("x"), "faces", 1, False, 1.0, {}, {}, ())
    monkeypatch.setattr(faces, "train", lambda *given: stopped)
    assert main(["study", "face-dimension", "--run", str(trained)]) == 1
    assert "to go on from there:  vitrail study face-dimension --run" in capsys.readouterr().out
    assert not Path("results").exists()


def test_the_command(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "face-jpeg", "--run", str(trained), "--results", "found"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("JPEG quality") for line in said)
    assert any(line.startswith("quality 10: ") for line in said)
    assert said[-2] == "results:  found/face-jpeg/figure.png  found/face-jpeg/results.json"
    assert main(["study", "face-jpg"]) == 2
    assert "face-jpeg" in capsys.readouterr().err


def test_a_figure_shows_the_papers_curve_and_ours() -> None:
    study = study_of("face-jpeg")
    ours = Curve("ours", (10.0, 90.0), (0.1, 0.2), (0.05, 0.15), (0.15, 0.3))

    def colours(found: dict[str, list[Curve]]) -> set[tuple[int, ...]]:
        import io

        findings = {name: Finding((), (), (), tuple(curves), {}) for name, curves in found.items()}
        pixels = np.asarray(Image.open(io.BytesIO(figure_png(study, findings))).convert("RGB"))
        return {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()}

    one, two = colours({"a": [ours]}), colours({"a": [ours], "b": [ours]})
    grey, blue, orange = (0x77,) * 3, (0x1F, 0x77, 0xB4), (0xE0, 0x7B, 0x00)
    assert {grey, blue} <= one
    assert orange not in one
    assert {grey, blue, orange} <= two or {grey, orange} <= two
