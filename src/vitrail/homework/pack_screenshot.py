"""A picture of TensorBoard itself, showing the losses of a training: its own server, photographed by a browser.

Both run here and only for this: the server listens on this machine alone, on a free port, and the browser (Chromium or
Chrome, steered by playwright) may ask nobody else. Where one of them is missing there is no picture, and it is said
why.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vitrail.errors import ConfigError

if TYPE_CHECKING:
    from playwright.sync_api import Route

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--hide-scrollbars")
"""The page is TensorBoard's own, of this machine: nothing from outside is opened in this browser."""
STARTING = 90.0
"""Seconds that TensorBoard may take to begin, and each of its parts to be drawn."""
DRAWING = 4.0
"""Seconds that lines take to be drawn after their frame, which nothing announces."""
WIDTH, HEIGHT, SCALE = 1200, 620, 1.5
"""Of the window, and pixels of the picture for one of the window's."""
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+/")


@dataclass(frozen=True)
class Shot:
    """What came of it.

    Attributes:
        picture: PNG; None where it could not be taken.
        why: then, the reason, as part of a sentence.
        remedy: and the command that mends it.
    """

    picture: bytes | None
    why: str = ""
    remedy: str = ""


def photograph(folder: Path, browser: str | None = None) -> Shot:
    """TensorBoard's own page on the losses below a folder.

    Args:
        folder: with TensorBoard's event files.
        browser: the program to take the picture with; one is looked for unless given.

    Raises:
        ConfigError: the program that was named isn't there.
    """
    if next(folder.rglob("events.out.tfevents.*"), None) is None:
        return Shot(None, "there are no event files", "vitrail train summarizer")
    program = which(browser) if browser else next(filter(None, map(which, PROGRAMS)), None)
    if program is None:
        if browser:
            raise ConfigError(f"there is no program {browser!r} to take pictures with: leave --browser out.")
        return Shot(None, "there is no Chromium or Chrome", "apt-get install chromium")
    if find_spec("playwright") is None:
        return Shot(None, "playwright, which steers the browser, isn't installed", "pip install 'vitrail[homework]'")
    # In a thread of its own: a notebook's has an event loop, in which playwright's plain interface refuses to work.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(_shoot, folder, program).result()


def _shoot(folder: Path, program: str) -> Shot:
    from playwright.sync_api import Error, sync_playwright

    try:
        with _tensorboard(folder) as address, sync_playwright() as started:
            chromium = started.chromium.launch(executable_path=program, args=list(FLAGS))
            page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE)
            page.set_default_timeout(1000 * STARTING)

            def only_here(route: "Route") -> None:
                if route.request.url.startswith((address, "data:", "blob:")):
                    route.continue_()
                else:
                    route.abort()

            page.route("**/*", only_here)
            page.goto(f"{address}?darkMode=false&smoothing=0&tagFilter=%2Floss%24#timeseries")
            page.wait_for_selector("card-view line-chart")
            with suppress(Error):  # more room for the lines, where TensorBoard still calls it so
                page.get_by_role("button", name="Settings").click(timeout=2000)
            page.wait_for_timeout(1000 * DRAWING)
            picture = page.screenshot()
            chromium.close()
    except (Error, OSError) as error:  # TimeoutError among them
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        return Shot(None, f"it could not be photographed ({reason})", "vitrail homework pack")
    return Shot(picture)


@contextmanager
def _tensorboard(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that reads a folder, until the context ends.

    Raises:
        TimeoutError: it doesn't begin.
    """
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder.resolve()), "--load_fast=false"]
    words += ["--host", "127.0.0.1", "--port", "0"]
    with TemporaryDirectory() as place:
        said = Path(place) / "said"
        with (
            said.open("wb") as file,
            subprocess.Popen(words, stdout=file, stderr=file, stdin=subprocess.DEVNULL) as running,
        ):
            try:
                yield _address(running, said)
            finally:
                running.terminate()


def _address(running: "subprocess.Popen[bytes]", said: Path) -> str:
    until = time.monotonic() + STARTING
    while time.monotonic() < until and running.poll() is None:
        if found := _ADDRESS.search(said.read_bytes()):
            return found[0].decode()
        time.sleep(0.1)
    raise TimeoutError("TensorBoard did not start")
