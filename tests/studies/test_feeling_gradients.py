"""What gradients are of, what they and losses of heads are beside loops and small changes, and the whole study."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from studies_bert import write_bert
from torch import Tensor

from vitrail.capture import record_attention
from vitrail.capture.interventions import Ablate, effect, run_edited
from vitrail.studies import feeling_gradients
from vitrail.studies.bert import Bert, open_bert
from vitrail.studies.drawing import figure_png
from vitrail.studies.feeling_gradients import (
    COURSE,
    FRAMES,
    POLES,
    TARGET,
    correlation,
    costs,
    measure,
    on_word_and_all,
    target,
    towards,
)
from vitrail.studies.running import read_finding, run
from vitrail.studies.terms import StudyRecipe

TEXT = "She was sad yesterday."


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_bert(tmp_path / "tiny", [*COURSE, *POLES, *POLES.values(), *(frame.format("") for frame in FRAMES)])
    monkeypatch.setattr(feeling_gradients, "QUICK_FRAMES", 3)
    return str(tmp_path / "tiny")


@pytest.fixture
def bert(model: str) -> Bert:
    found = open_bert(StudyRecipe("feeling-gradients", model=model))
    found.model.eval()
    return found


def test_sentences_and_poles() -> None:
    assert len(set(FRAMES)) * len(POLES) >= 40
    assert all(frame.count("{}") == 1 for frame in FRAMES)
    in_frames = {word for frame in FRAMES for word in re.findall(r"\w{4,}", frame.lower())}
    in_poles = {feeling: set(re.findall(r"\w{4,}", text.lower())) for feeling, text in POLES.items()}
    assert in_poles["happy"] & in_poles["sad"] == {"mood"}
    assert not in_frames & (in_poles["happy"] | in_poles["sad"])
    assert not set(POLES) & (in_poles["happy"] | in_poles["sad"])


def test_the_number_is_a_difference_of_two_cosines(bert: Bert) -> None:
    @torch.no_grad()
    def embedding(text: str) -> Tensor:
        return bert.model(**bert.tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).double()

    happy, sad = (torch.cosine_similarity(embedding(TEXT), embedding(pole), 0) for pole in POLES.values())
    direction = towards(bert)
    with torch.no_grad():
        output = bert.model(**bert.tokenizer(TEXT, return_tensors="pt"))
    assert float(target(direction, 1.0)(output)) == pytest.approx(float(happy - sad), abs=1e-6)
    assert float(target(direction, -1.0)(output)) == pytest.approx(float(sad - happy), abs=1e-6)
    numbers, nothing = costs(bert, [TEXT, "I am happy"], direction, heads=False)
    assert numbers[0] == pytest.approx(float(happy - sad), abs=1e-6), "padding of the shorter text is left out"
    assert nothing.shape == (0, 2)


def test_weight_x_gradient_is_what_a_small_change_of_a_head_does(bert: Bert) -> None:
    class Less:
        """A head's output a little smaller."""

        def __init__(self, layer: str, head: int, by: float) -> None:
            self.layer, self.head, self.by = layer, head, by

        def inputs(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return q, k, v

        def output(self, name: str, output: Tensor) -> Tensor:
            if name != self.layer:
                return output
            changed = output.clone()
            changed[:, self.head] *= 1 - self.by
            return changed

    bert.model.double()
    direction = towards(bert)
    number = target(direction, -1.0)
    on_word, on_all = on_word_and_all(bert, TEXT, "sad", number)
    go = partial(bert.model, **bert.tokenizer(TEXT, return_tensors="pt"))
    with torch.no_grad(), record_attention(bert.model) as record:
        go()
    names = [call.name for call in record.calls]
    for place in range(14):
        layer, head = divmod(place, 7)
        less, more = (effect(bert.model, go, number, Less(names[layer], head, by)) for by in (1e-3, -1e-3))
        assert on_all[place] == pytest.approx((more - less) / 2e-3, abs=2e-5), (layer, head)
    assert np.abs(on_word - on_all).max() > 1e-3, "the word is one token of several"


def test_costs_are_those_of_each_text_alone(bert: Bert) -> None:
    direction = towards(bert)
    texts = [TEXT, "I am happy"]
    usual, cost = costs(bert, texts, direction)
    with torch.no_grad(), record_attention(bert.model) as record:
        bert.model(**bert.tokenizer(TEXT, return_tensors="pt"))
    for column, text in enumerate(texts):
        go = partial(bert.model, **bert.tokenizer(text, return_tensors="pt"))
        for place in (0, 4, 13):
            call = record.calls[place // 7].name
            without = float(target(direction, 1.0)(run_edited(bert.model, go, Ablate({call: [place % 7]}))))
            assert cost[place, column] == pytest.approx(usual[column] - without, abs=1e-5)


def test_a_cost_is_of_the_sentences_own_feeling(bert: Bert) -> None:
    told = measure(bert, FRAMES[:2])
    assert told.word.shape == told.everything.shape == told.cost.shape == (14, 2, 2)
    texts = [frame.format(word) for frame in FRAMES[:2] for word in POLES]
    usual, cost = costs(bert, texts, towards(bert))
    assert told.number.reshape(-1) == pytest.approx(usual * [1, -1, 1, -1])
    assert told.cost.reshape(14, -1) == pytest.approx(cost * [1, -1, 1, -1])
    alone, _ = on_word_and_all(bert, texts[3], "sad", target(towards(bert), -1.0))
    assert told.word[:, 1, 1] == pytest.approx(alone)


def test_rank_correlation_over_heads() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(17, 11))
    second = first**3 + random.normal(size=(17, 11))
    found = correlation(first, second)
    assert found.value == pytest.approx(stats.spearmanr(first.mean(1), second.mean(1)).statistic)
    assert -1 <= found.low < found.value < found.high <= 1
    heads = np.arange(17.0)[:, None].repeat(3, 1)
    assert correlation(heads, heads**2).value == pytest.approx(1)
    assert correlation(heads, -heads).high == pytest.approx(-1)


def test_a_study_from_its_name_to_its_figure(model: str, here: Path) -> None:
    outcome = run(StudyRecipe("feeling-gradients", model=model, quick=True, seeds=2))
    assert outcome.finding is not None
    assert all(len(row) == len(outcome.finding.heads) for row in outcome.finding.rows)
    assert outcome.finding.words[0].startswith(f"the number: {TARGET}")
    one = json.loads((outcome.folder / "results.json").read_text())["found"]["tiny"]
    facts = one["facts"]
    assert facts["shape"] == [2, 7]
    assert len(facts["frames"]) == 3
    assert len(facts["untrained"]) == 2
    assert len(facts["trained"]["cost"]["value"]) == 14
    assert figure_png(outcome.study, {"tiny": read_finding(one)}) == (outcome.folder / "figure.png").read_bytes()


def test_what_was_found_is_of_forty_sentences_and_more() -> None:
    results = Path(__file__).parents[2] / "results" / "feeling-gradients" / "results.json"
    one = json.loads(results.read_text())["found"]["all-MiniLM-L6-v2"]
    trained = one["facts"]["trained"]
    assert not one["quick"]
    assert len(one["facts"]["frames"]) * len(POLES) >= 40
    assert len(trained["cost"]["value"]) == 72
    assert trained["right"] == 1.0
    assert trained["correlations"]["all"]["low"][0] > 0.5
    assert trained["correlations"]["word"]["low"][0] > 0
