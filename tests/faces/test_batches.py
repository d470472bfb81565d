"""Batches of identities: what is in them, that nothing but seed and step decides it, and that no split changes it."""

import itertools

import numpy as np
import pytest
import torch

from vitrail.data import Augmentation, ImageBatch, ImageSet
from vitrail.errors import ConfigError, DataError
from vitrail.faces.batches import IdentitySampler, identity_batches

COUNTS = [1, 7, 3, 1, 2, 11, 0, 5, 1, 4, 1, 1, 2]
"""Images of each identity."""
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(len(COUNTS)), COUNTS))


def taken(sampler: IdentitySampler, steps: int) -> list[list[int]]:
    return [sampler(step).tolist() for step in range(steps)]


@pytest.mark.parametrize(("size", "each", "extra"), [(13, 3, 0), (17, 3, 5), (11, 5, 1), (23, 11, 0), (8, 2, 3)])
def test_some_of_each_of_a_few_and_others_besides(size: int, each: int, extra: int) -> None:
    for rows in taken(IdentitySampler(LABELS, size, each=each, extra=extra, seed=1), 50):
        assert len(rows) == len(set(rows)) == size, "no image twice"
        labels = LABELS[rows].tolist()
        room, whole = size - extra, []
        while room >= 2:
            label = labels[size - extra - room]
            count = min(each, COUNTS[label], room)
            assert count >= 2
            assert labels[size - extra - room :][:count] == [label] * count
            assert label not in whole
            whole.append(label)
            room -= count
        assert len(whole) >= 2
        others = labels[size - extra - room :]
        strangers = sum(count for label, count in enumerate(COUNTS) if label not in whole)
        assert sum(label in whole for label in others) == max(0, len(others) - strangers)


def test_where_identities_run_out_all_images_come() -> None:
    labels = np.repeat([0, 1, 2], [3, 2, 1])
    assert sorted(IdentitySampler(labels, 6, each=2, seed=1)(0).tolist()) == list(range(6))
    assert sorted(IdentitySampler(labels, 5, each=2, seed=1)(0).tolist())[:1] in ([0], [1])


def test_seed_and_step_decide() -> None:
    sampler = IdentitySampler(LABELS, 13, each=3, extra=2, seed=1)
    first = taken(sampler, 20)
    assert taken(IdentitySampler(LABELS, 13, each=3, extra=2, seed=1), 20) == first
    assert [sampler(step).tolist() for step in reversed(range(20))] == first[::-1], "whatever was asked before"
    assert len({tuple(rows) for rows in first}) == 20
    assert taken(IdentitySampler(LABELS, 13, each=3, extra=2, seed=2), 20) != first


@pytest.mark.parametrize("draw", ["identities", "images"])
def test_who_comes_how_often(draw: str) -> None:
    sampler = IdentitySampler(LABELS, 9, each=4, seed=3, draw=draw)  # type: ignore[arg-type]
    first = np.bincount([LABELS[sampler(step)[0]] for step in range(3000)], minlength=len(COUNTS)) / 3000
    gives = np.where(np.array(COUNTS) >= 2, np.minimum(COUNTS, 4) if draw == "images" else 1, 0)
    np.testing.assert_allclose(first, gives / gives.sum(), atol=0.03)


def test_every_image_comes_at_last() -> None:
    sampler = IdentitySampler(LABELS, 13, each=3, extra=4, seed=1)
    assert {row for step in range(200) for row in sampler(step).tolist()} == set(range(len(LABELS)))


def small(labels: np.ndarray | None = LABELS) -> ImageSet:
    rng = np.random.default_rng(3)
    return ImageSet(
        name="made",
        split="train",
        pixels=rng.integers(0, 256, (len(LABELS), 3, 7, 5), dtype=np.uint8),
        labels=labels,
        classes=() if labels is None else tuple(map(str, range(1 + labels.max()))),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.25),
        fingerprint="0",
        skipped=(),
        identities=True,
    )


def some(count: int, **options: object) -> list[ImageBatch]:
    batches = identity_batches(small(), 13, each=3, extra=2, seed=1, **options)  # type: ignore[arg-type]
    iterator = iter(batches)
    found = [batch for (batch,) in itertools.islice(iterator, count)]
    iterator.close()  # type: ignore[attr-defined]
    return found


def test_batches_hold_the_sampler_s_rows() -> None:
    sampler = IdentitySampler(LABELS, 13, each=3, extra=2, seed=1)
    for step, batch in enumerate(some(5)):
        assert batch.indices.tolist() == sampler(step).tolist()
        assert batch.labels is not None
        assert batch.labels.tolist() == LABELS[batch.indices].tolist()


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_one_global_batch_to_the_bit(world: int) -> None:
    """Also augmented: each row's draws are its own."""
    augmentation = Augmentation(random_resized_crop=(0.5, 1.0), flip=True, color=0.3)
    whole = some(4, augmentation=augmentation)
    ranks = [some(4, augmentation=augmentation, rank=rank, world_size=world) for rank in range(world)]
    for step, batch in enumerate(whole):
        parts = [rank[step] for rank in ranks]
        assert [row for part in parts for row in part.rows] == list(range(13))
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part.indices for part in parts]), batch.indices)


def test_going_on_after_an_interruption() -> None:
    batches = identity_batches(small(), 13, each=3, seed=1)
    iterator = iter(batches)
    first = [batch for (batch,) in itertools.islice(iterator, 7)]
    iterator.close()  # type: ignore[attr-defined]
    assert batches.state_dict() == {"step": 7}
    again = identity_batches(small(), 13, each=3, seed=1)
    again.load_state_dict({"step": 4})
    iterator = iter(again)
    assert torch.equal(next(iterator)[0].images, first[4].images)
    iterator.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("size", "each", "extra"), [(13, 1, 0), (13, 7, 0), (13, 3, 8), (9, 3, -1)])
def test_numbers_that_cannot_be_meant(size: int, each: int, extra: int) -> None:
    with pytest.raises(ConfigError, match=r"a batch of .* leave room for two identities\."):
        IdentitySampler(LABELS, size, each=each, extra=extra)


def test_sets_that_cannot_be_meant() -> None:
    with pytest.raises(DataError, match="has no labels, and identities are told by them"):
        identity_batches(small(None), 13, each=3, seed=1)
    with pytest.raises(DataError, match="one of them with two images"):
        identity_batches(small(np.arange(len(LABELS))), 13, each=3, seed=1)
    with pytest.raises(DataError, match="A batch of 99 is larger than made"):
        identity_batches(small(), 99, each=3, seed=1)
    with pytest.raises(ConfigError, match="mixup and cutmix make images of two identities"):
        identity_batches(small(), 13, each=3, seed=1, augmentation=Augmentation(mixup=0.2))


def test_an_identity_with_enough_images_gives_as_many_as_asked() -> None:
    labels = np.repeat(np.arange(10), 24)
    rows = IdentitySampler(labels, 60, each=12, seed=0)(0).numpy()
    assert sorted(np.bincount(labels[rows], minlength=10).tolist()) == [0] * 5 + [12] * 5
