"""Photographs are read upright, hashed as files, and refused in words where they can't be used."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import encoded, photograph, png_head, portrait
from PIL import Image

from vitrail.errors import DataError
from vitrail.gallery.photographs import find_photographs, open_photograph


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_photograph_is_its_pixels_and_the_hash_of_its_file(tmp_path: Path) -> None:
    path = portrait(tmp_path / "a.png")
    photo = open_photograph(path)
    np.testing.assert_array_equal(photo.pixels.transpose(1, 2, 0), np.asarray(Image.open(path)))
    assert photo.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert photo.size == (180, 200)
    assert photo.source == str(path)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photograph_is_upright(turn: int, tmp_path: Path) -> None:
    image = photograph([(30, 20, 140)], (211, 179))
    stored = {
        1: image,
        2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: image.transpose(Image.Transpose.ROTATE_180),
        4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: image.transpose(Image.Transpose.TRANSPOSE),
        6: image.transpose(Image.Transpose.ROTATE_90),
        7: image.transpose(Image.Transpose.TRANSVERSE),
        8: image.transpose(Image.Transpose.ROTATE_270),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    photo = open_photograph(write(tmp_path / "turned.png", encoded(stored, exif=exif)))
    np.testing.assert_array_equal(photo.pixels.transpose(1, 2, 0), np.asarray(image))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", r"is empty \(0 bytes\): take another copy"),
        (b"no image at all", "no image format"),
        (encoded(photograph([])), None),
        (encoded(photograph([]))[:300], "is damaged"),
        (encoded(photograph([(0, 0, 200)]), "JPEG")[:3000], "is damaged"),
        (encoded(Image.new("RGB", (1, 1))), "1x1 pixels, and a face needs at least 24x24"),
        (encoded(Image.new("RGB", (23, 500))), "23x500 pixels"),
        (png_head(10_000, 10_000), r"10000x10000 pixels \(100 megapixels\), and at most 80 .* scale it down"),
        (png_head(40_000, 40_000), "over 170 megapixels"),
    ],
    ids=["empty", "text", "good", "cut png", "cut jpeg", "1 pixel", "narrow", "100 megapixels", "1.6 gigapixels"],
)
def test_what_is_no_photograph_is_told_in_one_sentence(content: bytes, part: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / "x.png", content)
    if part is None:
        open_photograph(path)
        return
    with pytest.raises(DataError, match=part) as caught:
        open_photograph(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("missing.png", "No such file"), (".", "Is a directory")])
def test_what_is_not_there(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"can't be read \\({reason}"):
        open_photograph(tmp_path / name)


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / ".hidden").mkdir()
    for name in ("a/2.JPG", "a/1.png", "a/deep/3.webp", "a/notes.txt", "a/.hidden/4.png", "b.odd"):
        (tmp_path / name).touch()
    found = find_photographs([tmp_path / "b.odd", tmp_path / "a", tmp_path / "a" / "1.png"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b.odd", "a/1.png", "a/2.JPG", "a/deep/3.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no photographs"):
        find_photographs([tmp_path / "empty"])
