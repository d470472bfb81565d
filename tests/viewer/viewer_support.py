"""Small traces, hostile words, a server and an app that only reads: what the viewer's tests share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.errors import DataError
from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish_layer, named
from vitrail.viewer.library import Library
from vitrail.viewer.live import LiveModel, Question, Without
from vitrail.viewer.server import application
from vitrail.viewer.serving import Serving, open_port

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from starlette.testclient import TestClient

HOSTILE = (
    "<script>window.hostile=1</script>",
    "<img src=x onerror=window.hostile=1>",
    "</script><script>window.hostile=1</script>",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\U0001f600",
    "\u2028\u2029",
    "<!--<script>",
    "&lt;b&gt;",
    "${window.hostile=1}",
    '" onmouseover="window.hostile=1',
)
"""Tokens that would do harm where somebody took them for more than text."""


def made(
    texts: tuple[str, ...] = ("the", " cat", " sat", " on", " it"), *, seed: int = 0, name: str = "model"
) -> Trace:
    """A trace of 2 layers of 3 heads over these tokens."""
    random = np.random.default_rng(seed)
    n = len(texts)
    axis = Axis("tokens", "tokens", n, texts=texts, ids=np.arange(n, dtype=np.int32))
    layers = []
    for number in range(2):
        q, k, v = (random.normal(size=(3, n, 5)).astype(np.float32) for _ in range(3))
        scores = np.einsum("hqd,hkd->hqk", q.astype(np.float64), k) * 5**-0.5
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        layer = Layer(name=f"layer.{number}", q=q, k=k, v=v, scale=5**-0.5, queries="tokens", keys="tokens")
        layers.append(finish_layer(layer, axis, axis, weights.astype(np.float32)))
    stream = Stream("encoder", "tokens", "tokens", tuple(layers))
    return Trace(named([axis]), (stream,), Provenance(name, texts=("".join(texts),)))


STUB = """
import { el } from "vitrail/dom.js";
import { openTrace } from "vitrail/trace.js";

/** As little as an app can be: opens the first trace and says what it read. */
export async function boot(config) {
  const trace = await openTrace(config.sources[0].source);
  const stream = trace.streams[0];
  const head = await trace.head(stream.name, 0, 1);
  const axis = trace.axis(stream.layers[0].queryAxis);
  const said = { layers: stream.layers.length, q: [...head.q.slice(0, 3)], texts: axis.texts };
  const main = el("main", { id: "read" }, ...axis.texts.map((text) => el("p", { title: text }, text)));
  document.body.replaceChildren(main);
  window.said = said;
  window.config = config;
  config.tell?.({ stream: stream.name, layer: 1, head: 2, query: 3, key: -1 });
  document.title = config.title;
}
"""


@contextmanager
def served(library: Library, **options: Any) -> Iterator[str]:
    """A server of these traces; gives its address."""
    with Serving(application(library, **options), open_port("127.0.0.1", 0)) as serving:
        yield f"http://127.0.0.1:{serving.port}"


Browse = Callable[[str], "Page"]
"""Opens an address in a new page."""


def host_of(url: str) -> str:
    """The host and port of an address."""
    return url.split("/")[2] if "//" in url else ""


HERE = "http://127.0.0.1:8000"
"""Where the test client says it asks."""


class Talking:
    """A live model as small as can be."""

    models = (LiveModel("m", "a model", "text", pair=True), LiveModel("i", "one that sees", "image"))

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.hold = threading.Event()
        self.hold.set()

    def prepare(self, model: str) -> None:
        pass

    def attend(self, question: Question) -> Trace:
        self.hold.wait(10)
        self.asked.append(question)
        if question.text == "bad":
            raise DataError("this text is bad: give another.")
        if question.text == "fault":
            raise ZeroDivisionError
        return made()

    def ablate(self, question: Question, without: Without) -> tuple[float, str]:
        return 0.5, f"{question.text} without {without.stream} {without.layer}.{without.head} ({without.kind})"


def trace_url(client: "TestClient") -> str:
    url: str = client.get("/api/traces").json()["sources"][0]["url"]
    return url
