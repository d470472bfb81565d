"""What is asked of a trained BERT: roles of its heads, and one word in two senses."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from studies_bert import write_bert

from vitrail.errors import DataError, ModelError
from vitrail.studies import bert, head_roles, same_word, sentences
from vitrail.studies.drawing import figure_png
from vitrail.studies.head_roles import named_heads
from vitrail.studies.running import read_finding, run
from vitrail.studies.same_word import CONTROL, GAME, PAIR, SHARED, STAGE, WORD, alike, means, ways
from vitrail.studies.sentences import fingerprint, pairs_of_sentences
from vitrail.studies.terms import StudyRecipe
from vitrail.trace.roles import ROLES
from vitrail.trace.tables import HeadScores

KINDS = ("first word", "last word", "middle", "beginning", "end", "title", "whole", "half", "line", "mark")
FIRST = "The {} of it is read before the other parts of the text are seen."
DOCUMENTS = [(f"{FIRST.format(kind)} More follows.\n\nAnd more.", f"Read the {kind} of a text.") for kind in KINDS]


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bert") / "tiny"
    write_bert(folder, [*GAME, *STAGE, *(text for pair in DOCUMENTS for text in pair)])
    return str(folder)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "docstrings", lambda: DOCUMENTS)
    monkeypatch.setattr(head_roles, "QUICK_INPUTS", 6)


# -- sentences --------------------------------------------------------------------------------------------------------


def test_sentences_are_first_sentences_of_plain_english(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        ("Set x_1 = 3 and look at what it does to the array.", "Set the first number of it."),
        ("Too short.", "Set the first number of it."),
        ("This one has as many words as it needs to have here.", "Too short."),
    ]
    monkeypatch.setattr(sentences, "docstrings", lambda: [*others, *DOCUMENTS])
    found = pairs_of_sentences(10, 0)
    assert sorted(found) == sorted((summary, document.partition(" More")[0]) for document, summary in DOCUMENTS)
    assert pairs_of_sentences(10, 0) == found != pairs_of_sentences(10, 1)
    assert fingerprint(found) == fingerprint(list(found)) != fingerprint(found[::-1])
    with pytest.raises(DataError, match="hold 10 plain sentences, and 11 were asked for: ask for fewer"):
        pairs_of_sentences(11, 0)


# -- roles ------------------------------------------------------------------------------------------------------------


def made_scores(first: list[float], before: list[float]) -> HeadScores:
    names = tuple(dict.fromkeys([*(score for score, _ in ROLES.values()), "A to B", "B to A"]))
    values = np.full((len(first), len(names)), 0.01)
    values[:, names.index("first")], values[:, names.index("previous")] = first, before
    heads = [("encoder", 0, head) for head in range(len(first))]
    uniform = np.full_like(values, 0.05)
    return HeadScores(heads, names, values, values - 0.02, values + 0.02, uniform, np.full(values.shape, 90))


def test_a_role_counts_with_half_of_attention_and_five_times_an_untrained_heads() -> None:
    trained = made_scores([0.9, 0.5, 0.499, 0.6, 0.2], [0.0, 0.0, 0.0, 0.0, 0.6])
    twins = [
        made_scores([0.02, 0.03, 0.1, 0.02, 0.01], [0.01] * 5),
        made_scores([0.05] * 5, [0.01, 0.121, 0.0, 0.0, 0.0]),
    ]
    roles = ["first token", "first token", "first token", "broad", "previous token"]
    atlas = [{"layer": 0, "head": head, "role": role} for head, role in enumerate(roles)]
    found = named_heads(trained, atlas, twins)
    assert [(one.head, one.role, one.score, one.untrained) for one in found] == [
        (0, "first token", 0.9, 0.1),
        (1, "first token", 0.5, 0.1),
    ], "0.6 before the token is less than 5 x 0.121"
    assert (found[0].low, found[0].high, found[0].uniform) == (0.88, 0.92, 0.05)


@pytest.mark.usefixtures("few")
def test_roles_from_name_to_figure(model: str, here: Path) -> None:
    outcome = run(StudyRecipe("head-roles", model=model, quick=True))
    assert outcome.finding is not None
    written = json.loads((outcome.folder / "results.json").read_text())
    assert list(written["found"]) == ["tiny"]
    one = written["found"]["tiny"]
    assert {name: len(rows) for name, rows in one["facts"]["atlases"].items()} == dict.fromkeys(
        ("trained", "library", "pytorch"), 14
    )
    assert figure_png(outcome.study, {"tiny": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
    assert run(StudyRecipe("head-roles", model=model, quick=True)).finding == outcome.finding


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert, "PACKAGE", "no_such_bert")
    with pytest.raises(
        ModelError, match=r"the package no-such-bert, which isn't installed: install it, or name another"
    ):
        bert.open_bert(StudyRecipe("head-roles"))


# -- one word ---------------------------------------------------------------------------------------------------------


def test_every_sentence_has_the_words() -> None:
    for sentence in (*GAME, *STAGE):
        words = sentence.lower().strip(".").split()
        assert words.count(WORD) == 1, sentence
        assert sentence in PAIR or CONTROL in words, sentence
    for word in SHARED:
        assert all(word in sentence.lower().strip(".").split() for sentence in PAIR)


def test_ways_to_share_out() -> None:
    found = ways(3, 2)
    assert found.tolist()[0] == [True, True, True, False, False]
    assert len(set(map(tuple, found.tolist()))) == len(found) == 10
    assert (found.sum(1) == 3).all()


def test_means_over_pairs_are_those_of_loops() -> None:
    states = np.random.default_rng(0).normal(size=(5, 2, 7))
    cosines = alike(states)
    same, across = means(cosines, ways(3, 2))
    for way, chosen in enumerate(ways(3, 2)):
        for layer in range(2):
            pairs: dict[bool, list[float]] = {True: [], False: []}
            for i, j in combinations(range(5), 2):
                a, b = states[i, layer], states[j, layer]
                pairs[bool(chosen[i] == chosen[j])].append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            assert same[way, layer] == pytest.approx(np.mean(pairs[True]))
            assert across[way, layer] == pytest.approx(np.mean(pairs[False]))


def test_a_gap_beside_chance() -> None:
    """States that point in one direction a sense: no other way has as large a gap, but the one with senses swapped."""
    states = np.zeros((6, 1, 3))
    states[:3, 0, 0], states[3:, 0, 1] = 1, 1
    same, across = means(alike(states), ways(3, 3))
    found = same_word._beside_chance(same - across)
    assert found["gap"] == [1.0]
    assert found["p"] == [0.1]
    alike_all = same_word._beside_chance(np.zeros((20, 1)))
    assert alike_all["p"] == [1.0]


def test_one_word_from_name_to_figure(model: str, here: Path) -> None:
    outcome = run(StudyRecipe("same-word", model=model, quick=True))
    assert outcome.finding is not None
    assert [row[0] for row in outcome.finding.rows] == ["entry", "1", "2"]
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["tiny"]
    trained = one["facts"]["trained"]
    assert set(trained["pair"]) == set(SHARED)
    gap = np.subtract(trained[WORD]["same"], trained[WORD]["across"])
    assert trained[WORD]["gap"] == pytest.approx(gap.tolist(), abs=2e-4)
    assert trained["beyond"]["gap"] == pytest.approx(
        np.subtract(trained[WORD]["gap"], trained[CONTROL]["gap"]).tolist(), abs=2e-4
    )
    assert figure_png(outcome.study, {"tiny": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()
