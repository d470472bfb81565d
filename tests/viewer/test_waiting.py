"""What is asked for while numbers still come is what will be seen then; long inputs are counted as far as they show."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from viewer_support import Browse, served

from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish_layer, named
from vitrail.viewer.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page, Route

pytestmark = pytest.mark.browser

TOKENS, SECOND = 401, 307
"""Tokens, and the first one of the second sentence; of its 94 alone a text is still long."""


def long() -> Trace:
    """Heads that are read when they are looked at: the file is longer than its beginning, which is read at once."""
    random = np.random.default_rng(7)
    segments = (np.arange(TOKENS) >= SECOND).astype(np.int32)
    axis = Axis("tokens", "tokens", TOKENS, texts=tuple(f" t{at}" for at in range(TOKENS)), segments=segments)
    layers = []
    for number in range(3):
        q, k, v = (random.normal(size=(3, TOKENS, 61)).astype(np.float32) for _ in range(3))
        layer = Layer(f"layer.{number}", q=q, k=k, v=v, scale=61**-0.5)
        scores = np.einsum("hqd,hkd->hqk", q.astype(np.float64), k) * layer.scale
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        layers.append(finish_layer(layer, axis, axis, weights.astype(np.float32)))
    return Trace(named([axis]), (Stream("encoder", "tokens", "tokens", tuple(layers)),), Provenance("model"))


@pytest.fixture(scope="module")
def trace() -> Trace:
    return long()


@pytest.fixture(scope="module")
def address(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of it."""
    library = Library()
    library.add(trace.save(tmp_path_factory.mktemp("long") / "long.safetensors"))
    with served(library) as found:
        yield found


class Gate:
    """Holds what is read of traces, from the page's next loading on, until it is opened.

    Chromium tells a page that stands already of such a gate when it finds the time: keys may be read before.
    """

    def __init__(self, page: "Page") -> None:
        self.page, self.held, self.closed = page, list["Route"](), False
        page.context.route("**/traces/*", self._hear)

    def _hear(self, route: "Route") -> None:
        if self.closed:
            self.held.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Until something is held."""
        while not self.held:
            self.page.wait_for_timeout(20)

    def close(self) -> None:
        self.closed = True

    def open(self) -> None:
        self.closed = False
        for route in self.held:
            route.continue_()


def saved(download: "Download") -> list[list[str]]:
    """Rows of a table, without its head."""
    return list(csv.reader(io.StringIO(Path(download.path()).read_text("utf-8-sig"))))[1:]


def drawn(page: "Page") -> None:
    page.wait_for_selector('#stage[aria-busy="false"]', state="attached")


def gated(page: "Page") -> Gate:
    """A closed gate before all that this page doesn't show yet."""
    gate = Gate(page)
    page.reload()
    drawn(page)
    gate.close()
    return gate


@pytest.mark.parametrize("kind", ["SVG", "PNG", "CSV"])
def test_a_file_that_is_asked_for_too_early_is_of_what_comes(
    browse: Browse, address: str, trace: Trace, kind: Literal["SVG", "PNG", "CSV"]
) -> None:
    page = browse(f"{address}/#layer=2&query=5")
    gate = gated(page)
    page.keyboard.press(".")
    gate.wait()
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
        assert page.locator("#stage").get_attribute("aria-busy") == "true"
        gate.open()
    found = download.value
    assert found.suggested_filename == f"lines-encoder-2.1.{kind.lower()}"
    if kind != "CSV":
        return
    rows = saved(found)
    np.testing.assert_allclose([float(row[2]) for row in rows], trace.weights(2, 1)[5], atol=1e-6)


def test_a_file_that_is_asked_for_before_anything_is_drawn_comes(browse: Browse, address: str) -> None:
    page = browse(f"{address}/#drawing=matrix")
    drawn(page)
    gate = Gate(page)
    gate.close()
    page.reload()
    gate.wait()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG", exact=True).click()
        gate.open()
    assert download.value.suggested_filename == "matrix-encoder-0.0.svg"


def test_one_click_is_one_file(browse: Browse, address: str) -> None:
    """Also where what is waited for is overtaken, and where keys follow one another faster than they are drawn."""
    page = browse(f"{address}/#head=1&heads=1")
    gate = gated(page)
    page.keyboard.press("]")
    gate.wait()
    files: list[str] = []
    page.on("download", lambda download: files.append(download.suggested_filename))
    with page.expect_download():
        for kind in ("SVG", "CSV"):
            page.get_by_role("button", name=kind, exact=True).click()
        page.keyboard.press("]")
        page.keyboard.press(".")
        gate.open()
    drawn(page)
    while len(files) < 2:
        page.wait_for_timeout(20)
    assert sorted(files) == ["lines-encoder-2.2.csv", "lines-encoder-2.2.svg"]


def test_files_that_are_asked_for_all_at_once_all_come(browse: Browse, address: str) -> None:
    """Chromium takes ten files in a second, and drops the next one without a word."""
    page = browse(f"{address}/#layer=2")
    drawn(page)
    files: list[str] = []
    page.on("download", lambda download: files.append(download.suggested_filename))
    page.get_by_role("button", name="CSV", exact=True).evaluate(
        "one => { for (let at = 0; at < 13; at++) one.click(); }"
    )
    page.wait_for_timeout(13 * 125)
    while len(files) < 13:
        page.wait_for_timeout(20)
    assert set(files) == {"lines-encoder-2.0.csv"}


HEARD = """() => { window.asked = []; const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...more) {
  if (message.asked?.name === "strongest") window.asked.push(message.asked.rows);
  return post.call(this, message, ...more); }; }"""


@pytest.mark.parametrize(("sentences", "rows"), [("all", [0, TOKENS]), ("bb", [SECOND, TOKENS]), ("ab", [0, SECOND])])
def test_the_strongest_keys_are_sought_for_rows_that_are_shown(
    browse: Browse, address: str, trace: Trace, sentences: str, rows: list[int]
) -> None:
    page = browse(f"{address}/#layer=1&head=2&heads=2&sentences={sentences}")
    drawn(page)
    page.add_init_script(f"({HEARD})()")
    page.reload()
    drawn(page)
    page.wait_for_function("window.asked.length")
    assert page.evaluate("window.asked") == [rows]
    found: list[list[str]] = []
    while [int(row[0]) for row in found] != list(range(*rows)):  # until the worker has counted all
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV", exact=True).click()
        found = saved(download.value)
    weights = trace.weights(1, 2)[slice(*rows)]
    seen = np.zeros(TOKENS, bool)
    seen[{"all": slice(None), "bb": slice(SECOND, None), "ab": slice(SECOND, None)}[sentences]] = True
    for row, expected in zip(found, weights, strict=True):
        strongest = np.argsort(-expected)[:3]
        shown = [at for at in strongest if seen[at]]
        if shown and row[2] != "–":
            assert row[2] == f"·t{shown[0]}"
            assert float(row[3]) == pytest.approx(expected[shown[0]], abs=1e-6)
