"""Nats a token, beside one pass a token; and beside what chance would give."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch

from vitrail.nn.randomness import RowRandom
from vitrail.text import language_scoring
from vitrail.text.language import LanguageModel
from vitrail.text.language_objective import CausalObjective, MaskedObjective
from vitrail.text.language_presets import PRESETS
from vitrail.text.language_scoring import causal_nats, loss_on, nats_between
from vitrail.text.passages import windows

WORDS, MASK = 53, 3
STREAM = np.random.default_rng(5).integers(4, WORDS, 101).astype(np.int32)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches of passages."""
    monkeypatch.setattr(language_scoring, "TOKENS", 40)


def model(causal: bool) -> LanguageModel:
    torch.manual_seed(7)
    base = PRESETS["gpt_small" if causal else "bert_small"](WORDS)
    made = LanguageModel(replace(base, dim=22, heads=2, hidden=17, layers=1, max_length=13)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return made


def test_each_token_after_what_is_before_it() -> None:
    made = model(causal=True)
    found = causal_nats(made, STREAM, 13, 5)
    assert found.shape == (100,)
    for place in range(1, 101):
        # A passage begins every 8 tokens, the last one 13 before the end; what is asked for has seen 5 or more.
        begin = 0 if place <= 13 else min(8 * ((place - 6) // 8), 87)
        log_p = made(torch.from_numpy(STREAM[None, begin:place].astype(np.int64)))[0, -1].detach().log_softmax(-1)
        assert found[place - 1] == pytest.approx(-float(log_p[STREAM[place]]), rel=1e-4), place
    whole = causal_nats(made, STREAM[:13], 13, 0)
    assert whole == pytest.approx(found[:12], rel=1e-5)


def test_each_token_hidden_alone() -> None:
    objective = MaskedObjective(model(causal=False), MASK, (0, 1, MASK))
    places = np.array([0, 3, 50, 99, 100])
    found = nats_between(objective, STREAM, places, 13)
    for place, nats in zip(places, found, strict=True):
        begin = min(max(0, place - 6), 88)
        shown = STREAM[begin : begin + 13].astype(np.int64)
        shown[place - begin] = MASK
        log_p = objective.module(torch.from_numpy(shown[None]))[0, place - begin].detach().log_softmax(-1)
        assert nats == pytest.approx(-float(log_p[STREAM[place]]), rel=1e-4)
    assert nats_between(objective, STREAM, places[:0], 13).shape == (0,)
    assert len(nats_between(objective, STREAM[:7], np.array([2]), 13)) == 1


def test_the_training_loss_over_all_of_a_stream() -> None:
    causal = CausalObjective(model(causal=True))
    found = loss_on(causal, STREAM, 13)
    nats = causal_nats(causal.module, STREAM, 13, 0)
    assert found["nats_per_token"] == pytest.approx(nats.mean(), rel=1e-5)
    assert found["perplexity"] == pytest.approx(exp(nats.mean()), rel=1e-4)
    masked = MaskedObjective(model(causal=False), MASK, (0, 1, MASK))
    sums = [
        masked.loss(batch, RowRandom(0, number, batch.rows, batch.total))
        for number, batch in enumerate(windows(STREAM, 13, 0, 3))
    ]
    expected = sum(float(loss.detach()) for loss, _, _ in sums) / sum(int(count) for _, count, _ in sums)
    assert loss_on(masked, STREAM, 13)["nats_per_token"] == pytest.approx(expected, rel=1e-5)
    assert loss_on(masked, STREAM, 13) == loss_on(masked, STREAM, 13)
    with torch.no_grad():
        for parameter in masked.module.parameters():
            parameter.zero_()
    assert loss_on(masked, STREAM, 13)["nats_per_token"] == pytest.approx(log(WORDS), rel=1e-5)
