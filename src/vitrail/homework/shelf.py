"""Where a report's pictures and traces lie beside it, and the addresses of views on them.

A view is an address of the viewer's page with what is looked at after the ``#`` (``viewer/static/address.js``). It
works offline in a file that holds the traces of a question, and live in a server of the folder of traces.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from vitrail.files import writable_folder
from vitrail.homework.pages import Link, Picture
from vitrail.recipes.results import write_bytes
from vitrail.trace import Trace
from vitrail.viewer.library import Library
from vitrail.viewer.onefile import LIMIT, to_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PORT = 8765
"""Where the live links look for ``vitrail view``."""
TRACES, PICTURES, VIEWS = "traces", "pictures", "views"
LARGEST = 4 * LIMIT
"""Bytes of a file of views: the traces of a large model are long, and a question has a dozen at most."""

Looked = str | int | bool | Sequence[int]
"""What an address holds of a part of the state."""
EVERY_HEAD: Mapping[str, Looked] = {"drawing": "model"}
ATLAS: Mapping[str, Looked] = {"drawing": "atlas"}


class Shelf:
    """A report's folder.

    Args:
        folder: made where it isn't there.
        traces: that can be looked at, by name.

    Raises:
        OutputError: nothing can be written there.
    """

    def __init__(self, folder: Path, traces: Mapping[str, Trace] | None = None) -> None:
        self.folder = writable_folder(folder)
        self.traces = dict(traces or {})
        self._live: dict[str, str] = {}
        self._shown: dict[str, list[str]] = {}
        library = Library()
        for part in (TRACES, VIEWS) if self.traces else ():
            writable_folder(folder / part)
        for name, trace in self.traces.items():
            self._live[name] = library.add(trace.save(folder / TRACES / f"{name}.safetensors")).id

    def picture(self, file: str, figure: "Figure", caption: str, links: Sequence[Link] = ()) -> Picture:
        """Write a figure, and take it onto the page."""
        from vitrail.viewer.figures import save_figure

        place = writable_folder(self.folder / PICTURES) / f"{file}.png"
        return self._taken(place, save_figure(figure, place).read_bytes(), caption, links)

    def copied(self, file: str, content: bytes, caption: str) -> Picture:
        """Keep a picture that was drawn before."""
        place = self.folder / PICTURES / f"{file}.png"
        write_bytes(place, content)
        return self._taken(place, content, caption, ())

    def views(
        self, question: str, text: str, trace: str, looked: Mapping[str, Looked], other: str = ""
    ) -> tuple[Link, Link]:
        """A view of a trace: in the question's own file, and live.

        Args:
            question: its letter.
            text: what the view shows.
            trace: its name.
            looked: what is looked at, as the viewer's store calls it.
            other: name of the trace beside it.
        """
        names = [name for name in (trace, other) if name]
        offline = _address([f"t{self._place(question, name)}" for name in names], looked)
        live = _address([self._live[name] for name in names], looked)
        return Link(text, f"{VIEWS}/{question}.html#{offline}"), Link("live", f"http://127.0.0.1:{PORT}/#{live}")

    def write_views(self) -> list[Path]:
        """Write the files that the views are in.

        Raises:
            VitrailError: one would be longer than a browser opens, or can't be written.
        """
        written = []
        for question, names in self._shown.items():
            traces = {name: self.folder / TRACES / f"{name}.safetensors" for name in names}
            path = self.folder / VIEWS / f"{question}.html"
            written.append(to_html(traces, path, limit=LARGEST, title=f"Attention ({question})").path)
        return written

    def _taken(self, place: Path, content: bytes, caption: str, links: Sequence[Link]) -> Picture:
        return Picture(place.relative_to(self.folder).as_posix(), caption, content, tuple(links))

    def _place(self, question: str, trace: str) -> int:
        """Which trace of the question's file it is; one more where it wasn't in it."""
        names = self._shown.setdefault(question, [])
        if trace not in names:
            names.append(trace)
        return names.index(trace)


def head(layer: int, number: int, **looked: Looked) -> dict[str, Looked]:
    """The part of an address that chooses one head."""
    return {"layer": layer, "head": number, "heads": [number], **looked}


def _address(traces: Sequence[str], looked: Mapping[str, Looked]) -> str:
    """What is looked at, as ``toAddress`` of the viewer's store writes it."""
    named = dict(zip(("trace", "other"), traces, strict=False))
    return urlencode({**named, **{name: _said(value) for name, value in looked.items()}}, quote_via=quote)


def _said(value: Looked) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ".".join(map(str, value))
