"""Masks: counts to the patch, 1 = hidden, orders that can be undone, shapes that are what they are called."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.vision.masking import Masking, mask_scores, random_masking, split, take, visible_count

B, D = 17, 5
GRID = (7, 11)
N = GRID[0] * GRID[1]
KINDS: tuple[Masking, ...] = ("random", "block", "grid")


def noise(seed: int = 0, batch: int = B, patches: int = N) -> Tensor:
    return torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("keep", [1, 19, N - 1, N])
def test_random_masking_is_the_naive_loop(keep: int) -> None:
    tokens, chance = torch.randn(B, N, D), noise()
    kept, mask, ids_restore = random_masking(tokens, keep, chance)
    assert kept.shape == (B, keep, D)
    for example in range(B):
        order = sorted(range(N), key=lambda place: float(chance[example, place]))
        for position, place in enumerate(order[:keep]):
            assert torch.equal(kept[example, position], tokens[example, place])
        for place in range(N):
            assert mask[example, place] == (order.index(place) >= keep)
            assert ids_restore[example, place] == order.index(place)


def test_ids_restore_puts_a_shuffled_sequence_back() -> None:
    tokens, chance = torch.randn(B, N, D), noise()
    everything, _, ids_restore = random_masking(tokens, N, chance)
    assert not torch.equal(everything, tokens)
    assert torch.equal(take(everything, ids_restore), tokens)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [1, 19, 40, N - 1])
def test_every_kind_hides_exactly_as_many_and_splits_without_rest(kind: Masking, keep: int) -> None:
    visible, hidden, mask, ids_restore = split(mask_scores(kind, noise(), GRID), keep)
    assert (mask.sum(1) == N - keep).all()
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (take(mask[..., None], visible) == 0).all()
    assert (take(mask[..., None], hidden) == 1).all()
    shuffled = torch.cat([visible, hidden], dim=1)
    assert torch.equal(shuffled.sort(1).values, torch.arange(N).expand(B, N))
    assert torch.equal(shuffled.gather(1, ids_restore), torch.arange(N).expand(B, N))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    ratio=st.floats(0.05, 0.95),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 99),
)
def test_any_grid_and_ratio(rows: int, columns: int, ratio: float, kind: Masking, seed: int) -> None:
    patches = rows * columns
    try:
        keep = visible_count(patches, ratio)
    except ConfigError:
        assert patches * (1 - ratio) < 1
        return
    _, _, mask, _ = split(mask_scores(kind, noise(seed, 3, patches), (rows, columns)), keep)
    assert (mask.sum(1) == patches - keep).all()


def test_random_masks_are_uniform() -> None:
    _, _, mask, _ = split(noise(batch=4001), 19)
    # The share of examples in which a patch is hidden: 4001 draws have a standard error below 0.007.
    assert (mask.mean(0) - (N - 19) / N).abs().max() < 0.035


def boxes(mask: Tensor) -> list[tuple[int, int, int, int]]:
    """Top, bottom, left and right of what is hidden in each example."""
    found = []
    for picture in mask.reshape(-1, *GRID):
        y, x = picture.nonzero().unbind(1)
        found.append((int(y.min()), int(y.max()), int(x.min()), int(x.max())))
    return found


@pytest.mark.parametrize("hidden", [9, 20, 38])
def test_a_block_is_a_square_around_a_centre_clipped_at_the_border(hidden: int) -> None:
    chance = noise()
    _, _, mask, _ = split(mask_scores("block", chance, GRID), N - hidden)
    for example, picture in enumerate(mask.reshape(-1, *GRID)):
        centre = divmod(int(chance[example].argmin()), GRID[1])
        rings = [
            max(abs(row - centre[0]), abs(column - centre[1])) for row in range(GRID[0]) for column in range(GRID[1])
        ]
        ring = torch.tensor(rings).reshape(GRID)
        outermost = int(ring[picture == 1].max())
        # All rings inside the outermost one are full, and nothing beyond it is hidden.
        assert (picture[ring < outermost] == 1).all()
        assert (picture[ring > outermost] == 0).all()


def test_blocks_are_everywhere() -> None:
    _, _, mask, _ = split(mask_scores("block", noise(batch=401), GRID), N - 9)
    tops, bottoms, lefts, rights = zip(*boxes(mask), strict=True)
    assert min(tops) == 0
    assert max(bottoms) == GRID[0] - 1
    assert min(lefts) == 0
    assert max(rights) == GRID[1] - 1


def test_a_grid_keeps_a_lattice_with_every_offset() -> None:
    """On an even grid a quarter of the patches is one lattice."""
    grid = (6, 10)
    offsets = set()
    _, _, mask, _ = split(mask_scores("grid", noise(patches=60, batch=101), grid), 15)
    for picture in mask.reshape(-1, *grid):
        y, x = (picture == 0).nonzero().unbind(1)
        assert len(set((y % 2).tolist())) == len(set((x % 2).tolist())) == 1
        offsets.add((int(y[0] % 2), int(x[0] % 2)))
    assert offsets == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    ("patches", "ratio", "keep"),
    [(196, 0.75, 49), (64, 0.75, 16), (10, 0.9, 1), (49, 0.7, 14), (10, 0.25, 7), (7, 0.5, 3)],
)
def test_visible_count(patches: int, ratio: float, keep: int) -> None:
    """int(N(1 - r)), without the accidents of binary fractions: 0.9 of 10 patches leaves 1, not int(0.9999…) = 0."""
    assert visible_count(patches, ratio) == keep


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 75.0, float("nan")])
def test_ratios_that_hide_nothing_or_everything_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match=r"hides nothing or everything; choose one between 0 and 1, as 0\.75"):
        visible_count(64, ratio)


def test_a_ratio_that_leaves_nothing_visible_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"a mask ratio of 0\.9 leaves none of 4 patches visible; choose a smaller one"
    ):
        visible_count(4, 0.9)


@pytest.mark.parametrize("keep", [0, -1, N + 1])
def test_keeping_none_or_more_than_all_is_refused(keep: int) -> None:
    with pytest.raises(ConfigError, match=f"can't keep {keep} of {N} tokens; keep at least 1 and at most all of them"):
        random_masking(torch.randn(B, N, D), keep, noise())
