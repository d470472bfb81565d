"""How soon does a page show attention, and how fast does it follow the pointer, beside BertViz's own page?

    python bench/viewer.py [--tokens 32 128 512 1024 4096] [--layers 12] [--heads 12] [--beside]

Random queries and keys of 12 layers of 12 heads of 64, as a trace behind ``vitrail view``'s server, in a headless
Chromium of 1280 x 720. "first picture" goes from asking for the address to the first frame on whose canvas something is
drawn (Lines: one head; Model: all heads); "hover" from the pointer's event to the end of the frame after it, over
forty tokens; "memory" is what the page's process holds, the browser's own share included.

``--beside`` adds BertViz's head view of the same weights, where its page can be made: ``pip install --no-deps
bertviz ipython``, with d3, jQuery and require.js from the npm registry instead of the network (``npm pack``). Its page
holds all weights as JSON: 0.9 GB at 512 tokens, so only up to ``--most`` tokens (default 128).

Expected (targets of the viewer): first picture within 1 s at 1,024 tokens; hover (95%) within 16 ms at 1,024 and within
50 ms at 4,096; at most 500 MB. A table for people, then one JSON line.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from chromium import FLAGS, PROGRAM
from playwright.sync_api import Browser, Page, Route, sync_playwright

from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish, load_trace, named

SCRIPTS = {
    "d3": ("5.7.0", "dist/d3.min.js"),
    "jquery": ("2.2.4", "dist/jquery.min.js"),
    "requirejs": ("2.3.6", "require.js"),
}
WAIT = 120_000
"""Milliseconds until a page counts as one that shows nothing."""

DRAWN = """() => {
  const canvases = [...document.querySelectorAll(".stage canvas")];
  const done = canvases.some((canvas) => {
    if (canvas.width < 200 || canvas.height < 200) return false;
    const {data} = canvas.getContext("2d").getImageData(0, canvas.height >> 2, canvas.width, canvas.height >> 2);
    let inked = 0;
    for (let at = 3; at < data.length; at += 4 * 7) inked += data[at] > 0;
    return inked > 50;
  });
  if (done && !window.pictureAt) window.pictureAt = performance.now();
  return done;
}"""
"""Whether something is drawn; looked at in every frame."""

LINES = """() => {
  const done = document.querySelectorAll("svg line").length > 0;
  if (done && !window.pictureAt) window.pictureAt = performance.now();
  return done;
}"""

HOVERS = """() => {
  window.hovers = [];
  const seen = (event) => {
    const began = event.timeStamp;
    requestAnimationFrame(() => {
      const {port1, port2} = new MessageChannel();
      port1.onmessage = () => window.hovers.push(performance.now() - began);
      port2.postMessage(0);
    });
  };
  document.addEventListener("pointermove", seen, {capture: true});
}"""
"""From a pointer's event to after the frame that answers it: a message is heard once the frame's work is done."""


def make(tokens: int, layers: int, heads: int, width: int = 64) -> Trace:
    """A trace of random queries and keys, sharper than uniform: half the heads look at neighbours most of all."""
    draw = np.random.default_rng(0)
    axis = Axis("tokens", "tokens", tokens, texts=tuple(f" word{place}" for place in range(tokens)))
    parts = tuple(
        Layer(
            f"layer.{place}",
            *(1.5 * draw.standard_normal((heads, tokens, width), dtype=np.float32) for _ in range(3)),
            scale=width**-0.5,
        )
        for place in range(layers)
    )
    return finish(Trace(named([axis]), (Stream("encoder", "tokens", "tokens", parts),), Provenance("random")))


@contextmanager
def served(path: Path) -> Iterator[str]:
    """``vitrail view`` on a trace; the address."""
    command = [sys.executable, "-m", "vitrail", "view", str(path), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = next((word for word in line.split() if word.startswith("http://")), None)
                if found:
                    break
            yield found or ""
        finally:
            process.terminate()


def ours(browser: Browser, address: str, tokens: int) -> dict[str, float]:
    """First pictures, hovers and memory of our page."""
    lines, page = first_picture(browser, address + "#drawing=lines&layer=3&head=2&heads=2", DRAWN)
    hover = hovers(page, [(330, 260 + 9 * (step % 40)) for step in range(40)])
    memory = resident(page)
    page.context.close()
    model, page = first_picture(browser, address + "#drawing=model", DRAWN)
    page.context.close()
    return {"tokens": tokens, "lines s": lines, "model s": model, **hover, "memory MB": memory}


def theirs(browser: Browser, trace: Trace, folder: Path, tokens: int) -> dict[str, float]:
    """The same of BertViz's head view, all heads of the first layer."""
    from bertviz import head_view
    from torch import from_numpy

    layers = [from_numpy(trace.weights(place)[None]) for place in range(len(trace.parts[0].layers))]
    began = time.perf_counter()
    html = head_view(layers, [f"word{place}" for place in range(tokens)], html_action="return").data
    made = time.perf_counter() - began
    path = folder / "bertviz.html"
    path.write_text(html, encoding="utf-8")
    first, page = first_picture(browser, path.as_uri(), LINES, vendored(folder))
    hover = hovers(page, [(60, 80 + 22 * (step % 20)) for step in range(40)])
    memory = resident(page)
    page.context.close()
    return {
        "tokens": tokens,
        "lines s": first,
        "page made s": made,
        "page MB": len(html) / 1e6,
        **hover,
        "memory MB": memory,
    }


def first_picture(
    browser: Browser, address: str, drawn: str, scripts: dict[str, Path] | None = None
) -> tuple[float, Page]:
    """Seconds from asking for an address to the first frame with a picture; and the page."""
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.set_default_timeout(WAIT)
    if scripts is not None:
        page.route(re.compile("^https:"), lambda route: answer(route, scripts))
    page.goto(address, wait_until="commit")
    page.wait_for_function(drawn, polling="raf")
    return page.evaluate("window.pictureAt") / 1000, page


def answer(route: Route, scripts: dict[str, Path]) -> None:
    """A script of the network's from the folder instead."""
    name = next((name for name in scripts if name.replace("js", "") in route.request.url.replace("js", "")), None)
    if name is None:
        route.abort()
    else:
        route.fulfill(path=scripts[name], content_type="text/javascript")


def vendored(folder: Path) -> dict[str, Path]:
    """d3, jQuery and require.js, from the npm registry."""
    found = {}
    for name, (version, script) in SCRIPTS.items():
        where = folder / name
        if not where.exists():
            where.mkdir()
            packed = subprocess.run(
                ["npm", "pack", "--silent", f"{name}@{version}"], cwd=where, check=True, capture_output=True, text=True
            )
            subprocess.run(["tar", "xzf", packed.stdout.strip().splitlines()[-1]], cwd=where, check=True)
        found[name] = where / "package" / script
    return found


def hovers(page: Page, places: list[tuple[int, int]]) -> dict[str, float]:
    """Milliseconds from a pointer's event to the end of the next frame, over some places."""
    page.wait_for_timeout(1500)
    page.evaluate(HOVERS)
    for x, y in places:
        page.mouse.move(x, y)
        page.wait_for_timeout(60)
    taken = sorted(page.evaluate("window.hovers"))
    return {"hover ms": statistics.median(taken), "hover 95% ms": taken[int(0.95 * (len(taken) - 1))]}


def resident(page: Page) -> float:
    """Megabytes that the page's process holds."""
    session = page.context.browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    pages = [process["id"] for process in processes if process["type"] == "renderer"]
    held = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) * 4096 / 1e6 for one in pages]
    return max(held)


def main() -> None:
    """Measure, print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[32, 128, 512, 1024, 4096])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--beside", action="store_true", help="BertViz's page, too")
    parser.add_argument("--most", type=int, default=128, help="tokens up to which BertViz is tried")
    asked = parser.parse_args()
    rows: list[dict[str, float]] = []
    beside: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as kept, sync_playwright() as playwright:
        folder = Path(kept)
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        for tokens in asked.tokens:
            path = make(tokens, asked.layers, asked.heads).save(folder / f"{tokens}.safetensors")
            with served(path) as address:
                rows.append(ours(browser, address, tokens))
            show("vitrail", rows[-1])
            if asked.beside and tokens <= asked.most:
                beside.append(theirs(browser, load_trace(path), folder, tokens))
                show("bertviz", beside[-1])
            path.unlink()
        browser.close()
    print(
        json.dumps({"bench": "viewer", "layers": asked.layers, "heads": asked.heads, "ours": rows, "bertviz": beside})
    )


def show(name: str, row: dict[str, float]) -> None:
    """One line for people."""
    told = ", ".join(f"{label} {value:,.{0 if value >= 100 else 3}f}" for label, value in row.items())
    print(f"{name:8} {told}", flush=True)


if __name__ == "__main__":
    main()
