"""The site builds without a warning, asks no other host for anything, and its reference has every public name."""

import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vitrail as vt

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
ROOMS = {
    "capture": "vitrail.capture",
    "data": "vitrail.data",
    "faces": "vitrail.faces",
    "gallery": "vitrail.gallery",
    "text": "vitrail.text",
    "trace": "vitrail.trace",
    "train": "vitrail.train",
    "viewer": "vitrail.viewer.figures",
    "vision": "vitrail.vision",
}
"""Pages of the reference, and the rooms whose public names they have."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a dead link, a missing anchor or a page outside of the navigation is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return folder


class Asked(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()
        self.heads = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        self.heads += tag == "h1"
        self.found += [value for name in ("src", "srcset", "data", "poster") if (value := given.get(name))]
        if tag == "link":
            self.found.append(given.get("href") or "")


def read(page: Path) -> Asked:
    parser = Asked()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def test_no_page_asks_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    away = {page.name: [one for one in read(page).found if re.match(r"(\w+:)?//", one)] for page in pages}
    assert {page: asked for page, asked in away.items() if asked} == {}
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_page_has_one_title(site: Path) -> None:
    heads = {page.relative_to(site).as_posix(): read(page).heads for page in site.rglob("*.html")}
    assert {page: count for page, count in heads.items() if count != 1} == {}


@pytest.mark.parametrize("page", ROOMS)
def test_the_reference_has_every_public_name_of_a_room(site: Path, page: str) -> None:
    ids = read(site / "api" / f"{page}.html").ids
    public = {f"{ROOMS[page]}.{name}" for name in importlib.import_module(ROOMS[page]).__all__}
    # A function that is called as its file is stands under the file's name too.
    assert {name for name in public if {name, f"{name}.{name.rpartition('.')[2]}"}.isdisjoint(ids)} == set()


def test_the_reference_has_every_public_name_of_all(site: Path) -> None:
    text = (site / "api" / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r">\s*vt\.(\w+)\s*<", text))
    assert shown == set(vt.__all__) - {"errors"}
    errors = read(site / "api" / "errors.html").ids
    assert {f"vitrail.errors.{name}" for name in vars(vt.errors) if name.endswith("Error")} - errors == set()


def test_docstrings_are_shown_as_they_are_meant(site: Path) -> None:
    """Tables as tables, and a block that "::" announces as a block."""
    legend = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<td>b</td>\s*<td>examples in a batch</td>", legend)
    tree = (site / "api" / "errors.html").read_text(encoding="utf-8")
    assert "├── ConfigError" in tree
    assert "<p>::" not in tree


def test_the_search_knows_names_and_words(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    text = " ".join(f"{one['title']} {one['text']}" for one in found)
    assert "triplet_loss" in text
    assert "anchor" in text


@pytest.mark.browser
def test_from_the_disk_it_searches_and_asks_nobody(site: Path, browser: "Browser") -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("triplet_loss")
    page.wait_for_selector(".md-search-result__link", timeout=20_000)
    page.goto((site / "papers" / "facenet.html").as_uri())
    page.close()
    assert [one for one in asked if not one.startswith(("file:", "data:", "blob:"))] == []
