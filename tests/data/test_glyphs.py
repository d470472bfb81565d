"""The characters: who they are, that no two look alike, and that they are drawn as they should be, always the same."""

import hashlib
import unicodedata

import numpy as np
import pytest
from scipy import ndimage

from vitrail.data import load_images
from vitrail.data.glyphs import CHARACTERS, EACH, FONTS, SIZE, draw, fonts_with, glyphs, identities

ALIKE = 0.97


def test_every_character_is_a_letter_or_digit_of_twelve_fonts() -> None:
    assert len(CHARACTERS) == len(set(CHARACTERS)) == 480
    for character in CHARACTERS:
        assert unicodedata.category(character) in ("Lu", "Ll", "Lo", "Nd")
        assert not unicodedata.decomposition(character)
        assert len(fonts_with(character)) >= 12, character
    assert fonts_with("A") == FONTS


def upright(characters: str) -> np.ndarray:
    """Every character in every font, ``[fonts characters pixels]``, unit vectors; zeros where the font lacks it."""
    pixels = np.zeros((len(FONTS), len(characters), SIZE**2), np.float32)
    for row, character in enumerate(characters):
        for font in fonts_with(character):
            pixels[FONTS.index(font), row] = draw(character, font).reshape(-1)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=2, keepdims=True), 1e-9)


def test_no_two_characters_look_alike_in_any_font() -> None:
    pixels = upright(CHARACTERS)
    assert (np.linalg.norm(pixels, axis=2) > 0).sum() == sum(len(fonts_with(character)) for character in CHARACTERS)
    alike = (pixels @ pixels.transpose(0, 2, 1)).max(0)
    np.fill_diagonal(alike, 0)
    worst = np.unravel_index(alike.argmax(), alike.shape)
    assert alike.max() < ALIKE, [CHARACTERS[row] for row in worst]
    for pair in ("A\u0391", "A\u0410", "Il", "p\u0440"):  # the same measure finds what was left out
        assert pair[1] not in CHARACTERS
        one, other = upright(pair).transpose(1, 0, 2)
        assert (one * other).sum(1).max() >= ALIKE, pair


def test_identities_of_train_and_test_are_disjoint_and_all() -> None:
    train, test = identities("train"), identities("test")
    assert (len(train), len(test)) == (330, 150)
    assert sorted(train + test) == list(range(480))


def test_pictures_are_the_same_every_time() -> None:
    (images, labels), (again, _) = (map(np.stack, zip(*glyphs("test"), strict=True)) for _ in range(2))
    assert images.shape == (150 * EACH, SIZE, SIZE)
    assert images.dtype == np.uint8
    assert labels.tolist() == np.repeat(identities("test"), EACH).tolist()
    assert np.array_equal(images, again)
    assert len({hashlib.md5(image.tobytes()).digest() for image in images}) == len(images), "no picture twice"
    assert images.max((1, 2)).min() > 50, "none is blank"
    edges = np.stack([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]).max((0, 2))
    assert (edges > 127).mean() < 0.02, "characters stay inside"


def mean_place(picture: np.ndarray) -> tuple[float, float]:
    row, column = ndimage.center_of_mass(picture.astype(float))
    return float(column), float(row)


def test_draw_turns_scales_moves_and_blurs() -> None:
    plain = draw("H", "DejaVuSans")
    assert mean_place(plain) == pytest.approx((15.5, 15.5), abs=0.6)
    x, y = mean_place(draw("H", "DejaVuSans", place=(2.0, -1.0)))
    assert (x - mean_place(plain)[0], y - mean_place(plain)[1]) == pytest.approx((2, -1), abs=0.1)
    turned = draw("H", "DejaVuSans", turn=90.0).astype(float)
    assert np.abs(turned - np.rot90(plain)).mean() < 5, "about its middle"
    assert np.abs(draw("L", "DejaVuSans", turn=90.0).astype(float) - np.rot90(draw("L", "DejaVuSans"))).mean() < 5
    assert np.abs(draw("L", "DejaVuSans", turn=90.0).astype(float) - np.rot90(draw("L", "DejaVuSans"), -1)).mean() > 20
    larger = draw("H", "DejaVuSans", scale=1.2)
    assert larger.sum() == pytest.approx(1.44 * plain.sum(), rel=0.05)
    blurred = draw("H", "DejaVuSans", blur=1.5)
    assert blurred.max() < plain.max()
    assert blurred.sum() == pytest.approx(int(plain.sum()), rel=0.05)
    for font in FONTS:
        wide = draw("\u0429", font)  # wider than the picture in some fonts
        assert not wide[0].any() | wide[-1].any() | wide[:, 0].any() | wide[:, -1].any()


def test_they_load_as_a_set_of_identities() -> None:
    train, test = load_images("glyphs"), load_images("glyphs", "test", channels=3)
    assert (len(train), len(test)) == (7920, 3600)
    assert (train.channels, train.image_size) == (1, (32, 32))
    assert test.channels == 3
    assert train.identities
    assert test.identities
    assert len(train.classes) == 330
    assert len(test.classes) == 150
    assert not set(train.classes) & set(test.classes)
    assert set(train.classes) | set(test.classes) == set(CHARACTERS)
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [EACH] * 330
    for label in (0, 70, 329):
        character = train.classes[label]
        drawn = np.mean([draw(character, font).reshape(-1) for font in fonts_with(character)], axis=0)
        pictures = train.pixels[train.labels == label].mean((0, 1)).reshape(-1)
        assert np.corrcoef(drawn, pictures)[0, 1] > 0.8, "the label names the character in the picture"
