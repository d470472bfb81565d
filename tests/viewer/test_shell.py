"""The page around the drawings: names that are markup or endless, numbers that are none; and the hosts, in short."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from viewer_support import HOSTILE, Browse, served
from walk_traces import monstrous
from walker import DRAWINGS, Walk, Walker, close, numbers, walker

from vitrail.trace import Trace
from vitrail.viewer.library import Library
from vitrail.viewer.onefile import to_html

pytestmark = pytest.mark.browser

WIDE = """() => ["html", "header", "nav.map", "main", "aside"].map(one => document.querySelector(one))
  .filter(one => one.scrollWidth > one.clientWidth).map(one => one.tagName)"""
"""Rooms that have to be scrolled sideways."""


def harmless(at: Walker) -> None:
    """Nothing has run, nothing was made of names, no room is too wide, no notice stands there."""
    assert at.page.evaluate("window.hostile") is None
    assert at.page.locator("#app :is(img, script, iframe, [onerror], [onmouseover])").count() == 0
    assert at.page.evaluate(WIDE) == []
    assert at.notice() == ""


@pytest.mark.parametrize("size", [(1280, 720), (820, 1180)])
def test_monstrous_names_and_numbers(browse: Browse, tmp_path: Path, size: tuple[int, int]) -> None:
    library = Library()
    trace = monstrous()
    for name in ("a" * 300, HOSTILE[1]):
        library.add(trace.save(tmp_path / f"{len(name)}.safetensors"), name)
    ids = {name: entry.id for name, entry in zip(("first", "second"), library.entries(), strict=True)}
    with served(library, title=HOSTILE[0]) as address:
        at = walker(browse, f"{address}/", ids)
        at.page.set_viewport_size({"width": size[0], "height": size[1]})
        for drawing in DRAWINGS:
            if drawing == "image":
                continue
            at.go("first", drawing=drawing, stream=trace.streams[1], layer=1, head=1, other="second", query=1, key=11)
            harmless(at)
            ElementTree.fromstring(at.saved("SVG"))
        at.go("first", quantity="score", drawing="matrix", head=1)
        harmless(at)
        at.go("first", pin="0.1", score=HOSTILE[0], stream=HOSTILE[2])
        harmless(at)
        at.page.get_by_role("button", name="A short tour").click()
        at.settled()
        harmless(at)
        assert at.page.title().startswith("aaa")


def test_wide_rooms_of_plain_traces(walk: Walk) -> None:
    at = walk()
    for width, height in ((820, 1180), (1280, 720)):
        at.page.set_viewport_size({"width": width, "height": height})
        for name, drawing in (("bert", "atlas"), ("mae", "image"), ("bert", "arithmetic"), ("summarizer", "text")):
            at.go(name, drawing=drawing, other="untrained", query=2)
            assert at.page.evaluate(WIDE) == []


def test_one_file_from_the_disk_does_all_of_it(browse: Browse, walked: dict[str, Trace], tmp_path: Path) -> None:
    written = to_html(walked, tmp_path / "all.html")
    at = walker(browse, written.path.as_uri(), {name: f"t{place}" for place, name in enumerate(walked)})
    for name, drawing in [*(("bert", drawing) for drawing in DRAWINGS if drawing != "image"), ("mae", "image")]:
        at.go(name, drawing=drawing, query=2)
        assert at.page.get_by_role("tab", selected=True).text_content() == drawing.capitalize()
        ElementTree.fromstring(at.saved("SVG"))
        assert at.notice() == ""
    at.go("summarizer", stream="cross", drawing="text", layer=1, query=2)
    close(numbers(at.csv()[1:], 2), walked["summarizer"].weights(1, 0, "cross")[2])
    at.go("bert", other="untrained", quantity="difference", query=2)
    close(numbers(at.csv()[1:], 2), walked["bert"].weights(0, 0)[2] - walked["untrained"].weights(0, 0)[2])
