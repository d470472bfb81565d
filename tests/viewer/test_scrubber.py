"""Checkpoints of one run: a handle along its training swaps them, and what is looked at stays."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import numpy as np
import pytest
from viewer_support import Browse, made, served
from walker import Walker, close, number

from vitrail.trace import Trace
from vitrail.viewer.library import Library
from vitrail.viewer.onefile import to_html

pytestmark = pytest.mark.browser

EVERY, COUNT = 150, 9
LOOKED_AT = {"drawing": "matrix", "layer": 1, "head": 2, "heads": 2, "query": 3, "key": 1, "pin": "3.1"}


def checkpoint(step: int, model: str = "runs/a") -> Trace:
    trace = made(seed=step, name=model)
    return replace(trace, provenance=replace(trace.provenance, step=step, revision=f"step {step}"))


@pytest.fixture(scope="module")
def run() -> dict[str, Trace]:
    """A run's checkpoints, in no order, among those of another run and a trace that is of none."""
    steps = [EVERY * (place * 4 % COUNT) for place in range(COUNT)]
    assert steps[0] == 0 < steps[1]
    assert steps != sorted(steps)
    found = {f"step {step}": checkpoint(step) for step in steps}
    return {**found, "alone": made(), "other 0": checkpoint(0, "runs/b"), "other 1": checkpoint(1, "runs/b")}


@pytest.fixture(scope="module")
def library(run: dict[str, Trace], tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder, found = tmp_path_factory.mktemp("run"), Library()
    for name, trace in run.items():
        found.add(trace.save(folder / f"{name}.safetensors"), name)
    return found


@pytest.fixture(scope="module")
def address(library: Library) -> Iterator[str]:
    with served(library) as found:
        yield found


def opened(browse: Browse, address: str, library: Library, **state: object) -> Walker:
    at = Walker(browse(f"{address}/#{urlencode(state)}"), {entry.name: entry.id for entry in library.entries()})
    at.settled()
    return at


def said(at: Walker) -> str:
    return str(at.page.get_by_label("checkpoint").get_attribute("aria-valuetext"))


def wait(at: Walker, words: str) -> None:
    """Until the handle says so and it is drawn."""
    at.page.wait_for_selector(f'.scrubber input[aria-valuetext="{words}"]')
    at.settled()


def weights(at: Walker) -> np.ndarray:
    """The matrix that is drawn."""
    return np.array([[number(cell) for cell in row[1:6]] for row in at.csv()[1:6]])


def test_scrubbing_shows_each_checkpoints_numbers_and_keeps_what_is_looked_at(
    browse: Browse, address: str, library: Library, run: dict[str, Trace]
) -> None:
    at = opened(browse, address, library, **LOOKED_AT)
    handle = at.page.get_by_label("checkpoint")
    assert said(at) == "step 1,200, 9 of 9", "how far it has come stands first"
    handle.focus()
    seen = []
    keys = {"ArrowLeft": (7, 6), "Home": (0,), "ArrowRight": (1,), "End": (8,), "ArrowDown": (7,)}
    for key, place in ((key, place) for key, places in keys.items() for place in places):
        at.page.keyboard.press(key)
        step = EVERY * place
        wait(at, f"step {step:,}, {place + 1} of {COUNT}")
        assert at.page.evaluate("document.activeElement.type") == "range", "the handle is held on to"
        at.until(**{name: str(value) for name, value in LOOKED_AT.items()}, trace=f"step {step}")
        close(weights(at), run[f"step {step}"].weights(1, 2))
        handle.focus()
        seen.append(step)
    handle.fill("4")
    wait(at, f"step {4 * EVERY}, 5 of {COUNT}")
    close(weights(at), run[f"step {4 * EVERY}"].weights(1, 2))
    assert len(set(seen)) == 5


def test_space_shows_the_checkpoint_before_while_it_is_held(
    browse: Browse, address: str, library: Library, run: dict[str, Trace]
) -> None:
    at = opened(browse, address, library, **LOOKED_AT)
    for focus in (".scrubber input", ".matrix-stage"):
        at.page.locator(focus).focus()
        at.page.keyboard.down(" ")
        wait(at, "step 1,050, the one before")
        close(weights(at), run["step 1050"].weights(1, 2))
        at.page.keyboard.up(" ")
        wait(at, "step 1,200, 9 of 9")
        close(weights(at), run["step 1200"].weights(1, 2))
    at.page.locator(".scrubber input").focus()
    at.page.keyboard.press("Home")
    wait(at, "step 0, 1 of 9")
    at.page.keyboard.down(" ")
    at.page.keyboard.up(" ")
    at.settled()
    assert said(at) == "step 0, 1 of 9", "before the first there is none"


def test_few_checkpoints_stay_open(browse: Browse, address: str, library: Library) -> None:
    at = opened(browse, address, library, **LOOKED_AT)
    read: list[str] = []
    at.page.on(
        "request", lambda request: read.append(request.url.rpartition("/")[2]) if "/traces/" in request.url else None
    )
    handle = at.page.get_by_label("checkpoint")
    handle.focus()
    for place in range(COUNT - 2, -1, -1):
        at.page.keyboard.press("ArrowLeft")
        wait(at, f"step {EVERY * place:,}, {place + 1} of {COUNT}")
    assert len(set(read)) == COUNT - 1
    before = len(read)
    at.page.keyboard.press("ArrowRight")
    wait(at, f"step {EVERY}, 2 of {COUNT}")
    assert len(read) == before, "the last few are at hand"
    at.page.keyboard.press("End")
    wait(at, "step 1,200, 9 of 9")
    assert set(read[before:]) == {at.ids["step 1200"]}, "those of long ago were let go"


def test_runs_are_kept_apart_and_a_trace_of_none_has_no_handle(browse: Browse, address: str, library: Library) -> None:
    at = opened(browse, address, library)
    at.go("other 1")
    assert said(at) == "step 1, 2 of 2"
    at.go("alone")
    assert at.page.locator(".scrubber").is_hidden()
    at.page.keyboard.down(" ")
    at.page.keyboard.up(" ")
    assert at.notice() == ""


def test_one_file_has_it_too(browse: Browse, run: dict[str, Trace], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("one") / "run.html"
    to_html({name: trace for name, trace in run.items() if name != "alone"}, path)
    at = Walker(browse(path.as_uri()), {})
    at.settled()
    assert said(at) == "step 1,200, 9 of 9"
    at.page.get_by_label("checkpoint").focus()
    at.page.keyboard.press("PageDown")
    at.page.keyboard.press("Home")
    wait(at, "step 0, 1 of 9")
