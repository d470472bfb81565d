"""The gap of attention that is known, and that of random models beside what logits of their deviation would give."""

import json
from pathlib import Path

import numpy as np
import pytest

from vitrail.studies import entropy_gap
from vitrail.studies.drawing import figure_png
from vitrail.studies.entropy_gap import expected, gap
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe


def test_gaps_of_known_attention() -> None:
    assert gap(np.full((2, 3, 5, 7), 1 / 7)) == pytest.approx(0)
    assert gap(np.eye(5)[None, None].repeat(3, 1)) == 0, "one key is all that there is to attend to"
    half = np.zeros((1, 1, 1, 4))
    half[...] = (0.5, 0.3, 0.1, 0.1)
    assert gap(half) == pytest.approx(np.log(4) - 0.5 * np.log(2) + 0.3 * np.log(0.3) + 0.2 * np.log(0.1))
    causal = np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None]
    assert gap(causal[None, None]) == pytest.approx(0), "a query that sees three keys has ln 3"


def test_the_gap_with_many_keys() -> None:
    assert expected(768, "BERT") == pytest.approx(0.0315, abs=5e-5)
    assert expected(256, "BERT") == pytest.approx(0.0035, abs=5e-5)
    random = np.random.default_rng(0)
    logits = random.normal(0, 0.02**2 * 1024, (1, 1, 200, 4000))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert gap(weights) == pytest.approx(expected(1024, "GPT-2"), rel=0.02)


def test_a_study_from_its_name_to_its_figure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy_gap, "TEXTS", 5)
    outcome = run(StudyRecipe("entropy-gap", quick=True, seeds=2))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    written = json.loads((outcome.folder / "results.json").read_text())
    one = written["found"]["random models"]
    for kind, lift in (("BERT", 0.06), ("GPT-2", 0.2)):
        for width in ("128", "256"):
            found = np.mean(one["facts"]["gaps"][kind]["64"][width])
            assert (1 - lift) * 0.9 < found / expected(int(width), kind) < 1.1, (kind, width)
    picture = figure_png(outcome.study, {"random models": read_finding(one)})
    assert picture == (outcome.folder / "figure.png").read_bytes()
    assert not list(here.rglob("*.safetensors"))
