"""Tokens found again after a change, maps compared by content and by position, and the study to its figure."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from studies_bert import write_bert

from vitrail.capture.huggingface import load
from vitrail.errors import DataError
from vitrail.studies import sentence_order, sentences
from vitrail.studies.bert import Bert
from vitrail.studies.drawing import figure_png
from vitrail.studies.running import read_finding, run
from vitrail.studies.sentence_order import CHANGES, COURSE, REVERSED, SHUFFLED, SWAPPED, changed, moves, read_all
from vitrail.studies.terms import StudyRecipe

KINDS = ("first word", "last word", "middle", "beginning", "end", "title", "whole", "half", "line", "mark")
FIRST = "The {} of it, if the text has one, is read before the other parts of the text are seen."
DOCUMENTS = [(f"{FIRST.format(kind)} More follows.", f"Read the {kind} of a text.") for kind in KINDS]
PAIR = ("The sea, the wide sea.", "A boat is on it.")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_bert(tmp_path / "tiny", [*PAIR, *COURSE, *(text for pair in DOCUMENTS for text in pair)])
    monkeypatch.setattr(sentences, "docstrings", lambda: DOCUMENTS)
    monkeypatch.setattr(sentence_order, "QUICK_PAIRS", 4)
    return str(tmp_path / "tiny")


@pytest.fixture
def bert(model: str) -> Bert:
    loaded, tokenizer, _ = load(model)
    return Bert(loaded, tokenizer)


def test_words_in_another_order() -> None:
    random = np.random.default_rng(0)
    assert changed(PAIR, "", random).texts == ("The sea, the wide sea", "A boat is on it")
    assert changed(PAIR, SWAPPED, random).texts == ("A boat is on it", "The sea, the wide sea")
    assert changed(PAIR, REVERSED, random).texts == ("sea wide the sea, The", "it on is boat A")
    mixed = changed(PAIR, SHUFFLED, random)
    for text, usual, origin in zip(mixed.texts, PAIR, mixed.origin, strict=True):
        words = usual.rstrip(".").split()
        assert text.split() == [words[place] for _, place in origin]
        assert sorted(place for _, place in origin) == list(range(5))


@pytest.mark.parametrize("change", CHANGES)
def test_every_token_is_found_again(bert: Bert, change: str) -> None:
    random = np.random.default_rng(3)
    usual, there = changed(PAIR, "", random), changed(PAIR, change, random)
    before, after = (bert.read(*one.texts).tokens() for one in (usual, there))
    found = moves(before, usual.texts, after, there)
    assert before.texts is not None
    assert after.texts is not None
    assert sorted(found) == list(range(before.length))
    assert [after.texts[place] for place in found] == list(before.texts)
    assert found[0] == 0
    assert found[-1] == before.length - 1
    # "sea" is there twice, one with a comma, which stays behind it
    comma = before.texts.index(",")
    assert found[comma] == found[comma - 1] + 1
    if change == REVERSED:
        assert found[comma - 1] == 4


def test_tokens_that_are_not_found_again_are_told(bert: Bert) -> None:
    usual = changed(PAIR, "", np.random.default_rng(0))
    before, after = bert.read(*usual.texts).tokens(), bert.read("The sea", "A boat").tokens()
    with pytest.raises(DataError, match="became other tokens when their order changed: name a model whose"):
        moves(before, usual.texts, after, usual)


def test_what_knows_no_places_goes_with_words_and_what_knows_no_words_with_places(bert: Bert) -> None:
    embeddings = bert.model.embeddings
    with torch.no_grad():
        kept = embeddings.position_embeddings.weight.clone()
        embeddings.position_embeddings.weight.zero_()
        of_words, _ = read_all(bert, [PAIR])
        embeddings.position_embeddings.weight.copy_(kept)
        embeddings.word_embeddings.weight[5:] = embeddings.word_embeddings.weight[5]
        of_places, _ = read_all(bert, [PAIR])
    for change in (REVERSED, SHUFFLED):
        assert of_words[change].maps["content"].max() < 1e-7 < 1e-3 < of_words[change].maps["position"].max()
        assert of_words[change].states["content"] == pytest.approx(np.ones((1, 3)), abs=1e-5)
        assert of_words[change].embedding == pytest.approx(np.ones((1, 3)), abs=1e-5)
        assert of_places[change].maps["position"].max() < 1e-7 < 1e-3 < of_places[change].maps["content"].max()
        assert of_places[change].states["position"] == pytest.approx(np.ones((1, 3)), abs=1e-5)
        assert of_places[change].maps["chance"].max() > 1e-3


def test_a_study_from_its_name_to_its_figure(model: str, here: Path) -> None:
    outcome = run(StudyRecipe("sentence-order", model=model, quick=True))
    assert outcome.finding is not None
    assert [row[:2] for row in outcome.finding.rows] == [(change, layer) for change in CHANGES for layer in "01"]
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["tiny"]
    assert one["facts"]["pairs"] == 4
    assert np.shape(one["facts"]["heads"]["trained"]) == (2, 7)
    assert figure_png(outcome.study, {"tiny": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()


def test_what_was_found_is_of_a_hundred_pairs_and_more() -> None:
    results = Path(__file__).parents[2] / "results" / "sentence-order" / "results.json"
    one = json.loads(results.read_text())["found"]["all-MiniLM-L6-v2"]
    facts = one["facts"]
    assert not one["quick"]
    assert facts["pairs"] >= 100
    maps = facts["models"]["trained"]["sentences swapped"]["maps"]
    assert all(high < low for high, low in zip(maps["content"]["high"], maps["position"]["low"], strict=True))
