"""How far apart maps are, which are compared, and the study from its name to its figure."""

import json
from pathlib import Path

import numpy as np
import pytest
from studies_bert import write_bert

from vitrail.studies import sentences, trained_untrained
from vitrail.studies.drawing import figure_png
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe
from vitrail.studies.trained_untrained import distances, read_all

KINDS = ("first word", "last word", "middle", "beginning", "end", "title", "whole", "half", "line", "mark")
FIRST = "The {} of it is read before the other parts of the text are seen."
DOCUMENTS = [(f"{FIRST.format(kind)} More follows.", f"Read the {kind} of a text.") for kind in KINDS]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_bert(tmp_path / "tiny", [text for pair in DOCUMENTS for text in pair])
    monkeypatch.setattr(sentences, "docstrings", lambda: DOCUMENTS)
    monkeypatch.setattr(trained_untrained, "QUICK_INPUTS", 5)
    return str(tmp_path / "tiny")


def test_distances_of_maps_that_are_known() -> None:
    random = np.random.default_rng(0)
    one, other = random.dirichlet(np.ones(5), (2, 3, 7)), random.dirichlet(np.ones(5), (2, 3, 7))
    assert distances(one, one) == pytest.approx([0, 0], abs=1e-12)
    apart = np.eye(5)[None, None]
    assert distances(apart, np.roll(apart, 1, axis=3)) == pytest.approx([np.log(2)])
    by_hand = []
    for layer in range(2):
        rows = []
        for p, q in zip(one[layer].reshape(-1, 5), other[layer].reshape(-1, 5), strict=True):
            middle = (p + q) / 2
            rows.append(((p * np.log(p / middle)).sum() + (q * np.log(q / middle)).sum()) / 2)
        by_hand.append(np.mean(rows))
    assert distances(one, other) == pytest.approx(by_hand)


def test_what_is_compared(model: str, here: Path) -> None:
    from vitrail.capture.huggingface import load
    from vitrail.studies.bert import Bert

    loaded, tokenizer, _ = load(model)
    bert = Bert(loaded, tokenizer)
    same = read_all({"trained": [bert], "library": [bert, bert]}, [(summary, text) for text, summary in DOCUMENTS[:3]])
    assert {name: values.shape for name, values in same.apart.items()} == dict.fromkeys(
        ("trained and library", "two of library"), (3, 2)
    )
    assert all(np.abs(values).max() < 1e-9 for values in same.apart.values())
    assert [len(of) for of in same.scores.values()] == [1, 2]
    assert len(same.scores["trained"][0].values) == 3


def test_a_study_from_its_name_to_its_figure(model: str, here: Path) -> None:
    outcome = run(StudyRecipe("trained-untrained", model=model, quick=True))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert [row[:2] for row in outcome.finding.rows[:3]] == [("0", "trained"), ("0", "library"), ("0", "pytorch")]
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["tiny"]
    facts = one["facts"]
    assert set(facts["apart"]) == {
        "trained and library", "trained and pytorch", "library and pytorch", "two of library", "two of pytorch"
    }  # fmt: skip
    assert facts["seeds"] == 2
    # This model was drawn as the first twin is: half of its pairs are a model and itself.
    apart = (np.array(facts["apart"][pair]["value"]) for pair in ("trained and library", "two of library"))
    assert next(apart) == pytest.approx(next(apart) / 2, abs=1e-4)
    assert figure_png(outcome.study, {"tiny": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()


def test_what_was_found_is_of_two_hundred_inputs_and_more() -> None:
    results = Path(__file__).parents[2] / "results" / "trained-untrained" / "results.json"
    one = json.loads(results.read_text())["found"]["all-MiniLM-L6-v2"]
    facts = one["facts"]
    assert not one["quick"]
    assert facts["inputs"] >= 200
    assert facts["seeds"] >= 2
    for how in ("library", "pytorch"):
        assert max(facts["entropy"]["trained"]["high"]) < min(facts["entropy"][how]["low"])
        assert min(facts["apart"][f"trained and {how}"]["low"]) > max(facts["apart"][f"two of {how}"]["high"])
