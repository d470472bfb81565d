"""Batches by a budget of tokens: every pair once an epoch, little padding, the same for any number of processes."""

from itertools import islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vitrail.errors import ConfigError, DataError
from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import (
    IGNORED,
    TextBatch,
    TextBatches,
    TokenPairs,
    collate,
    make_pairs,
    plan_by_count,
    plan_by_tokens,
)
from vitrail.text.objective import SummaryObjective
from vitrail.text.transformer import Transformer, TransformerConfig

PAD, START = 0, 1


def some_pairs(count: int = 211, seed: int = 5) -> TokenPairs:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 60, count), random.integers(1, 13, count)
    sources, targets = ([random.integers(2, 53, n).astype(np.int32) for n in of] for of in lengths)
    return TokenPairs(sources, targets)


PAIRS = some_pairs()


def batches(**changes: object) -> TextBatches:
    options: dict[str, object] = {"seed": 3, "pad": PAD, "start": START, **changes}
    return TextBatches(PAIRS, 400, **options)  # type: ignore[arg-type]


def test_an_epoch_holds_every_pair_once_within_the_budget() -> None:
    for epoch in range(3):
        plan = plan_by_tokens(PAIRS, 400, 3, epoch)
        rows = np.concatenate(plan.batches)
        assert sorted(rows) == list(range(211))
        for chosen in plan.batches:
            batch = collate(PAIRS, chosen, pad=PAD, start=START)
            assert batch.source.numel() + batch.target.numel() <= 400
        assert plan.padding(PAIRS) < plan_by_count(PAIRS, 16, 3, epoch).padding(PAIRS) / 2
    first, second = (plan_by_tokens(PAIRS, 400, 3, epoch).batches for epoch in (0, 1))
    assert {tuple(sorted(rows)) for rows in first} != {tuple(sorted(rows)) for rows in second}
    assert [len(rows) for rows in plan_by_count(PAIRS, 16, 3, 0).batches] == [16] * 13 + [3]


def test_the_share_of_padding_is_what_the_batches_hold() -> None:
    made = batches()
    seen = [batch for (batch,) in islice(made, made.steps_per_epoch)]
    padded = sum(int((~batch.source_mask).sum()) + int((batch.labels == IGNORED).sum()) for batch in seen)
    every = sum(batch.source.numel() + batch.labels.numel() for batch in seen)
    assert made.padding == pytest.approx(padded / every)


def test_what_a_batch_holds() -> None:
    (batch,) = next(iter(batches()))
    for row, pair in enumerate(batch.indices.tolist()):
        source, target = PAIRS.sources[pair].tolist(), PAIRS.targets[pair].tolist()
        assert batch.source[row][batch.source_mask[row]].tolist() == source
        assert batch.source[row, len(source) :].tolist() == [PAD] * (batch.source.shape[1] - len(source))
        assert batch.labels[row].tolist() == target + [IGNORED] * (batch.labels.shape[1] - len(target))
        assert batch.target[row, : len(target)].tolist() == [START, *target[:-1]]


def test_goes_on_where_it_stopped_across_epochs() -> None:
    whole = [batch.indices.tolist() for (batch,) in islice(batches(), 60)]
    assert batches().steps_per_epoch < 30
    for stopped in (0, 7, 41):
        again = batches()
        again.load_state_dict({"step": stopped})
        assert [batch.indices.tolist() for (batch,) in islice(again, 60 - stopped)] == whole[stopped:]
        assert again.state_dict() == {"step": 60}


@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (1, 3), (2, 2)])
def test_any_split_trains_on_the_same_batch(processes: int, parts: int) -> None:
    torch.manual_seed(7)
    config = TransformerConfig(53, dim=22, heads=2, hidden=17, encoder_layers=1, decoder_layers=1, dropout=0.0)
    objective = SummaryObjective(Transformer(config), label_smoothing=0.1)

    def at(step: int, rank: int = 0, world_size: int = 1, micro_batches: int = 1) -> list[TextBatch]:
        made = batches(rank=rank, world_size=world_size, micro_batches=micro_batches)
        return next(islice(made, step, None))

    def total(made: list[TextBatch]) -> tuple[float, int, torch.Tensor]:
        objective.module.zero_grad()
        loss, count = 0.0, 0
        for batch in made:
            part, tokens, scalars = objective.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
            part.backward()
            loss, count = loss + float(part.detach()), count + int(tokens)
            assert scalars.keys() == {"nats_per_token", "accuracy"}
        gradient = objective.module.embedding.weight.grad
        assert gradient is not None
        return loss, count, gradient.clone()

    for step in range(3):
        alone = total(at(step))
        split = [batch for rank in range(processes) for batch in at(step, rank, processes, parts)]
        together = total(split)
        assert together[1] == alone[1]
        assert together[0] == pytest.approx(alone[0], rel=1e-5)
        torch.testing.assert_close(together[2], alone[2], atol=1e-4, rtol=1e-4)


def test_more_processes_than_rows_get_empty_batches() -> None:
    alone = TokenPairs(PAIRS.sources[:1], PAIRS.targets[:1])
    torch.manual_seed(7)
    config = TransformerConfig(53, dim=22, heads=2, hidden=17, encoder_layers=1, decoder_layers=1)
    objective = SummaryObjective(Transformer(config))
    (batch,) = next(iter(TextBatches(alone, 400, seed=3, pad=PAD, start=START, rank=0, world_size=2)))
    assert len(batch.rows) == 0
    loss, count, _ = objective.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
    loss.backward()
    assert (float(loss.detach()), int(count)) == (0, 0)


def test_the_loss_is_over_tokens() -> None:
    torch.manual_seed(7)
    model = Transformer(
        TransformerConfig(53, dim=22, heads=2, hidden=17, encoder_layers=1, decoder_layers=1, dropout=0.0)
    )
    (batch,) = next(iter(batches()))
    random = RowRandom(0, 0, batch.rows, batch.total)
    logits = model(batch.source, batch.target, batch.source_mask).log_softmax(-1)
    expected = smooth = 0.0
    right = 0
    for row in range(len(batch.indices)):
        for place, label in enumerate(batch.labels[row].tolist()):
            if label != IGNORED:
                expected -= float(logits[row, place, label].detach())
                smooth -= float(logits[row, place].detach().mean())
                right += int(logits[row, place].argmax()) == label
    loss, count, scalars = SummaryObjective(model).loss(batch, random)
    assert int(count) == int((batch.labels != IGNORED).sum())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5) == float(scalars["nats_per_token"])
    assert int(scalars["accuracy"]) == right
    smoothed, _, scalars = SummaryObjective(model, label_smoothing=0.3).loss(batch, random)
    assert float(smoothed.detach()) == pytest.approx(0.7 * expected + 0.3 * smooth, rel=1e-5)
    assert float(scalars["nats_per_token"]) == pytest.approx(expected, rel=1e-5)
    assert F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="sum").isclose(loss)


def test_long_texts_are_cut_and_counted() -> None:
    made = make_pairs([[5, 6], [5, 6, 7], []], [[8], [8, 9], [8, 9, 10]], 1, 3, 3)
    assert [text.tolist() for text in made.sources] == [[5, 6, 1], [5, 6, 1], [1]]
    assert [text.tolist() for text in made.targets] == [[8, 1], [8, 9, 1], [8, 9, 1]]
    assert (made.cut_sources, made.cut_targets) == (1, 1)


def test_what_cannot_be_meant() -> None:
    with pytest.raises(DataError, match="can't hold the longest pair, of 7"):
        TextBatches(PAIRS, 50, seed=3, pad=PAD, start=START)
    with pytest.raises(DataError, match="no text to train on"):
        TextBatches(TokenPairs([], []), 50, seed=3, pad=PAD, start=START)
    with pytest.raises(ConfigError, match="process 2 of 2"):
        batches(rank=2, world_size=2)
