"""Faces are found where they are, one is chosen or the choice is asked for, and crops reach a little beyond."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import GREY, encoded, photograph
from PIL import Image

from vitrail.errors import ConfigError
from vitrail.gallery import detection
from vitrail.gallery.detection import (
    MARGIN,
    Box,
    Choice,
    NoFaceError,
    SeveralFacesError,
    choose_face,
    crop_faces,
    find_faces,
)
from vitrail.gallery.photographs import Photograph, open_photograph


def as_photograph(image: Image.Image, source: str = "p.jpg") -> Photograph:
    return Photograph(source, np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), "0" * 64)


def middle(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


@pytest.mark.parametrize(("side", "size"), [(60, (400, 300)), (140, (400, 300)), (900, (3000, 2000))])
def test_a_face_is_found_where_it_is(side: int, size: tuple[int, int]) -> None:
    (box,) = find_faces(as_photograph(photograph([(97, 53, side)], size)))
    x, y = middle(box)
    assert abs(x - (97 + side / 2)) < 0.05 * side
    assert abs(y - (53 + side / 2)) < 0.08 * side
    assert 0.7 * side < box.width < 0.95 * side


def test_faces_are_listed_from_top_to_bottom() -> None:
    boxes = find_faces(as_photograph(photograph([(200, 150, 120), (20, 10, 100)])))
    assert [round(middle(box)[0], -2) for box in boxes] == [100, 300]
    assert boxes == sorted(boxes)


def test_no_face() -> None:
    with pytest.raises(NoFaceError, match=r"No face was found in empty\.jpg .*--box LEFT,TOP,WIDTH,HEIGHT"):
        choose_face(as_photograph(photograph([]), "empty.jpg"), Choice())


def test_several_faces_are_named_and_one_can_be_chosen() -> None:
    photo = as_photograph(photograph([(10, 10, 100), (180, 60, 150)]), "two.jpg")
    first, second = find_faces(photo)
    with pytest.raises(SeveralFacesError, match=f"2 faces were found in two.jpg .{first} {second}.*--box.*--largest"):
        choose_face(photo, Choice())
    assert choose_face(photo, Choice(largest=True)) == second
    assert choose_face(photo, Choice(box=first)) == first


def test_a_box_is_read_as_it_is_written() -> None:
    box = Box(top=2, left=1, height=4, width=3)
    assert str(box) == "1,2,3,4"
    assert Box.parse("1,2,3,4") == Box.parse(" 1, 2 ,3,4 ") == box


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "1;2;3;4", "1,2,3," + "9" * 30])
def test_a_box_that_can_not_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="LEFT,TOP,WIDTH,HEIGHT"):
        Box.parse(text)


@pytest.mark.parametrize(
    ("box", "part"),
    [
        ("0,0,7,50", "7x50 pixels small"),
        ("-1,0,50,50", "reaches beyond p.jpg, which has 400x300"),
        ("351,0,50,50", "reaches beyond"),
        ("0,251,50,50", "reaches beyond"),
    ],
)
def test_a_box_that_can_not_be_meant(box: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        choose_face(as_photograph(photograph([])), Choice(box=Box.parse(box)))
    assert choose_face(as_photograph(photograph([])), Choice(box=Box.parse("350,250,50,50")))
    for choice in ({"largest": True}, {"whole": True}):
        with pytest.raises(ConfigError, match=r"a box \(1,1,50,50\) and the .* can't all be meant: leave one out"):
            Choice(box=Box.parse("1,1,50,50"), **choice)


def test_a_crop_reaches_beyond_the_box_on_each_side() -> None:
    # Each pixel tells its place: red its column, green its row.
    rows, columns = np.mgrid[0:200, 0:200]
    pixels = np.stack([columns, rows, np.zeros_like(rows)]).astype(np.uint8)
    box = Box(top=60, left=40, height=100, width=100)
    (crop,) = crop_faces(Photograph("p", pixels, ""), [box], (130, 130))
    np.testing.assert_array_equal(crop, pixels[:, 45:175, 25:155])
    (half,) = crop_faces(Photograph("p", pixels, ""), [box], (65, 65))
    assert half.shape == (3, 65, 65)
    assert abs(float(half[0].mean()) - 89.5) < 0.6


def test_a_crop_is_as_high_as_a_square_and_cut_at_the_sides() -> None:
    rows, columns = np.mgrid[0:200, 0:200]
    pixels = np.stack([columns, rows, np.zeros_like(rows)]).astype(np.uint8)
    box = Box(top=50, left=50, height=100, width=70)  # its longer side counts, around its middle
    (crop,) = crop_faces(Photograph("p", pixels, ""), [box], (130, 104))
    np.testing.assert_array_equal(crop, pixels[:, 35:165, 33:137])


@pytest.mark.parametrize("place", [(0, 0), (0, 60), (60, 60), (60, 0)])
def test_beyond_the_edge_its_pixels_are_repeated(place: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 100, 100), dtype=np.uint8)
    (crop,) = crop_faces(Photograph("p", pixels, ""), [Box(place[1], place[0], 40, 40)], (52, 52))
    around = np.pad(pixels, ((0, 0), (6, 6), (6, 6)), mode="edge")
    np.testing.assert_array_equal(crop, around[:, place[1] : place[1] + 52, place[0] : place[0] + 52])
    assert MARGIN * 40 == 6


@pytest.mark.parametrize("size", [(37, 37), (41, 53)])
def test_a_whole_photograph_is_shown_as_it_is(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size), dtype=np.uint8)
    photo = Photograph("p", pixels, "")
    box = choose_face(photo, Choice(whole=True))
    assert box == Box(0, 0, *size)
    (crop,) = crop_faces(photo, [box], (size[1], size[1]), Choice(whole=True).margin)
    missing = (size[1] - size[0]) // 2
    np.testing.assert_array_equal(crop, np.pad(pixels, ((0, 0), (missing, missing), (0, 0)), mode="edge"))


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    board = np.indices((400, 400)).sum(0) % 2 * 255
    pixels = np.stack([board] * 3).astype(np.uint8)
    (crop,) = crop_faces(Photograph("p", pixels, ""), [Box(50, 50, 300, 300)], (39, 39))
    assert np.abs(crop.astype(int) - 127).max() < 20


def test_without_opencv_only_boxes_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    detection._cascade.cache_clear()
    photo = as_photograph(photograph([(10, 10, 100)]))
    with pytest.raises(ConfigError, match=r"pip install 'vitrail\[faces\]'"):
        choose_face(photo, Choice())
    assert choose_face(photo, Choice(box=Box(10, 10, 100, 100)))


def test_a_turned_photograph_is_searched_upright(tmp_path: Path) -> None:
    image = photograph([(97, 53, 140)])
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    path.write_bytes(encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif))
    (box,) = find_faces(open_photograph(path))
    assert abs(middle(box)[0] - 167) < 8
    assert image.getpixel((0, 0)) == GREY


@pytest.mark.data
def test_real_faces_are_found_and_cropped_as_the_networks_know_them(real_data: Path) -> None:
    """LFW's usual crops: the cascade finds 97% and more, and its box with the margin is about the whole crop."""
    import pyarrow.parquet as pq

    table = pq.read_table(real_data / "faces" / "lfw_deepfunneled_112.parquet", columns=["image"])
    draw = np.random.default_rng(0).choice(table.num_rows, 60, replace=False)
    found, reach = 0, []
    for row in draw:
        image = Image.open(io.BytesIO(table["image"][int(row)].as_py()["bytes"]))
        boxes = find_faces(as_photograph(image))
        found += bool(boxes)
        reach += [boxes[0].width * (1 + 2 * MARGIN) / 112] if boxes else []
    assert found >= 57
    assert abs(float(np.median(reach)) - 1) < 0.06
