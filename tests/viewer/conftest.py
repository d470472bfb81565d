"""What the viewer's tests share: small traces, and a real browser that may ask nobody but the server under test.

A test that asks for ``browse`` fails where the page wrote an error to its console, threw one, or asked another host for
anything.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from vitrail.trace import Trace
from vitrail.viewer import page
from vitrail.viewer.library import Library
from vitrail.viewer.live import Desk
from vitrail.viewer.server import application

sys.path.append(str(Path(__file__).parent))
from viewer_support import HERE, HOSTILE, STUB, Browse, Talking, host_of, made, served
from walker import Walk, walker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


@pytest.fixture
def trace() -> Trace:
    """A small trace."""
    return made()


@pytest.fixture
def hostile() -> Trace:
    """A trace whose tokens, text and model would do harm where somebody took them for more than text."""
    return made(HOSTILE, name=HOSTILE[1])


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page with an app that only reads: what hosts do is told apart from what the app does."""
    copy = tmp_path / "static"
    shutil.copytree(page.STATIC, copy)
    (copy / "app.js").write_text(STUB)
    monkeypatch.setattr(page, "STATIC", copy)


@pytest.fixture
def library(trace: Trace, tmp_path: Path) -> Library:
    """A library of one trace."""
    found = Library()
    found.add(trace.save(tmp_path / "small.safetensors"))
    return found


def complains(message: "ConsoleMessage") -> bool:
    """Whether a page wrote an error; not that a server is gone, for tests end theirs while pages fetch at leisure."""
    return message.type in ("error", "warning") and not message.text.endswith("net::ERR_CONNECTION_REFUSED")


@pytest.fixture
def browse(browser: "Browser") -> Iterator[Browse]:
    """Opens addresses; what pages asked of others and wrote as errors fails the test at its end."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    asked: set[str] = set()
    errors: list[str] = []
    hosts: set[str] = set()
    context.on("request", lambda request: asked.add(request.url))
    context.on("console", lambda message: errors.append(message.text) if complains(message) else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))

    def open_page(url: str) -> "Page":
        hosts.add(host_of(url))
        opened = context.new_page()
        opened.goto(url)
        return opened

    yield open_page
    context.close()
    foreign = {url for url in asked if url.startswith(("http", "ws")) and host_of(url) not in hosts}
    assert foreign == set()
    assert errors == []


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """Traces of real models, by name."""
    import walk_traces

    folder = tmp_path_factory.mktemp("walked")
    return {**walk_traces.berts(), "summarizer": walk_traces.summarizer(folder), "mae": walk_traces.autoencoder(folder)}


@pytest.fixture(scope="session")
def gallery(walked: dict[str, Trace], tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of these."""
    folder = tmp_path_factory.mktemp("gallery")
    found = Library()
    for name, one in walked.items():
        found.add(one.save(folder / f"{name}.safetensors"), name)
    return found


@pytest.fixture(scope="session")
def address(gallery: Library) -> Iterator[str]:
    """A server of these."""
    with served(gallery) as found:
        yield f"{found}/"


@pytest.fixture
def walk(browse: Browse, gallery: Library, address: str) -> Walk:
    """Opens a page of these traces: ``walk(drawing="matrix")``."""
    ids = {entry.name: entry.id for entry in gallery.entries()}
    return lambda **state: walker(browse, address, ids, **state)


@pytest.fixture
def talking() -> Talking:
    return Talking()


@pytest.fixture
def desk(talking: Talking, library: Library) -> Iterator[Desk]:
    found = Desk(talking, library)
    yield found
    found.close()


@pytest.fixture
def client(library: Library, desk: Desk) -> TestClient:
    return TestClient(application(library, desk=desk), base_url=HERE, client=("127.0.0.1", 5))
