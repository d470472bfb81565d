"""Tokens as they are drawn, however hostile: nothing fails, nothing warns, nothing is read as mathematics."""

import io
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from vitrail.trace import Axis, Trace
from vitrail.viewer.figures import attention_map
from vitrail.viewer.figures.sheet import Sheet
from vitrail.viewer.figures.tokens import LONGEST, families, inches, label, plain, shown, thinned

Make = Callable[..., Trace]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        (" dog", "·dog"),
        ("  x", "··x"),
        ("dog", "dog"),
        ("two words ", "two words "),
        ("", "∅"),
        (" ", "·"),
        ("\n", "⏎"),
        ("a\tb", "a⇥b"),
        ("\x00", "U+0000"),
        ("\u202eabc", "U+202Eabc"),
        ("\ud800", "U+D800"),
        ("\u0301", "◌\u0301"),
        ("\U0010ffff", "U+10FFFF"),
        ("$a_1$", "$a_1$"),
        ("שלום", "שלום"),
        ("a" * 17, "a" * 15 + "…"),
    ],
)
def test_a_token_is_drawn_as(text: str, drawn: str) -> None:
    assert shown(text) == drawn


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_token_is_short_and_has_no_control_character(text: str) -> None:
    drawn = shown(text)
    assert 1 <= len(drawn) <= LONGEST
    assert not any(unicodedata.category(one).startswith("C") for one in drawn)
    assert plain(plain(text)) == plain(text)


def test_what_no_font_has_is_drawn_as_its_number() -> None:
    text = shown("\U0001fae8") + shown("𓀀")
    figure = Figure()
    figure.text(0, 0, text, family=families())
    figure.savefig(io.BytesIO(), format="png")  # a missing glyph would warn, and warnings are errors


def test_a_bold_title_is_drawn_with_bold_fonts() -> None:
    """Bold fonts have fewer characters than the others."""
    known = [chr(code) for code in range(0xA0, 0x20000) if plain(chr(code)) == chr(code)]
    thin = "".join(one for one in known if plain(one, "bold") != one)[::7]
    assert len(thin) > 20
    sheet = Sheet(4.0, 1.0)
    for weight in ("normal", "bold"):
        sheet.write(0, 0, thin, weight=weight, room=100)  # type: ignore[arg-type]
    sheet.figure.savefig(io.BytesIO(), format="png")


def test_hostile_tokens_are_drawn_literally(text_trace: Make, hostile: Sequence[str]) -> None:
    trace = text_trace(hostile, None)
    figure = attention_map(trace, 0, 0)
    panel = figure.axes[0]
    for ticks in (panel.get_xticklabels(), panel.get_yticklabels()):
        assert [one.get_text() for one in ticks] == [shown(text) for text in hostile]
        assert not any(one.get_parse_math() for one in ticks)
    for kind in ("png", "svg"):
        figure.savefig(io.BytesIO(), format=kind)


@pytest.mark.parametrize(("count", "room"), [(1, 0.01), (7, 5), (40, 5), (41, 5), (300, 8.5), (4096, 8.5), (1000, 0.2)])
def test_labels_are_thinned_to_what_fits(count: int, room: float) -> None:
    step = thinned(count, room, 7)
    fits = max(1, int(room / (1.3 * 7 / 72)))
    assert len(range(0, count, step)) <= fits
    assert step == min(
        one for one in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if -(-count // one) <= fits
    )


def test_few_labels_are_written_for_many_positions() -> None:
    axis = Axis("t", "tokens", 307, texts=tuple(f"w{place}" for place in range(307)))
    figure = Figure()
    panel = figure.add_subplot()
    step = label(panel, "y", axis, 5.0)
    assert step == 10
    assert [one.get_text() for one in panel.get_yticklabels()] == [f"w{place}" for place in range(0, 307, 10)]
    assert [int(place) for place in panel.get_yticks()] == list(range(0, 307, 10))
    assert not any(one.get_parse_math() for one in panel.get_yticklabels()), "whatever the settings are"


def test_labels_name_the_positions_that_cells_are() -> None:
    figure = Figure()
    panel = figure.add_subplot()
    label(panel, "x", Axis("t", "latents", 9), 5.0, places=np.array([2, 5, 7]))
    assert [one.get_text() for one in panel.get_xticklabels()] == ["2", "5", "7"]


def test_room_is_what_a_monospaced_font_needs() -> None:
    assert inches(["abc", "ab"], 72) == pytest.approx(3 * 0.602)
    assert inches(["中"], 72) == pytest.approx(2 * 0.602)
    assert inches([], 72) == 0
