"""What is committed in ``results/``: the figures that the pages tell, each where a floor was asked for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrail.studies import STUDIES

RESULTS = Path(__file__).parents[2] / "results"


def found(name: str, about: str) -> dict[str, Any]:
    one: dict[str, Any] = json.loads((RESULTS / name / "results.json").read_text())["found"][about]
    assert not one["quick"]
    return one["facts"]


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_left_its_figures(name: str) -> None:
    written = json.loads((RESULTS / name / "results.json").read_text())
    assert written["study"] == name
    assert 10_000 < (RESULTS / name / "figure.png").stat().st_size < 300_000


def test_two_layers_have_induction_heads_and_one_has_none() -> None:
    models = found("induction", "random blocks")["models"]
    assert len(models["1"]) == len(models["2"]) >= 3
    assert all(max(map(max, model["induction"])) >= 0.8 for model in models["2"])
    assert all(max(map(max, model["induction"])) < 0.3 for model in models["1"])


def test_five_heads_in_three_roles() -> None:
    facts = found("head-roles", "all-MiniLM-L6-v2")
    assert facts["inputs"] >= 200
    named = facts["named"]
    assert len(named) >= 5
    assert len({one["role"] for one in named}) >= 3
    assert all(one["score"] >= 0.5 and one["score"] >= 5 * one["untrained"] for one in named)


def test_the_gaps_that_are_known() -> None:
    gaps = found("entropy-gap", "random models")["gaps"]["BERT"]
    for length in ("16", "64"):
        assert np.mean(gaps[length]["768"]) == pytest.approx(0.03, abs=0.002)
        assert np.mean(gaps[length]["256"]) == pytest.approx(0.003, abs=0.0005)


def test_what_is_hidden_is_guessed_better_than_by_any_fill() -> None:
    """By a fifth and more with the usual share, as the demo must."""
    settings = found("mask-ratio", "digits")["settings"]
    for ratio, of in settings.items():
        best = np.minimum(of["mean_image"], of["bilinear"])
        assert (np.array(of["model"]) < (0.8 if ratio == "0.75" else 1.0) * best).all()


def test_where_labels_are_fewest_a_masked_autoencoder_helps() -> None:
    facts = found("label-fraction", "digits")
    assert facts["seeds"] >= 2
    fewest = min(facts["gains"], key=int)
    assert facts["gains"][fewest]["interval"][0] > 0


def test_a_trained_masked_autoencoder_looks_nearer_and_at_fewer_patches_than_its_twins() -> None:
    facts = found("mae-attention", "glyphs")
    for layer in facts["layers"]:
        assert layer["distance"]["beside_untrained"]["interval"][1] < 0
        assert layer["entropy"]["beside_untrained"]["interval"][1] < 0
    assert facts["shown"] is not None
    assert found("mae-attention", "cifar10, twenty-0/mae")["shown"] is None, "photographs aren't ours to publish"
