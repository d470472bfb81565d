"""Every drawing of every quantity of real traces, in Chromium: it is drawn, and its numbers are Python's to 1e-4."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from walker import DRAWINGS, Walk, Walker, close, number, numbers, python

import vitrail as vt
from vitrail.trace import Trace, label_heads, word_weights

pytestmark = pytest.mark.browser

STREAMS = [
    ("bert", "encoder"),
    ("summarizer", "encoder"),
    ("summarizer", "decoder"),
    ("summarizer", "cross"),
    ("mae", "encoder"),
    ("mae", "mae-decoder"),
]
HEAD = 1
QUERY = 2


def offered(at: Walker, what: str) -> list[str]:
    """What a choice of the toolbar offers."""
    return at.page.get_by_label(what, exact=True).evaluate("one => [...one.options].map(option => option.value)")  # type: ignore[no-any-return]


def cells(at: Walker, like: np.ndarray) -> np.ndarray:
    """The matrix that is drawn, without its titles and sums."""
    queries, keys = like.shape
    return np.array([[number(cell) for cell in row[1 : keys + 1]] for row in at.csv()[1 : queries + 1]])


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_every_quantity_is_pythons(walk: Walk, walked: dict[str, Trace], name: str, stream: str) -> None:
    trace = walked[name]
    layer = len(trace.stream(stream).layers) - 1
    at = walk()
    beside = {"other": "untrained"} if name == "bert" else {}
    at.go(name, stream=stream, layer=layer, head=HEAD, drawing="matrix", **beside)
    found = offered(at, "quantity")
    assert found == ["weight", "score", "gradient", "weight-gradient", "weight-value", *["difference"] * len(beside)]
    allowed = np.isfinite(trace.scores(layer, HEAD, stream))
    for quantity in found:
        at.go(name, stream=stream, layer=layer, head=HEAD, drawing="matrix", quantity=quantity, **beside)
        expected = python(trace, quantity, layer, HEAD, stream, walked["untrained"])
        close(cells(at, expected), np.where(allowed, expected, np.nan))
        at.go(name, stream=stream, layer=layer, head=HEAD, quantity=quantity, query=QUERY, **beside)
        close(numbers(at.csv()[1:], 2), expected[QUERY])
        strongest = sorted(expected[QUERY][np.isfinite(expected[QUERY])], key=abs)[-6:]
        close(np.sort(list(at.told("from").values())), np.sort(strongest))
        assert at.notice() == ""


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_every_drawing_of_every_stream(walk: Walk, walked: dict[str, Trace], name: str, stream: str) -> None:
    trace = walked[name]
    weights = trace.weights(0, HEAD, stream)
    at = walk()
    at.go(name)
    if len(trace.streams) > 1:
        at.page.get_by_role("button", name=stream, exact=True).click()
        at.until(stream=stream)
    tabs = [tab.lower() for tab in at.page.locator(".tabs").get_by_role("tab").all_text_contents()]
    gone = {"mae": "text"}.get(name, "image")
    assert tabs == [drawing for drawing in DRAWINGS if drawing != gone]
    for drawing in tabs:
        at.go(name, stream=stream, head=HEAD, drawing=drawing, query=QUERY)
        assert at.page.get_by_role("tab", selected=True).text_content() == drawing.capitalize()
        picture = ElementTree.fromstring(at.saved("SVG"))
        assert len(list(picture.iter())) > 5
        head, *rows = at.csv()
        if drawing in ("text", "image"):
            close(numbers(rows, -1), weights[QUERY])
        elif drawing == "arithmetic":
            close(numbers(rows, 6), weights[QUERY][numbers(rows, 0).astype(int)])
        elif drawing == "atlas":
            of_heads(head, rows, trace, stream)
        assert at.notice() == ""


def of_heads(head: list[str], rows: list[list[str]], trace: Trace, stream: str) -> None:
    """The atlas' table has Python's roles and scores."""
    expected = label_heads(trace)
    expected = expected[expected.stream == stream]
    scores = vt.head_scores(trace)
    scores = scores[scores.stream == stream]
    assert len(rows) == len(expected)
    found = dict(zip((re.sub(r" \(.*", "", one) for one in head), zip(*rows, strict=True), strict=True))
    assert ("aligned" in found) == (stream == "cross")
    for row, (_, role) in zip(rows, expected.iterrows(), strict=True):
        assert [int(row[0]), int(row[1]), row[2]] == [role.layer, role["head"], role.role]
    for score in {"entropy", "aligned"} & set(found):
        close(np.array([number(cell) for cell in found[score]]), scores[score].to_numpy())


def test_every_drawing_of_every_quantity_is_drawn(walk: Walk) -> None:
    at = walk()
    for drawing in ("lines", "text"):
        for quantity in ("score", "gradient", "weight-gradient", "weight-value", "difference"):
            at.go("bert", other="untrained", layer=3, head=7, drawing=drawing, quantity=quantity, query=4)
            assert at.page.get_by_label("quantity", exact=True).input_value() == quantity
            assert ElementTree.fromstring(at.saved("SVG")) is not None
            assert at.notice() == ""


def test_files_of_what_is_seen_are_whole(walk: Walk) -> None:
    from PIL import Image

    at = walk()
    for name, drawing in (("bert", "lines"), ("mae", "image"), ("bert", "model")):
        at.go(name, drawing=drawing)
        with Image.open(io.BytesIO(at.saved("PNG"))) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(2**24) or ()) > 10
    at.go("bert", drawing="lines", layer=2, head=5)
    with at.page.expect_download() as download:
        at.page.get_by_role("button", name="SVG", exact=True).click()
    assert download.value.suggested_filename == "lines-encoder-2.5.svg"


def test_words_sentences_and_added_tokens(walk: Walk, walked: dict[str, Trace]) -> None:
    trace = walked["bert"]
    axis = trace.tokens()
    weights = trace.weights(4, 2)
    at = walk()
    at.go("summarizer", stream="encoder", drawing="matrix")
    at.page.get_by_role("checkbox", name="words").check()
    at.until(words="true")
    source = walked["summarizer"].tokens("encoder")
    expected = word_weights(walked["summarizer"].weights(0, 0, "encoder"), source, source)
    assert len(expected) < source.length
    close(cells(at, expected), expected)
    at.go("bert", layer=4, head=2, drawing="matrix")
    at.page.get_by_role("checkbox", name="added tokens").uncheck()
    at.until(special="false")
    assert axis.special is not None
    kept = np.flatnonzero(~axis.special)
    expected = weights[np.ix_(kept, kept)]
    close(cells(at, expected), expected)
    at.page.get_by_role("checkbox", name="added tokens").check()
    at.page.get_by_label("sentences").select_option("ab")
    at.until(sentences="ab", special="")
    assert axis.segments is not None
    a, b = (np.flatnonzero(axis.segments == side) for side in (0, 1))
    expected = weights[np.ix_(a, b)]
    close(cells(at, expected), expected)


def test_what_a_model_says_stands_beside_where_it_looks(walk: Walk, walked: dict[str, Trace]) -> None:
    predictions = walked["summarizer"].stream("decoder").predictions
    assert predictions is not None
    at = walk()
    at.go("summarizer", stream="decoder", layer=1, query=3)
    said = at.told("The model says here")
    assert predictions.lens_probabilities is not None
    lens = at.told("After layer 1 it would say")
    close(np.array(list(said.values())), predictions.probabilities[3])
    close(np.array(list(lens.values())), predictions.lens_probabilities[1, 3])
