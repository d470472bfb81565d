"""Blocks and pieces of them, how heads are scored on these, and that two layers learn what one doesn't."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vitrail.capture import record_attention
from vitrail.nn.randomness import RowRandom
from vitrail.studies import induction, induction_models
from vitrail.studies.blocks import LENGTH, LONGEST, SHORTEST, VOCABULARY, PieceBatches, pieces, twice
from vitrail.studies.drawing import figure_png
from vitrail.studies.induction_models import score
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe
from vitrail.text.batches import IGNORED
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.trace import Axis, Places
from vitrail.trace.scores import induction as prefix_matching
from vitrail.trace.scores import previous


def rows(count: int, seed: int = 0) -> RowRandom:
    return RowRandom(seed, 0, range(count), count)


def test_a_block_comes_twice() -> None:
    tokens = twice(rows(11))
    assert tokens.shape == (11, 2 * LONGEST)
    assert torch.equal(tokens[:, :LONGEST], tokens[:, LONGEST:])
    assert all(len(set(row)) == LONGEST for row in tokens.tolist())
    assert len({tuple(row) for row in tokens.tolist()}) == 11


def test_pieces_ask_for_what_the_block_decides() -> None:
    batch = pieces(rows(101))
    sizes, starts = set(), []
    for tokens, following in zip(batch.tokens.tolist(), batch.following.tolist(), strict=True):
        size = next((place for place in range(1, LENGTH) if tokens[place] in tokens[:place]), LENGTH)
        block = tokens[:size]
        sizes.add(size)
        assert set(tokens) == set(block)
        for place, asked in enumerate(following):
            if asked == IGNORED:
                continue
            assert place >= size, "nothing is asked for while the block is shown"
            assert asked == tokens[place + 1] == block[block.index(tokens[place]) + 1]
        assert following[-1] == IGNORED
        starts += [block.index(tokens[place + 1]) for place in range(size, LENGTH - 1) if following[place] == IGNORED]
    assert min(sizes) == SHORTEST
    assert max(sizes) == LONGEST
    assert len(set(starts)) == LONGEST - 1, "pieces begin anywhere but at the last token"
    share = float((batch.following != IGNORED).float().mean())
    assert 0.3 < share < 0.6


def test_batches_go_on_where_they_stopped() -> None:
    first, again = PieceBatches(3, 5), PieceBatches(3, 5)
    stream = iter(first)
    taken = [next(stream)[0].tokens for _ in range(3)]
    assert not torch.equal(taken[0], taken[1])
    again.load_state_dict({"step": 2})
    assert torch.equal(next(iter(again))[0].tokens, taken[2])
    assert again.state_dict() == first.state_dict()


def small_model(layers: int = 2) -> LanguageModel:
    torch.manual_seed(3)
    config = LanguageConfig(VOCABULARY, dim=14, layers=layers, heads=7, hidden=1, feed_forward=False, max_length=LENGTH)
    model = LanguageModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def test_scores_are_those_of_every_trace() -> None:
    """The diagonal that is read off is what ``vitrail.trace.scores`` finds by the tokens."""
    model = small_model()
    found = score(model, 5)
    assert model.training, "as it was"
    tokens = twice(RowRandom(induction_models.derive_seed("tested blocks"), 0, range(5), 5))
    model.eval()
    with torch.no_grad(), record_attention(model) as record:
        model(tokens)
    for layer, call in enumerate(record.calls):
        by_tokens, before = [], []
        for row in range(5):
            axis = Axis("tokens", "tokens", LENGTH, ids=tokens[row].numpy())
            weights = call.weights[row].numpy()
            by_tokens.append(np.nanmean(prefix_matching(weights, Places(axis, axis)), axis=1))
            before.append(np.nanmean(previous(weights, Places(axis, axis))[:, :LONGEST], axis=1))
        assert found.induction[layer].numpy() == pytest.approx(np.mean(by_tokens, axis=0), abs=1e-6)
        assert found.previous[layer].numpy() == pytest.approx(np.mean(before, axis=0), abs=1e-6)
        assert torch.allclose(found.weights[layer], call.weights[0])


def test_attending_everywhere_alike_has_the_score_that_is_told() -> None:
    model = small_model(1)
    torch.nn.init.zeros_(model.blocks[0].attention.qkv.weight)
    torch.nn.init.zeros_(model.blocks[0].attention.qkv.bias)
    assert score(model, 3).induction.numpy() == pytest.approx(np.full((1, 7), induction.UNIFORM), abs=1e-6)


def test_a_study_from_its_name_to_its_figure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(induction_models, "QUICK_STEPS", 4)
    monkeypatch.setattr(induction_models, "LOOKS", 2)
    monkeypatch.setattr(induction, "TESTED", 3)
    recipe = StudyRecipe("induction", quick=True, seeds=2)
    outcome = run(recipe)
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert "this shows nothing: the trainings were too short to tell" in outcome.finding.words
    written = json.loads((outcome.folder / "results.json").read_text())
    assert list(written["found"]) == ["random blocks"]
    one = written["found"]["random blocks"]
    assert one["facts"]["models"]["1"][1]["curve"]["step"] == [2, 4]
    shown = [row.split() for row in one["facts"]["shown"]["induction"]["percent"]]
    assert [len(row) for row in shown] == [LENGTH] * LENGTH
    assert shown[0] == ["100", *["0"] * (LENGTH - 1)], "the first query sees itself alone"
    again = figure_png(outcome.study, {"random blocks": read_finding(one)})
    assert again == (outcome.folder / "figure.png").read_bytes(), "nothing is drawn that isn't in the file"
    before = sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors"))
    assert run(recipe).finding == outcome.finding
    assert sorted(path.stat().st_mtime_ns for path in here.rglob("model.safetensors")) == before


@pytest.mark.slow
def test_two_layers_learn_to_look_up_and_one_does_not(here: Path) -> None:
    outcome = run(StudyRecipe("induction", seeds=1, seed=7, results=Path("found")))
    assert outcome.finding is not None
    models = outcome.finding.facts["models"]
    assert max(map(max, models["2"][0]["induction"])) >= 0.8
    assert max(models["2"][0]["previous"][0]) >= 0.8
    assert max(map(max, models["1"][0]["induction"])) < 0.3
    assert models["2"][0]["loss"] < 0.1 < 2 < models["1"][0]["loss"]
