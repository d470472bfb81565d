"""axe-core finds nothing serious: every drawing, light and dark, with the tour and a dialog open."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from viewer_support import Browse, served
from walker import DRAWINGS, Walk

from vitrail.viewer.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
"""Of npm, as package-lock.json names it: `npm ci`."""


def findings(page: "Page") -> list[str]:
    """What hinders people seriously, in a line each."""
    if not AXE.exists():
        pytest.skip("needs axe-core: npm ci")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())  # not as an element: the page's policy runs no script of ours
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:4]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_drawing(walk: Walk, theme: str) -> None:
    at = walk()
    at.page.emulate_media(color_scheme=theme)
    at.page.reload()
    at.settled()
    assert at.page.evaluate("document.documentElement.dataset.theme") == theme
    for drawing in DRAWINGS:
        at.go("mae" if drawing == "image" else "bert", drawing=drawing, query=2, layer=1)
        at.page.locator(".unseen caption").wait_for(state="attached")
        assert findings(at.page) == [], drawing
    at.go("bert", drawing="lines", other="untrained", quantity="difference", score="change", query=2, key=3, pin="2.3")
    assert findings(at.page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tour_and_the_help(walk: Walk, theme: str) -> None:
    at = walk(drawing="lines")
    at.page.emulate_media(color_scheme=theme)
    at.page.reload()
    at.settled()
    at.page.get_by_role("button", name="A short tour").click()
    at.settled()
    assert findings(at.page) == []
    at.page.keyboard.press("Escape")
    at.page.keyboard.press("?")
    at.page.get_by_role("dialog").wait_for()
    assert findings(at.page) == []


def test_an_empty_page(browse: Browse) -> None:
    with served(Library()) as address:
        page = browse(address)
        page.get_by_text("No trace is open.").wait_for()
        assert findings(page) == []
        page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        (found,) = findings(page)
        assert "button-name" in found, "what it should find, it finds"
