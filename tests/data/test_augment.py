"""Batched augmentation equals what a plain loop over images and pixels does with the same draws."""

import itertools
from math import exp, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from torch import Tensor

from vitrail.data import Augmentation, augment
from vitrail.data.augment import apply, draw
from vitrail.nn.randomness import RowRandom

sizes = st.tuples(st.integers(1, 7), st.sampled_from([1, 3]), st.integers(1, 11), st.integers(1, 13))


def pixels(b: int, c: int, height: int, width: int) -> Tensor:
    return torch.randint(256, (b, c, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(b))


def rows(b: int, seed: int = 0) -> RowRandom:
    return RowRandom(seed, 3, range(b), b)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 4), st.booleans(), st.integers(0, 9))
def test_crop_and_flip(size: tuple[int, int, int, int], padding: int, flip: bool, seed: int) -> None:
    images = pixels(*size)
    b, _, height, width = size
    config = Augmentation(crop_padding=padding, flip=flip)
    draws = draw(rows(b, seed), config, (height, width))
    expected = torch.zeros(size)
    for i in range(b):
        top, left = (0, 0) if draws.offset is None else draws.offset[i].tolist()
        for y in range(height):
            for x in range(width):
                from_y = y + top - padding
                from_x = (width - 1 - x if draws.flip is not None and draws.flip[i] else x) + left - padding
                if 0 <= from_y < height and 0 <= from_x < width:
                    expected[i, :, y, x] = images[i, :, from_y, from_x]
    got = augment(images, rows(b, seed), config)
    torch.testing.assert_close(got, expected / 255, rtol=0, atol=1e-7)
    assert torch.equal(apply(images, draws, config), expected)


def test_every_crop_and_both_sides_occur() -> None:
    draws = draw(rows(3000), Augmentation(crop_padding=2, flip=True), (7, 5))
    assert draws.offset is not None
    assert draws.flip is not None
    counts = np.unique(draws.offset.numpy(), axis=0, return_counts=True)
    assert len(counts[0]) == 25
    assert counts[1].min() > 80
    assert 0.46 < draws.flip.float().mean() < 0.54


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 8))
def test_cutout(size: tuple[int, int, int, int], side: int) -> None:
    images = pixels(*size)
    b, c, height, width = size
    fill = (0.25, 0.5, 0.75)[:c]
    config = Augmentation(cutout=side)
    centres = draw(rows(b), config, (height, width)).cutout
    assert centres is not None
    expected = images / 255
    for i in range(b):
        y, x = centres[i].tolist()
        assert 0 <= y < height
        assert 0 <= x < width
        top, left = y - side // 2, x - side // 2
        for channel in range(c):
            expected[i, channel, max(top, 0) : top + side, max(left, 0) : left + side] = fill[channel]
    torch.testing.assert_close(augment(images, rows(b), config, fill), expected, rtol=0, atol=1e-7)


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """The value ``[c]`` at a point, pixel centres being at whole numbers; edges go on outside."""
    height, width = image.shape[1:]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = y - top, x - left
    upper = image[:, top, left] * (1 - fx) + image[:, top, right] * fx
    lower = image[:, below, left] * (1 - fx) + image[:, below, right] * fx
    return upper * (1 - fy) + lower * fy


@pytest.mark.parametrize("flip", [False, True])
def test_resized_crop(flip: bool) -> None:
    images = pixels(5, 3, 11, 7)
    config = Augmentation(random_resized_crop=(0.2, 0.9), flip=flip)
    draws = draw(rows(5), config, (11, 7))
    assert draws.box is not None
    got = apply(images, draws, config)
    for i in range(5):
        cy, cx, h, w = draws.box[i].tolist()
        for y in range(11):
            for x in range(7):
                across = 6 - x if draws.flip is not None and draws.flip[i] else x
                at_y = (cy - h / 2) * 11 + (y + 0.5) * h - 0.5
                at_x = (cx - w / 2) * 7 + (across + 0.5) * w - 0.5
                # Rounded to whole values: a tie may fall either way.
                assert (got[i, :, y, x] - bilinear(images[i].float(), at_y, at_x)).abs().max() < 0.502
    assert torch.equal(got, got.round())


def test_boxes_have_the_area_and_proportions_asked_for() -> None:
    box = draw(rows(2000), Augmentation(random_resized_crop=(0.2, 0.6)), (20, 30)).box
    assert box is not None
    cy, cx, h, w = box.double().unbind(1)
    assert (cy - h / 2).min() > -1e-6
    assert (cx + w / 2).max() < 1 + 1e-6
    whole = (h < 1) & (w < 1)
    area, ratio = (h * w)[whole], (w * 30 / (h * 20))[whole]
    assert 0.2 - 1e-6 < area.min() < 0.205
    assert 0.59 < area.max() < 0.6 + 1e-6
    assert 0.75 - 1e-6 < ratio.min() < 0.76
    assert 1.32 < ratio.max() < 4 / 3 + 1e-6
    assert abs(sqrt(exp(ratio.log().mean() * 2)) - 1) < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_against_pillow(channels: int) -> None:
    # Values in the middle, so that Pillow's cutting off after each step changes nothing; its rounding does.
    images = pixels(5, channels, 11, 7) // 4 + 96
    config = Augmentation(color=0.2)
    draws = draw(rows(5), config, (11, 7))
    assert draws.color is not None
    got = apply(images, draws, config)
    for i in range(5):
        image = Image.fromarray(images[i].permute(1, 2, 0).numpy().squeeze())
        kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for kind, factor in zip(kinds, draws.color[i].tolist(), strict=True):
            if kind is not ImageEnhance.Color or channels == 3:
                image = kind(image).enhance(factor)
        expected = torch.from_numpy(np.array(image)).reshape(11, 7, channels).permute(2, 0, 1)
        assert (got[i] - expected).abs().max() < 4
    assert (draws.color.min() >= 0.8) & (draws.color.max() <= 1.2)


def test_colour_is_cut_off_at_black_and_white() -> None:
    images = torch.cat([pixels(5, 3, 4, 4), torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)])
    got = augment(images, rows(7), Augmentation(color=3.0))
    assert got.min() >= 0
    assert got.max() <= 1


EVERYTHING = (
    Augmentation(),
    Augmentation(crop_padding=2, flip=True, color=0.4, cutout=3),
    Augmentation(random_resized_crop=(0.2, 1.0), flip=True, color=0.4, cutout=3),
)


@pytest.mark.parametrize("config", EVERYTHING)
def test_an_image_does_not_know_its_batch(config: Augmentation) -> None:
    images = pixels(23, 3, 17, 13)
    whole = augment(images, rows(23), config)
    for cuts in ((0, 23), (0, 1, 2, 5, 22, 23), tuple(range(24))):
        parts = [
            augment(images[start:stop], RowRandom(0, 3, range(start, stop), 23), config)
            for start, stop in itertools.pairwise(cuts)
        ]
        assert torch.equal(torch.cat(parts), whole)


def test_nothing_is_done_by_default() -> None:
    images = pixels(3, 3, 5, 7)
    assert torch.equal(augment(images, rows(3), Augmentation()), images / 255)
