"""What one picture becomes, whatever it is stored as."""

import io

import numpy as np
import pytest
from data_pictures import colour, encode
from PIL import Image

from vitrail.data.decode import natural_channels, open_image, to_array


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_orientation_is_undone(turn: int) -> None:
    upright = colour(1)
    # Orientation k says how the stored rows and columns lie; these store the picture so.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    content = save(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(to_array(open_image(content, "x"), 3, None).transpose(1, 2, 0), upright)


def test_transparency_is_laid_over_white() -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0, :, 3] = 255
    pixels[1, 2, 3] = 128
    expected = np.array([[0, 0, 0], [255, 255, 127]], np.uint8)
    np.testing.assert_array_equal(to_array(open_image(encode(pixels), "x"), 1, None)[0], expected)
    np.testing.assert_array_equal(to_array(open_image(encode(pixels), "x"), 3, None)[2], expected)


def test_sixteen_bit_grey_is_scaled() -> None:
    grey = np.array([[0, 256, 65535], [32768, 255, 511]], np.uint16)
    image = open_image(save(Image.fromarray(grey), "PNG"), "x")
    assert natural_channels(image) == 1
    np.testing.assert_array_equal(to_array(image, 1, None)[0], grey >> 8)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("RGB", 3), ("P", 3), ("RGBA", 3)])
def test_stored_modes(mode: str, channels: int) -> None:
    image = open_image(save(Image.fromarray(colour(4)).convert(mode), "PNG"), "x")
    assert natural_channels(image) == channels
    assert to_array(image, 1, None).shape == (1, 7, 5)
    assert to_array(image, 3, None).shape == (3, 7, 5)


def test_cmyk_jpeg() -> None:
    image = open_image(save(Image.new("CMYK", (5, 7), (0, 255, 255, 0)), "JPEG"), "x")
    red = to_array(image, 3, None)
    assert natural_channels(image) == 3
    assert red[0].min() > 200
    assert red[1:].max() < 60


def test_resizing_keeps_the_centre() -> None:
    # A wide picture, its middle square white: that square is what is left, at half its size.
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    small = to_array(open_image(encode(wide), "x"), 3, 10)
    assert small.shape == (3, 10, 10)
    assert small[:, :, 1:-1].min() == 255
    assert to_array(open_image(encode(wide), "x"), 3, 40).shape == (3, 40, 40)
