"""Passages of a stream: every token asked for, nothing twice, the same for any number of processes and any resume."""

from itertools import islice

import numpy as np
import pytest
import torch

from vitrail.errors import ConfigError, DataError
from vitrail.text.batches import IGNORED
from vitrail.text.passages import PassageBatch, PassageBatches, cut, make_stream, windows

STREAM = np.arange(211, dtype=np.int32)


def batches(**changes: object) -> PassageBatches:
    options: dict[str, object] = {"seed": 3, **changes}
    return PassageBatches(STREAM, 7, 38, **options)  # type: ignore[arg-type]


def test_texts_in_a_row() -> None:
    assert make_stream([[5, 6], [], [7]], 1).tolist() == [1, 5, 6, 1, 1, 7, 1]
    assert make_stream([], 1).tolist() == [1]


def test_an_epoch_asks_for_each_token_of_its_passages_once() -> None:
    made = batches()
    assert (made.passages, made.steps_per_epoch) == (29, 6)
    steps = [batch for (batch,) in islice(made, 18)]
    first_tokens = set()
    for epoch in range(3):
        rows = steps[6 * epoch : 6 * epoch + 6]
        assert sorted(len(batch.tokens) for batch in rows) == [4, 5, 5, 5, 5, 5]
        tokens = torch.cat([batch.tokens for batch in rows])
        assert torch.equal(torch.cat([batch.following for batch in rows]), tokens + 1)
        assert torch.equal(tokens[:, :1] + torch.arange(7), tokens)
        assert torch.equal(torch.cat([batch.indices for batch in rows]), tokens[:, 0])
        seen = tokens.flatten().sort().values
        assert torch.equal(seen, torch.arange(int(seen[0]), int(seen[0]) + 203))
        assert int(seen[0]) < 7
        first_tokens.add(int(seen[0]))
    assert len(first_tokens) > 1, "each epoch is cut elsewhere"
    assert not torch.equal(steps[0].tokens - steps[0].tokens.min(), steps[6].tokens - steps[6].tokens.min())


def test_goes_on_where_it_stopped_across_epochs() -> None:
    whole = [batch.tokens.tolist() for (batch,) in islice(batches(), 20)]
    for stopped in (0, 5, 6, 13):
        again = batches()
        again.load_state_dict({"step": stopped})
        assert [batch.tokens.tolist() for (batch,) in islice(again, 20 - stopped)] == whole[stopped:]
        assert again.state_dict() == {"step": 20}


@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (1, 3), (2, 2), (7, 1)])
def test_any_split_sees_the_same_batch(processes: int, parts: int) -> None:
    def at(step: int, rank: int = 0, world_size: int = 1, micro_batches: int = 1) -> list[PassageBatch]:
        made = batches(rank=rank, world_size=world_size, micro_batches=micro_batches)
        return next(islice(made, step, None))

    for step in (0, 9):
        (alone,) = at(step)
        split = [batch for rank in range(processes) for batch in at(step, rank, processes, parts)]
        assert torch.equal(torch.cat([batch.tokens for batch in split]), alone.tokens)
        assert [row for batch in split for row in batch.rows] == list(alone.rows)
        assert {batch.total for batch in split} == {len(alone.tokens)}


@pytest.mark.parametrize(("length", "overlap"), [(7, 0), (7, 3), (210, 100), (500, 3), (2, 1), (209, 0)])
def test_windows_ask_for_each_token_once_and_in_order(length: int, overlap: int) -> None:
    asked: list[int] = []
    for batch in windows(STREAM, length, overlap, rows=5):
        assert batch.tokens.shape[1] == min(length, 210)
        assert len(batch.tokens) <= 5
        wanted = batch.following != IGNORED
        assert torch.equal(batch.following[wanted], batch.tokens[wanted] + 1)
        asked += batch.following[wanted].tolist()
        for row, first in zip(wanted, batch.tokens[:, 0].tolist(), strict=True):
            if first:
                assert int(row.int().argmax()) >= overlap, "what is asked for has seen as many tokens"
    assert asked == list(range(1, 211))


def test_at_the_end_of_the_stream_nothing_follows() -> None:
    batch = cut(STREAM, np.array([204, 3]), 7)
    assert batch.following.tolist() == [[*range(205, 211), IGNORED], [*range(4, 11)]]


def test_what_cannot_be_meant() -> None:
    with pytest.raises(ConfigError, match="a batch of 6 tokens can't hold a passage of 7"):
        PassageBatches(STREAM, 7, 6, seed=3)
    with pytest.raises(DataError, match="the texts have 12 tokens, and passages of 7 need 14"):
        PassageBatches(STREAM[:13], 7, 38, seed=3)
    with pytest.raises(ConfigError, match="process 2 of 2"):
        batches(rank=2, world_size=2)
    assert PassageBatches(STREAM[:14], 7, 38, seed=3).passages == 1
