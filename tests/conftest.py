"""What all tests share: shapes are checked while they run, nothing is downloaded, lower floors are tested first."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Every annotated shape of these rooms is checked at run time in tests (and only there).
install_import_hook(
    ["vitrail.nn", "vitrail.data", "vitrail.vision", "vitrail.faces", "vitrail.gallery", "vitrail.capture"],
    "beartype.beartype",
)
# Of the homework what its notebooks call: the rest gets files and code from outside, and refuses them in words.
install_import_hook(["vitrail.homework.mae", "vitrail.homework.summarization"], "beartype.beartype")
# Of traces only what is computed: what a trace is made of may come from a file, and is refused with a TraceError.
TRACE = ("comparing", "digest", "finishing", "flow", "importance", "recompute", "scores", "tables", "words")
install_import_hook([f"vitrail.trace.{name}" for name in TRACE], "beartype.beartype")
# Of figures what turns arrays into them.
DRAWN = ("difference", "grid", "maps", "pictures")
install_import_hook([f"vitrail.viewer.figures.{name}" for name in DRAWN], "beartype.beartype")

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", COLUMNS="100")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).parents[1]
FLOORS = (
    "architecture",
    "nn",
    "trace",
    "data",
    "train",
    "vision",
    "faces",
    "gallery",
    "capture",
    "viewer",
    "recipes",
    "studies",
    "homework",
    "cli",
    "parity",
    "docs",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lowest floor first: a fault shows where it is before it shows where it hurts."""

    def floor(item: pytest.Item) -> int:
        room = item.path.relative_to(ROOT / "tests").parts[0]
        return FLOORS.index(room) if room in FLOORS else len(FLOORS)

    items.sort(key=floor)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images go to a folder of this test session, not to the user's cache."""
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path_factory.getbasetemp() / "vitrail-cache"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}")
    return folder


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, headless, one for all tests of a process, which can't hold a second loop of its kind; tests
    that need it are skipped where it or playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()
