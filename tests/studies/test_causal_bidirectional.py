"""Two models of the same blocks: what they share, what they may look at, and the study from its name to its figure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from studies_bert import write_bert

from vitrail.recipes.events import ignore
from vitrail.studies import causal_bidirectional, causal_bidirectional_models
from vitrail.studies.causal_bidirectional import MEASURES, look
from vitrail.studies.causal_bidirectional_models import (
    KINDS,
    LENGTH,
    Passages,
    data_name,
    inputs_of,
    passages,
    trained,
    untrained,
)
from vitrail.studies.drawing import figure_png
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe

WORDS = ("a", "boat", "goes", "over", "the", "wide", "sea", "and", "comes", "home", "at", "night", "again")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Path) -> StudyRecipe:
    random = np.random.default_rng(0)
    (tmp_path / "tales").mkdir()
    for part, lines in (("train", 70), ("validation", 13)):
        rows = [{"document": " ".join(random.choice(WORDS, 37)), "summary": "A tale."} for _ in range(lines)]
        (tmp_path / "tales" / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_bert(tmp_path / "tiny", [*WORDS, "tale"])
    monkeypatch.setattr(causal_bidirectional_models, "VOCABULARY", 290)
    monkeypatch.setattr(causal_bidirectional_models, "QUICK_STEPS", 3)
    monkeypatch.setattr(causal_bidirectional_models, "TOKENS", 2 * LENGTH)
    monkeypatch.setattr(causal_bidirectional, "QUICK_INPUTS", 4)
    monkeypatch.setattr(causal_bidirectional, "WORDS", 11)
    return StudyRecipe(
        "causal-bidirectional", data="tales", model=str(tmp_path / "tiny"), quick=True, precision="float32"
    )


def test_both_begin_alike_and_differ_in_what_they_may_look_at(recipe: StudyRecipe) -> None:
    read = passages(recipe)
    causal, both = (trained(recipe, read, kind, 5, ignore) for kind in KINDS)
    first, other = (untrained(run, 5).model.state_dict() for run in (causal, both))
    assert all(torch.equal(first[name], other[name]) for name in first)
    after = causal.model.state_dict()
    assert any(not torch.equal(first[name], after[name]) for name in first)
    assert replace(causal.model.config, causal=False) == both.model.config
    text = inputs_of(read, 1, 11)[0]
    seen = [look(run, text).weights(1) for run in (causal, both)]
    ahead = [weights[:, *np.triu_indices(weights.shape[1], 1)] for weights in seen]
    assert ahead[0].max() == 0 < ahead[1].min()
    assert look(causal, text).tokens().length + 1 == look(both, text).tokens().length <= LENGTH


def test_texts_are_read_from_where_they_begin(recipe: StudyRecipe) -> None:
    read = passages(recipe)
    found = inputs_of(read, 5, 11)
    assert len(set(found)) == 5
    assert all(len(text.split()) == 11 for text in found)
    every = [" ".join(text.split()) for text in read.texts]
    assert all(any(one.startswith(text) for one in every) for text in found)
    assert inputs_of(read, 5, 38) == [], "none has as many words"
    assert data_name(recipe) == "tales"
    assert data_name(StudyRecipe("causal-bidirectional")) == "docstrings"
    Path("more.jsonl.gz").touch()
    assert data_name(replace(recipe, data="tales,more.jsonl.gz")) == "tales-more"


def test_frequencies_are_all_that_single_tokens_know(recipe: StudyRecipe) -> None:
    read = passages(recipe)
    often = np.array([3, 7, 3, 3] * 500, np.int32)
    alone = Passages("", read.tokens, often, np.array([1, 3, 7], np.int32), (), "").single()
    assert alone == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2, abs=0.01)


def test_a_study_from_its_name_to_its_figure(recipe: StudyRecipe, here: Path) -> None:
    outcome = run(recipe)
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert any(line.startswith("this shows nothing of training") for line in outcome.finding.words)
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["tales"]
    models = one["facts"]["models"]
    assert list(models) == [*KINDS, "tiny"]
    assert models["causal"]["next"]["trained"]["value"] == [0.0] * 4
    assert all(set(of) == set(MEASURES) for of in models.values())
    assert figure_png(outcome.study, {"tales": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
    before = sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors"))
    assert run(recipe).finding == outcome.finding
    assert sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors")) == before


def test_what_was_found_is_of_models_that_learned() -> None:
    results = Path(__file__).parents[2] / "results" / "causal-bidirectional" / "results.json"
    one = json.loads(results.read_text())["found"]["scitldr_abstract"]
    facts = one["facts"]
    assert not one["quick"]
    assert facts["inputs"] >= 100
    for kind in KINDS:
        losses = [seed["nats_per_token"] for seed in facts["losses"][kind]["trained"]]
        assert max(losses) < facts["frequencies"] - 0.1
        assert max(facts["models"][kind]["entropy"]["trained"]["high"]) < 1
