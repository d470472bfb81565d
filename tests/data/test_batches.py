"""Batches depend on the seed and the step alone: not on processes, micro-batches, threads or interruptions."""

import dataclasses
import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from data_pictures import image_set

from vitrail.data import Augmentation, ImageBatch, ImageBatches, denormalise, in_order, normalise
from vitrail.data.batches import ImageBatches as Batches
from vitrail.data.mixing import draw_mixing, mix
from vitrail.nn.randomness import RowRandom

EVERYTHING = Augmentation(crop_padding=2, flip=True, color=0.3, cutout=2, mixup=0.4, cutmix=1.0)
RESIZED = Augmentation(random_resized_crop=(0.3, 1.0), flip=True, color=0.3, cutmix=1.0)


def steps(batches: ImageBatches, count: int) -> list[list[ImageBatch]]:
    iterator = iter(batches)
    taken = list(itertools.islice(iterator, count))
    iterator.close()  # type: ignore[attr-defined]
    return taken


def joined(parts: list[ImageBatch]) -> dict[str, torch.Tensor]:
    """The global batch that these parts make."""
    whole = {"images": torch.cat([part.images for part in parts]), "indices": torch.cat([p.indices for p in parts])}
    if parts[0].labels is not None:
        whole["labels"] = torch.cat([part.labels for part in parts if part.labels is not None])
    if parts[0].mixed is not None:
        whole["labels_b"] = torch.cat([part.mixed[0] for part in parts if part.mixed])
        whole["weight"] = torch.cat([part.mixed[1] for part in parts if part.mixed])
    return whole


def test_an_epoch_is_every_image_once() -> None:
    images = image_set(41)
    batches = ImageBatches(images, 13, seed=1)
    assert batches.steps_per_epoch == 3
    epochs = [torch.cat([part.indices for step in steps(batches, 3) for part in step]) for _ in range(2)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 39
    assert not torch.equal(*epochs)
    assert set(torch.cat(epochs).tolist()) > set(epochs[0].tolist())
    other = torch.cat([part.indices for step in steps(ImageBatches(images, 13, seed=2), 3) for part in step])
    assert not torch.equal(other, epochs[0])


def test_plain_batches_are_normalised_pixels_and_labels() -> None:
    images = image_set()
    for step in steps(ImageBatches(images, 7, seed=1), 6):
        (batch,) = step
        expected = images.pixels[batch.indices.numpy()] / 255 - np.reshape(images.mean, (3, 1, 1))
        np.testing.assert_allclose(batch.images, expected / np.reshape(images.std, (3, 1, 1)), rtol=1e-4, atol=1e-5)
        assert images.labels is not None
        assert batch.labels is not None
        assert batch.labels.tolist() == images.labels[batch.indices.numpy()].tolist()
        assert (batch.rows, batch.total, batch.mixed) == (range(7), 7, None)
        assert batch.images.dtype == torch.float32


def test_without_shuffling_the_sets_own_order() -> None:
    indices = [part.indices.tolist() for (part,) in steps(ImageBatches(image_set(11), 5, seed=1, shuffle=False), 3)]
    assert indices == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("config", [Augmentation(), EVERYTHING, RESIZED])
@pytest.mark.parametrize(("world", "micro"), [(1, 1), (1, 3), (3, 1), (2, 5), (13, 1)])
def test_every_split_makes_the_same_global_batch_to_the_bit(config: Augmentation, world: int, micro: int) -> None:
    images = image_set()
    whole = steps(ImageBatches(images, 13, seed=1, augmentation=config), 4)
    ranks = [
        steps(
            ImageBatches(images, 13, seed=1, augmentation=config, micro_batches=micro, rank=rank, world_size=world),
            4,
        )
        for rank in range(world)
    ]
    for step in range(4):
        parts = [part for rank in ranks for part in rank[step]]
        assert len(parts) == world * micro
        assert [row for part in parts for row in part.rows] == list(range(13))
        one, many = joined(whole[step]), joined(parts)
        assert one.keys() == many.keys()
        for name in one:
            assert torch.equal(one[name], many[name]), name


def test_going_on_after_an_interruption() -> None:
    images = image_set()
    uninterrupted = steps(ImageBatches(images, 7, seed=1, augmentation=EVERYTHING), 12)
    first = ImageBatches(images, 7, seed=1, augmentation=EVERYTHING)
    assert first.state_dict() == {"step": 0}
    steps(first, 5)
    assert first.state_dict() == {"step": 5}
    second = ImageBatches(images, 7, seed=1, augmentation=EVERYTHING)
    second.load_state_dict(first.state_dict())
    for one, other in zip(uninterrupted[5:], steps(second, 7), strict=True):
        assert torch.equal(one[0].images, other[0].images)
        assert torch.equal(one[0].indices, other[0].indices)


def test_mixing_equals_a_loop() -> None:
    own, other = (torch.rand(50, 3, 11, 7, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    mixing = draw_mixing(RowRandom(1, 2, range(50), 50), EVERYTHING, (11, 7))
    got = mix(own, other[mixing.partner], mixing)
    assert 10 < mixing.pasted.sum() < 40
    for i in range(50):
        weight, partner = mixing.weight[i].item(), other[mixing.partner[i]]
        if mixing.pasted[i]:
            top, bottom, left, right = mixing.box[i].tolist()
            expected = own[i].clone()
            expected[:, top:bottom, left:right] = partner[:, top:bottom, left:right]
            assert weight == pytest.approx(1 - (bottom - top) * (right - left) / 77, abs=1e-6)
        else:
            expected = weight * own[i] + (1 - weight) * partner
        torch.testing.assert_close(got[i], expected)


def test_weights_follow_beta() -> None:
    from scipy.stats import beta, kstest

    config = Augmentation(mixup=0.3)
    weight = draw_mixing(RowRandom(1, 2, range(4000), 4000), config, (8, 8)).weight
    assert kstest(weight.numpy(), beta(0.3, 0.3).cdf).pvalue > 1e-3
    pasted = draw_mixing(RowRandom(1, 2, range(4000), 4000), Augmentation(cutmix=1.0), (64, 64))
    assert pasted.pasted.all()
    # Uniform areas, less what sticks out over the edge.
    assert 0.5 < pasted.weight.mean() < 0.7
    assert pasted.weight.min() >= 0
    assert pasted.weight.max() <= 1


def test_partners_labels() -> None:
    images = image_set()
    for (batch,) in steps(ImageBatches(images, 13, seed=1, augmentation=Augmentation(mixup=1.0)), 3):
        assert batch.mixed is not None
        labels_b, weight = batch.mixed
        plain = normalise(torch.from_numpy(images.pixels[batch.indices.numpy()]), images.mean, images.std)
        assert images.labels is not None
        labels = torch.from_numpy(images.labels)[batch.indices]
        # The partner can be told from the pixels: the row that explains what the own image doesn't.
        for row in range(13):
            others = weight[row] * plain[row] + (1 - weight[row]) * plain
            partner = (others - batch.images[row]).flatten(1).abs().amax(1).argmin()
            assert labels_b[row] == labels[partner]


def test_without_labels() -> None:
    bare = dataclasses.replace(image_set(), labels=None, classes=())
    for batches in (
        ImageBatches(bare, 7, seed=1, augmentation=EVERYTHING),
        ImageBatches(image_set(), 7, seed=1, augmentation=EVERYTHING, labels=False),
    ):
        ((batch,),) = steps(batches, 1)
        assert batch.labels is None
        assert batch.mixed is None


def test_in_order_is_everything_once() -> None:
    images = image_set()
    batches = list(in_order(images, 7))
    assert [len(batch.indices) for batch in batches] == [7] * 5 + [6]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(41))
    assert [row for batch in batches for row in batch.rows] == list(range(41))
    back = torch.cat([denormalise(batch.images, images.mean, images.std) for batch in batches])
    assert np.array_equal(back.numpy(), images.pixels)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vitrail-ahead")]


def test_the_thread_ends_with_the_loop() -> None:
    batches = ImageBatches(image_set(), 7, seed=1)
    iterator = iter(batches)
    next(iterator)
    assert threads()
    del iterator
    assert not threads()

    def interrupted() -> None:
        for _ in batches:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not threads()


def test_only_that_thread_works_without_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "_prepare", lambda _self, _step: torch.get_num_threads())
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        iterator = iter(ImageBatches(image_set(), 7, seed=1))
        assert next(iterator) == 1  # type: ignore[comparison-overlap]
        del iterator
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_an_error_in_the_thread_reaches_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Batches._prepare

    def failing(self: Batches, step: int) -> list[ImageBatch]:
        if step == 2:
            raise OSError("the disk is gone")
        return prepare(self, step)

    monkeypatch.setattr(Batches, "_prepare", failing)
    batches = ImageBatches(image_set(), 7, seed=1)
    with pytest.raises(OSError, match="the disk is gone"):
        for _ in batches:
            pass
    assert batches.state_dict() == {"step": 2}
    assert not threads()


@pytest.mark.parametrize(("end", "code"), [("", 0), ("raise SystemExit(3)", 3), ("raise ValueError", 1)])
def test_the_interpreter_ends_while_batches_are_made(cache: Path, end: str, code: int) -> None:
    program = (
        "from vitrail.data import *\n"
        "batches = iter(ImageBatches(load_images('digits'), 100, seed=1, augmentation=Augmentation(crop_padding=1)))\n"
        f"next(batches)\n{end}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "ignored" not in done.stderr
    assert done.stderr == "" or end == "raise ValueError"


def test_a_set_larger_than_memory(tmp_path: Path) -> None:
    """Four terabytes, a file of one hole: no more is read than a batch."""
    shape = (1_333_333, 3, 1000, 1000)
    with (tmp_path / "pixels.u8").open("wb") as file:
        file.truncate(int(np.prod(shape, dtype=np.int64)))
    pixels = np.memmap(tmp_path / "pixels.u8", np.uint8, "r", shape=shape)
    images = dataclasses.replace(image_set(), pixels=pixels, labels=None, classes=())
    ((batch,),) = steps(ImageBatches(images, 5, seed=1, augmentation=Augmentation(flip=True)), 1)
    assert batch.images.shape == (5, 3, 1000, 1000)
    assert batch.indices.max() > 500_000
    assert len(next(in_order(images, 3)).indices) == 3
