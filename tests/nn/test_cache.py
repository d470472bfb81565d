"""Step by step with a cache is the same as all at once, whatever is added, kept or left out meanwhile."""

import torch
from torch import Tensor

from vitrail.nn.attention import MultiHeadAttention
from vitrail.nn.blocks import BlockConfig, DecoderBlock
from vitrail.nn.cache import GrowingKeyValues, KeyValues


def random(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_positions_one_by_one_and_in_pieces() -> None:
    torch.manual_seed(5)
    module, x = MultiHeadAttention(21, 3), random(2, 13, 21)
    whole = module(x, causal=True)
    for sizes in ([1] * 13, [5, 1, 7], [13]):
        cache = GrowingKeyValues()
        parts = [module(piece, causal=True, cache=cache) for piece in x.split(sizes, dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-6, rtol=1e-5)
        assert cache.length == 13


def test_growing_beyond_its_first_room_keeps_what_is_there() -> None:
    cache, all_keys = GrowingKeyValues(), random(2, 3, 151, 7)
    earlier = []
    for start in range(0, 151, 11):
        piece = all_keys[:, :, start : start + 11]
        held = cache.append(piece, -piece)
        earlier.append(held)
        assert torch.equal(held.keys, all_keys[:, :, : start + 11])
        assert torch.equal(held.values, -held.keys)
    assert torch.equal(earlier[2].keys, all_keys[:, :, :33])


def test_a_step_copies_no_earlier_position() -> None:
    cache = GrowingKeyValues()
    places = {
        cache.append(random(1, 1, 1, 2), random(1, 1, 1, 2)).keys.data_ptr() for _ in range(GrowingKeyValues.FIRST)
    }
    assert len(places) == 1


def test_examples_that_are_done_can_be_left_out() -> None:
    torch.manual_seed(5)
    module, x = MultiHeadAttention(21, 3), random(5, 4, 21)
    rows = torch.tensor([3, 0])
    cache = GrowingKeyValues()
    cache.take(rows)  # nothing is there yet
    module(x[:, :3], causal=True, cache=cache)
    cache.take(rows)
    torch.testing.assert_close(
        module(x[rows, 3:], causal=True, cache=cache), module(x, causal=True)[rows, 3:], atol=1e-6, rtol=1e-5
    )
    keys = KeyValues(random(5, 3, 2, 7), random(5, 3, 2, 7, seed=4)).take(rows)
    assert torch.equal(keys.values[0], random(5, 3, 2, 7, seed=4)[3])


def test_a_block_with_a_projected_memory_and_a_cache() -> None:
    torch.manual_seed(5)
    block = DecoderBlock(BlockConfig(21, 3, 29), memory_dim=11)
    x, memory = random(2, 5, 21), random(2, 7, 11, seed=4)
    seen = torch.arange(7)[None, None, None] < torch.tensor([7, 4])[:, None, None, None]
    whole = block(x, memory, causal=True, memory_mask=seen)
    projected, cache = block.cross_attention.project(memory), GrowingKeyValues()
    steps = [block(x[:, [i]], projected, causal=True, memory_mask=seen, cache=cache) for i in range(5)]
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-6, rtol=1e-5)


def test_a_layout_for_few_queries_holds_the_same_numbers() -> None:
    plain = KeyValues(random(5, 11, 3, 7).transpose(1, 2), random(5, 11, 3, 7, seed=5).transpose(1, 2))
    laid = plain.for_few_queries()
    assert laid.laid_out
    assert not plain.laid_out
    rows = torch.tensor([3, 0])
    taken = laid.take(rows)
    assert taken.laid_out
    for found, expected in ((laid, plain), (taken, plain.take(rows))):
        assert torch.equal(found.keys, expected.keys)
        assert torch.equal(found.values, expected.values)
    torch.manual_seed(5)
    module, x, memory = MultiHeadAttention(21, 3, memory_dim=13), random(2, 5, 21), random(2, 11, 13)
    mask = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    mask[1, ..., 7:] = False
    with torch.no_grad():
        projected = module.project(memory)
        expected_output = module(x, projected, mask=mask)
        torch.testing.assert_close(module(x, projected.for_few_queries(), mask=mask), expected_output)
