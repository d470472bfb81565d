"""Contact sheets of synthetic pictures: each thumbnail is where it should be, captions can't break out."""

import io

import numpy as np
import pytest
from PIL import Image

from vitrail.errors import ConfigError, DataError
from vitrail.faces.sheets import GAP, LINE, contact_sheet, png

SIDE = 11
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def plain(colour: tuple[int, int, int], height: int = 5, width: int = 5) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def at(sheet: Image.Image, row: int, column: int, lines: int = 0, gaps: int = 1) -> object:
    """The colour in the middle of a square, below so many captions and gaps between groups."""
    step = SIDE + GAP
    return sheet.getpixel((GAP + column * step + SIDE // 2, lines * LINE + gaps * GAP + row * step + SIDE // 2))


def test_thumbnails_fill_rows_and_groups_begin_new_ones() -> None:
    sheet = contact_sheet([[plain(RED)] * 4, [plain(GREEN), plain(BLUE)]], columns=3, side=SIDE)
    assert sheet.size == (3 * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + 2 * GAP)
    assert [at(sheet, 0, column) for column in range(3)] == [RED] * 3
    assert at(sheet, 1, 0) == RED
    assert at(sheet, 1, 1) == (255, 255, 255)
    assert [at(sheet, 2, column, gaps=2) for column in range(3)] == [GREEN, BLUE, (255, 255, 255)]


def test_a_sheet_is_as_wide_as_its_longest_row() -> None:
    assert contact_sheet([[plain(RED)] * 2], columns=12, side=SIDE).width == 2 * (SIDE + GAP) + GAP


def test_captions_stand_above_their_groups() -> None:
    sheet = contact_sheet([[plain(RED)] * 9, [plain(BLUE)]], ["one", "two"], side=SIDE)
    assert at(sheet, 0, 0, lines=1) == RED
    assert at(sheet, 1, 0, lines=2, gaps=2) == BLUE
    ink = np.asarray(sheet.convert("L"))[:LINE]
    assert ink.min() < 100


def test_the_rest_of_a_large_group_is_a_number() -> None:
    sheet = contact_sheet([[plain(RED)] * 50], columns=8, side=SIDE, most=5)
    assert [at(sheet, 0, column) for column in range(5)] == [RED] * 5
    last = np.asarray(sheet.convert("L"))[:, GAP + 5 * (SIDE + GAP) :]
    assert 100 < last.min() < 255  # faint ink
    assert sheet.width == 6 * (SIDE + GAP) + GAP
    whole = contact_sheet([[plain(RED)] * 5], columns=8, side=SIDE, most=5)
    assert whole.width == 5 * (SIDE + GAP) + GAP


def test_pictures_of_any_shape_keep_theirs() -> None:
    wide, high = contact_sheet([[plain(RED, 3, 30), plain(BLUE, 31, 7)]], side=30).split()[::2]
    red, blue = np.asarray(wide)[GAP : GAP + 30, GAP : GAP + 30], np.asarray(high)[GAP : GAP + 30, 2 * GAP + 30 :]
    assert red[13:16].max() == 200
    assert red[:10].min() == 255
    assert blue[:, 13:17].max() == 200
    assert blue[:, :8].min() == 255


def test_small_pictures_are_enlarged_in_squares_and_greys_stay_grey() -> None:
    grey = np.array([[0, 250], [120, 60]], dtype=np.uint8)
    sheet = np.asarray(contact_sheet([[grey]], side=20))[GAP : GAP + 20, GAP : GAP + 20]
    np.testing.assert_array_equal(sheet, np.repeat(np.repeat(grey, 10, 0), 10, 1)[..., None].repeat(3, 2))


@pytest.mark.parametrize(
    "caption", ["two\nlines", "\x1b[31mred", "right \u202e left", "zero\u200bwidth", "\x00", "\ud800"]
)
def test_what_does_not_print_is_shown_escaped(caption: str) -> None:
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in caption)
    faces = [[plain(RED)] * 12]
    shown, expected = (np.asarray(contact_sheet(faces, [text], side=40)) for text in (caption, escaped))
    np.testing.assert_array_equal(shown, expected)
    assert (shown[LINE : LINE + GAP] == 255).all()


def test_long_captions_are_cut_at_the_edge() -> None:
    sheet = np.asarray(contact_sheet([[plain(RED)] * 3], ["W" * 500], side=50).convert("L"))
    assert sheet[:LINE].min() < 100
    assert (sheet[:LINE, -GAP:] == 255).all()
    cut, empty = (contact_sheet([[plain(RED)]], [text], side=30) for text in ("W" * 500, ""))
    assert cut.size == empty.size


def test_names_in_other_letters_are_drawn() -> None:
    """Not as the box of a missing letter."""
    faces = [[plain(RED)] * 3]
    drawn = {name: contact_sheet(faces, [name], side=50).tobytes() for name in ("Ж", "Ω", "Ł", "é", "\U0010fffd")}
    assert len(set(drawn.values())) == 5


def test_a_png_is_the_sheet() -> None:
    sheet = contact_sheet([[plain(RED), plain(BLUE)]], ["both"])
    content = png(sheet)
    assert content.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(content)) as again:
        assert np.array_equal(np.asarray(again), np.asarray(sheet))


def test_sheets_that_show_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="groups of at least one face; leave empty ones out"):
        contact_sheet([])
    with pytest.raises(DataError, match="groups of at least one face; leave empty ones out"):
        contact_sheet([[plain(RED)], []])
    with pytest.raises(DataError, match="a thumbnail of 0x5 pixels shows nothing; leave it out"):
        contact_sheet([[plain(RED, 0)]])
    with pytest.raises(ConfigError, match="there are 1 groups and 2 captions; give one each, or none at all"):
        contact_sheet([[plain(RED)]], ["a", "b"])
    with pytest.raises(ConfigError, match="a sheet of 0 columns, 64 pixels, None faces a group shows nothing"):
        contact_sheet([[plain(RED)]], columns=0)
