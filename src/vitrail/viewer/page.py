"""The one page of all hosts: served by our server, written into one file, or put into a frame of a notebook.

Hosts differ in two things: whether modules are fetched from the server or stand in the page, and where the bytes of
traces come from. Whatever Python tells the page is JSON in an element that runs nothing, with every character that HTML
could read as markup escaped; modules and bytes of traces stand in such elements too. What may run is said by a policy
(Content-Security-Policy) with a nonce: a token or a name that is markup stays text, and would not run if it didn't.
"""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from vitrail.trace import Provenance

STATIC = Path(__file__).parent / "static"
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
"""What of the static folder is served, and as what."""
_MARK = re.compile(r"<!-- (\w+) -->")
_CHUNK = 3 * 2**18
"""Bytes that are encoded at once; a multiple of three, so that pieces of base64 can be put together."""

Modules = Literal["served", "inlined"]


@dataclass(frozen=True)
class Entry:
    """A trace that a page offers."""

    id: str
    """Names it in addresses and elements: letters, digits, "-" and "_"."""
    name: str
    """What people read; any text."""
    kind: Literal["http", "embedded", "port"]
    """Bytes come from ``url``, stand in the page, or are asked for through the notebook's frame."""
    url: str | None = None
    error: str | None = None
    """Why it can't be read, in one sentence."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What is known of it without reading it: ``about``."""
    path: Path | None = None
    """Of an embedded one: the file."""

    def described(self) -> dict[str, Any]:
        """As the page gets it."""
        fields = {"id": self.id, "name": self.name, "kind": self.kind, "url": self.url, "error": self.error}
        return {**{name: value for name, value in fields.items() if value is not None}, **self.about}


def about(known: Provenance) -> dict[str, Any]:
    """What a page is told of a trace before it opens it; a step makes it one of a series."""
    step = {} if known.step is None else {"step": known.step}
    return {"model": known.model, "weights": known.weights, "texts": [text[:200] for text in known.texts], **step}


def page(
    entries: Sequence[Entry],
    *,
    nonce: str,
    modules: Modules = "served",
    live: Mapping[str, Any] | None = None,
    title: str = "Vitrail",
    growing: bool = False,
    tour: bool = True,
) -> str:
    """The page as a text; the arguments as of ``pieces``."""
    return "".join(pieces(entries, nonce=nonce, modules=modules, live=live, title=title, growing=growing, tour=tour))


def pieces(
    entries: Sequence[Entry],
    *,
    nonce: str,
    modules: Modules = "served",
    live: Mapping[str, Any] | None = None,
    title: str = "Vitrail",
    growing: bool = False,
    tour: bool = True,
) -> Iterator[str]:
    """The page piece by piece, so that large traces needn't be in memory.

    Args:
        entries: the traces that it offers, the first of them opened.
        nonce: what may run carries it; new for each page.
        modules: "served" where the server answers for ``/static``, "inlined" where the page stands alone.
        live: what models run on the server, for the page's form; None without.
        title: what the browser's tab says.
        growing: more traces may come, and the page asks for them.
        tour: first-time visitors are shown around.
    """
    offered = [entry.described() for entry in entries]
    told = {"title": title, "sources": offered, "live": live, "growing": growing, "tour": tour}
    parts = {
        "policy": lambda: _policy(nonce, modules),
        "title": lambda: iter([html.escape(title)]),
        "style": lambda: _style(nonce, modules),
        "config": lambda: iter([f'<script type="application/json" id="vitrail">{escaped(told)}</script>']),
        "traces": lambda: _traces(entries),
        "modules": lambda: _modules(nonce, modules),
        "start": lambda: _start(nonce, modules),
    }
    text = (STATIC / "page.html").read_text(encoding="utf-8")
    for place, piece in enumerate(_MARK.split(text)):
        if place % 2:
            yield from parts[piece]()
        else:
            yield piece


def policy(nonce: str, modules: Modules = "served") -> str:
    """What a page may run, show and ask for (Content-Security-Policy).

    Workers are made from a text of the page's own, pictures from what it computes; a page that stands alone asks nobody
    for anything.
    """
    served = modules == "served"
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}' " + ("'self'" if served else "blob:"),
        "worker-src": "blob:",
        "connect-src": "'self'" if served else "'none'",
        "img-src": "blob: data:",
        "style-src": "'self'" if served else f"'nonce-{nonce}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    if served:  # a policy that stands in the page can't say this
        rules["frame-ancestors"] = "'none'"
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())


def static_files() -> dict[str, Path]:
    """What the static folder holds for browsers, by its name in addresses, such as ``drawings/lines.js``."""
    found = (path for path in sorted(STATIC.rglob("*")) if path.suffix in KINDS)
    return {path.relative_to(STATIC).as_posix(): path for path in found}


def escaped(value: object) -> str:
    """JSON that may stand in an element: no character of it begins markup or ends a line of a script."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.encode("utf-8", "replace").decode()  # lone surrogates
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(nonce: str, modules: Modules) -> Iterator[str]:
    """In the page itself only where no server says it."""
    if modules == "inlined":
        yield f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy(nonce, modules))}">'


def _style(nonce: str, modules: Modules) -> Iterator[str]:
    """Sheets of the drawings after the page's own, which sets the colours."""
    sheets = {name: path for name, path in static_files().items() if path.suffix == ".css"}
    for name in sorted(sheets, key=lambda name: (name != "style.css", name)):
        if modules == "served":
            yield f'<link rel="stylesheet" href="/static/{name}">\n'
        else:
            yield f'<style nonce="{nonce}">\n{sheets[name].read_text(encoding="utf-8")}</style>\n'


def _traces(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.kind == "embedded" and entry.path is not None:
            yield f'<script type="application/octet-stream" id="bytes-{entry.id}">'
            with entry.path.open("rb") as file:
                yield from _base64(file)
            yield "</script>\n"


def _base64(file: BinaryIO) -> Iterator[str]:
    while chunk := file.read(_CHUNK):
        yield base64.b64encode(chunk).decode("ascii")


def _modules(nonce: str, modules: Modules) -> Iterator[str]:
    """How modules are found by name: at the server, or as texts that stand here."""
    scripts = {name: path for name, path in static_files().items() if path.suffix == ".js"}
    if modules == "served":
        yield f'<script type="importmap" nonce="{nonce}">{{"imports":{{"vitrail/":"/static/"}}}}</script>'
        for name in scripts:  # else each is asked for only once what imports it has come
            if not name.startswith("drawings/"):  # these come when they are asked for
                yield f'\n<link rel="modulepreload" href="/static/{name}" nonce="{nonce}">'
        return
    texts = {f"vitrail/{name}": path.read_text(encoding="utf-8") for name, path in scripts.items()}
    yield f'<script type="application/json" id="vitrail-modules">{escaped(texts)}</script>'


def _start(nonce: str, modules: Modules) -> Iterator[str]:
    if modules == "served":
        yield f'<script type="module" nonce="{nonce}" src="/static/start.js"></script>'
    else:
        yield f'<script nonce="{nonce}">\n{(STATIC / "inlined.js").read_text(encoding="utf-8")}</script>'
