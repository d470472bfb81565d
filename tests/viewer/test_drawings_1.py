"""Arithmetic in a real browser: its title leaves room for what stands beside it, and is said in full."""

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from viewer_support import Browse, made, served

from vitrail.viewer.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

LONG = ("W" * 300, "\u6f22" * 200, "the", "<b>" * 90, "i" * 900)
WIDE = """([text, style]) => { const pen = document.createElement("canvas").getContext("2d"); pen.font = style;
return pen.measureText(text).width; }"""


def title(page: "Page") -> str:
    """What is painted at the top."""
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG", exact=True).click()
    texts = ElementTree.fromstring(Path(download.value.path()).read_bytes()).iter("{http://www.w3.org/2000/svg}text")
    first = next(text for text in texts if text.get("font-size") == "14" and text.get("font-weight") == "600")
    style = f"600 14px {first.get('font-family')}"
    right = page.locator(".arithmetic-stage").bounding_box()
    assert right is not None
    # "by square root" and the ramp beside it.
    assert page.evaluate(WIDE, [first.text, style]) + 14 < right["width"] - 14 - 54 - 22 - 70
    return str(first.text)


@pytest.mark.parametrize("width", [1280, 1000])
@pytest.mark.parametrize("query", range(len(LONG)))
def test_the_title_of_a_long_token_is_cut_and_said_in_full(
    browse: Browse, tmp_path: Path, query: int, width: int
) -> None:
    library = Library()
    library.add(made(LONG).save(tmp_path / "long.safetensors"))
    with served(library) as address:
        page = browse(f"{address}/#drawing=arithmetic&query={query}&head=1&heads=1")
        page.set_viewport_size({"width": width, "height": 720})
        page.wait_for_selector('#stage[aria-busy="false"]', state="attached")
        token = LONG[query]
        painted = title(page)
        assert painted.startswith("How “")
        assert painted.endswith("” looks around: head 0.1")
        assert ("…" in painted) == (len(token) > 3)
        whole = f"How “{token}” looks around: head 0.1"
        stage = page.locator(".arithmetic-stage")
        assert whole in str(stage.get_attribute("aria-label"))
        pane = page.locator(".arithmetic-pane")
        assert pane.get_attribute("title") is None
        pane.hover(position={"x": 60, "y": 16})
        assert pane.get_attribute("title") == whole
        pane.hover(position={"x": 60, "y": 300})
        assert pane.get_attribute("title") == ""
        page.evaluate(f"location.hash = '#drawing=arithmetic&query={query}&key={(query + 1) % 5}&head=1&heads=1'")
        page.wait_for_selector(".arithmetic-stage[aria-label*='→']")
        both = title(page)
        assert "” → “" in both
        assert both.endswith("”, head 0.1")
