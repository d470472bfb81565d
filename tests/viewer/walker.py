"""Walks the page as people do, and reads off what it says; waits for what it shows, never for a time."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlencode

import numpy as np
from viewer_support import Browse

from vitrail.trace import Trace

if TYPE_CHECKING:
    from playwright.sync_api import Page

DRAWINGS = ("lines", "matrix", "text", "image", "arithmetic", "model", "atlas")

GO = """address => new Promise(done => {
  if (location.hash === address) return done();
  addEventListener("hashchange", () => done(), {once: true});
  location.hash = address;
})"""


@dataclass
class Walker:
    """A page, and where its traces are."""

    page: "Page"
    ids: Mapping[str, str]
    """What the page calls each trace, by our name for it."""

    def settled(self) -> None:
        """Until all that was asked for is drawn."""
        self.page.wait_for_selector('#stage[aria-busy="false"]', state="attached")

    def go(self, trace: str, **state: object) -> None:
        """To a state, by its address."""
        if "other" in state:
            state["other"] = self.ids[str(state["other"])]
        if "head" in state:
            state.setdefault("heads", state["head"])
        self.page.evaluate(GO, f"#{urlencode({'trace': self.ids[trace], **state})}")
        self.settled()

    def state(self) -> dict[str, str]:
        """What the address says."""
        self.page.evaluate("() => dispatchEvent(new Event('pagehide'))")  # writes it at once
        return {name: values[0] for name, values in parse_qs(self.page.url.partition("#")[2]).items()}

    def until(self, **state: str) -> None:
        """Until the address says so, and it is drawn; "" is what an address leaves out."""
        wanted = {name: self.ids.get(value, value) for name, value in state.items()}
        self.page.wait_for_function(
            """wanted => { dispatchEvent(new Event("pagehide"));
            const found = new URLSearchParams(location.hash.slice(1));
            return Object.entries(wanted).every(([name, value]) => (found.get(name) ?? "") === value); }""",
            arg=wanted,
        )
        self.settled()

    def press(self, *keys: str) -> None:
        """Real keys, one after the other; each is drawn before the next."""
        for key in keys:
            self.page.keyboard.press(key)
            self.settled()

    def saved(self, kind: Literal["SVG", "PNG", "CSV"]) -> bytes:
        """The file behind a button."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=kind, exact=True).click()
        return Path(download.value.path()).read_bytes()

    def csv(self) -> list[list[str]]:
        """Rows of the numbers, the head of the table first."""
        return list(csv.reader(io.StringIO(self.saved("CSV").decode("utf-8-sig"))))

    def behind(self, caption: str) -> list[list[str]]:
        """Rows of the table behind the picture, once its caption says so."""
        table = self.page.locator(".unseen table", has=self.page.locator("caption", has_text=caption))
        table.wait_for(state="attached")
        return list(
            table.evaluate("one => [...one.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))")
        )

    def told(self, title: str) -> dict[str, float]:
        """The numbers of one part of the inspector, by what stands before each."""
        rows = self.page.locator(f"aside h3:has-text('{title}') ~ table").first.locator("tr").all()
        return {
            str(row.locator("th").text_content()): number(str(row.locator(".value").text_content())) for row in rows
        }

    def notice(self) -> str:
        """What the page says went wrong; nothing is ""."""
        said = self.page.locator(".notice")
        return str(said.text_content()).removesuffix("Close") if said.is_visible() else ""


Walk = Callable[..., Walker]
"""Opens a page to walk through."""


def number(text: str) -> float:
    """A number as the page writes it; a dash and an empty cell are none."""
    signs = {"–": "nan", "": "nan", "∞": "inf", "−∞": "-inf"}
    return float(signs.get(text, text).removeprefix("'").replace("−", "-"))


def numbers(rows: list[list[str]], column: int) -> np.ndarray:
    """A column of a table."""
    return np.array([number(row[column]) for row in rows])


def python(trace: Trace, quantity: str, layer: int, head: int, stream: str, other: Trace | None = None) -> np.ndarray:
    """What a head's picture stands for, from Python; NaN where nobody may look or nothing is finite."""
    weights = trace.weights(layer, head, stream).astype(float)
    if quantity == "weight":
        return weights
    if quantity == "score":
        found = trace.scores(layer, head, stream).astype(float)
    elif quantity == "weight-value":
        vo = trace.layer(layer, stream).vo
        assert vo is not None
        found = weights * vo[head].astype(float)
    elif quantity == "difference":
        assert other is not None
        found = weights - other.weights(layer, head, stream)
    else:
        found = trace.gradients(layer, head, stream) * (weights if quantity == "weight-gradient" else 1.0)
    seen = np.isfinite(trace.scores(layer, head, stream))
    return np.where(seen | (quantity in ("weight-gradient", "weight-value", "difference")), found, np.nan)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """As near as the page promises: 1e-4."""
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=2e-6)


def walker(browse: Browse, address: str, ids: Mapping[str, str], **state: object) -> Walker:
    """A page of these traces, drawn."""
    found = Walker(browse(f"{address}#{urlencode({'trace': next(iter(ids.values())), **state})}"), ids)
    found.settled()
    return found
