"""What language models are trained for: the next token, or hidden ones, drawn alike for every split and resume."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from vitrail.errors import ConfigError
from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import IGNORED
from vitrail.text.language import LanguageModel
from vitrail.text.language_objective import CausalObjective, MaskedObjective, hide, objective_for
from vitrail.text.language_presets import PRESETS
from vitrail.text.passages import PassageBatch, PassageBatches, cut
from vitrail.text.tokens import train_tokenizer
from vitrail.train import Objective

WORDS, MASK, SPECIAL = 53, 3, (0, 1, 3)
STREAM = np.random.default_rng(5).integers(0, WORDS, 1009).astype(np.int32)


def objective(causal: bool) -> CausalObjective | MaskedObjective:
    torch.manual_seed(7)
    base = PRESETS["gpt_small" if causal else "bert_small"](WORDS)
    shape = replace(base, dim=22, heads=2, hidden=17, layers=1, max_length=13, dropout=0.0)
    model = LanguageModel(replace(shape, entry_dropout=0.0, attention_dropout=0.0))
    return CausalObjective(model) if causal else MaskedObjective(model, MASK, SPECIAL)


def test_the_next_token_token_by_token() -> None:
    wanted = objective(causal=True)
    batch = cut(STREAM, np.array([5, 1009 - 13, 40]), 13)
    log_p = wanted.module(batch.tokens).log_softmax(-1).detach()
    expected, right, count = 0.0, 0, 0
    for row in range(3):
        for place, label in enumerate(batch.following[row].tolist()):
            if label != IGNORED:
                expected -= float(log_p[row, place, label])
                right += int(log_p[row, place].argmax()) == label
                count += 1
    loss, number, scalars = wanted.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
    assert int(number) == count == 3 * 13 - 1
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5) == float(scalars["nats_per_token"])
    assert int(scalars["accuracy"]) == right


def test_hidden_tokens_are_asked_for_where_they_were() -> None:
    wanted = objective(causal=False)
    batch = cut(STREAM, np.array([5, 100, 40]), 13)
    random = RowRandom(3, 11, batch.rows, batch.total)
    shown, chosen = hide(batch.tokens, random, MASK, SPECIAL, WORDS)
    log_p = wanted.module(shown).log_softmax(-1).detach()
    places = chosen.nonzero().tolist()
    expected = -sum(float(log_p[row, place, batch.tokens[row, place]]) for row, place in places)
    loss, number, _ = wanted.loss(batch, random)
    assert int(number) == len(places) > 0
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_shares_are_berts() -> None:
    tokens = torch.from_numpy(STREAM[:1000].astype(np.int64)).view(10, 100).repeat(70, 1)
    shown, chosen = hide(tokens, RowRandom(3, 0, range(700), 700), MASK, SPECIAL, WORDS)
    ordinary = ~torch.isin(tokens, torch.tensor(SPECIAL))
    assert not chosen[~ordinary].any()
    assert torch.equal(shown[~chosen], tokens[~chosen])
    assert float(chosen[ordinary].float().mean()) == pytest.approx(0.15, abs=0.005)
    masked = shown[chosen] == MASK
    same = shown[chosen] == tokens[chosen]
    # A random token is the mask or the same one by a chance of 1 in 53 each.
    assert float(masked.float().mean()) == pytest.approx(0.8 + 0.1 / WORDS, abs=0.02)
    assert float(same.float().mean()) == pytest.approx(0.1 + 0.1 / WORDS, abs=0.015)
    others = shown[chosen][~masked & ~same]
    assert set(others.tolist()) == set(range(WORDS)) - {MASK}


def test_every_step_hides_others() -> None:
    tokens = torch.from_numpy(STREAM[:1000].astype(np.int64)).view(10, 100)
    first, second = (hide(tokens, RowRandom(3, step, range(10), 10), MASK, SPECIAL, WORDS)[1] for step in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (2, 2), (1, 5)])
def test_any_split_trains_on_the_same_batch(causal: bool, processes: int, parts: int) -> None:
    wanted: Objective[PassageBatch] = objective(causal)

    def total(step: int, world_size: int, micro_batches: int) -> tuple[float, int, torch.Tensor]:
        wanted.module.zero_grad()
        loss, count = 0.0, 0
        for rank in range(world_size):
            made = PassageBatches(
                STREAM, 13, 100, seed=3, rank=rank, world_size=world_size, micro_batches=micro_batches
            )
            for batch in next(islice(made, step, None)):
                part, number, scalars = wanted.loss(batch, RowRandom(3, step, batch.rows, batch.total))
                part.backward()
                loss, count = loss + float(part.detach()), count + int(number)
                assert scalars.keys() == {"nats_per_token", "accuracy"}
        gradient = wanted.module.get_parameter("embedding.weight").grad
        assert gradient is not None
        return loss, count, gradient.clone()

    for step in (0, 12):
        alone, split = total(step, 1, 1), total(step, processes, parts)
        assert split[1] == alone[1] > 0
        assert split[0] == pytest.approx(alone[0], rel=1e-5)
        torch.testing.assert_close(split[2], alone[2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_an_empty_part_gives_nothing(causal: bool) -> None:
    wanted = objective(causal)
    batch = cut(STREAM, np.array([], np.int64), 13, rows=range(0), total=1)
    loss, count, _ = wanted.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
    loss.backward()
    assert (float(loss.detach()), int(count)) == (0, 0)


def test_the_objective_is_the_models() -> None:
    plain, masked = train_tokenizer(["a b"] * 9, 300), train_tokenizer(["a b"] * 9, 300, mask=True)
    assert isinstance(objective_for(objective(causal=True).module, plain), CausalObjective)
    found = objective_for(objective(causal=False).module, masked)
    assert isinstance(found, MaskedObjective)
    assert {masked.pad, masked.end, masked.mask} == set(found.special)
    with pytest.raises(ConfigError, match="no token for a hidden one"):
        objective_for(objective(causal=False).module, plain)
