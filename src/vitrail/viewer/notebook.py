"""Traces in a notebook: the page in a frame, its bytes asked of the kernel, what is looked at readable in Python.

By the protocol of anywidget, which Jupyter, VS Code, Colab and marimo speak. The frame is sandboxed and has no origin
(``static/widget.js``); a head's numbers cross as bytes when it is looked at.
"""

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitrail.errors import ConfigError
from vitrail.viewer.browsers import open_browser
from vitrail.viewer.onefile import OneFile, Traces, embedded, listed, to_html
from vitrail.viewer.page import STATIC, Entry, page

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ConfigError(
        "showing traces in a notebook needs anywidget, which isn't installed: pip install 'vitrail[notebook]', or "
        "write a page with vt.to_html."
    ) from error

LARGEST = 2**26
"""Bytes that are sent at once."""


class TraceWidget(anywidget.AnyWidget):
    """Traces, shown where a cell ends with it; ``selection`` says what is looked at."""

    _esm = (STATIC / "widget.js").read_text(encoding="utf-8")
    page = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(720).tag(sync=True)
    """Pixels."""
    selection = traitlets.Dict().tag(sync=True)
    """``stream``, ``layer``, ``head``, ``query``, ``key`` (-1: none); empty before the first look."""

    def __init__(self, entries: Sequence[Entry], stack: ExitStack, height: int) -> None:
        self._paths = {entry.id: entry.path for entry in entries if entry.path is not None}
        self._stack = stack
        asked = [replace(entry, kind="port") for entry in entries]
        text = page(asked, nonce=secrets.token_urlsafe(16), modules="inlined", tour=False)
        super().__init__(page=text, height=height)
        self.on_msg(self._answer)

    def close(self) -> None:
        """Take it off the notebook, and forget the files behind it."""
        super().close()
        self._stack.close()

    def _answer(self, widget: Any, content: Any, buffers: Any) -> None:
        """Send the bytes that a frame asked for, or say in a sentence why not."""
        asked = content if isinstance(content, Mapping) else {}
        back = {"view": asked.get("view"), "call": asked.get("call")}
        try:
            start, end = int(asked["start"]), int(asked["end"])
            if not 0 <= start <= end or end - start > LARGEST:
                raise ValueError("a range of a file is needed")
            with self._paths[asked["id"]].open("rb") as file:
                file.seek(start)
                self.send(back, buffers=[file.read(end - start)])
        except (KeyError, TypeError, ValueError, OSError) as error:
            self.send({**back, "error": f"these bytes can't be had ({type(error).__name__}): run the cell again."})


def show(
    traces: Traces | Sequence[Traces] | Mapping[str, Traces], *more: Traces, height: int = 720
) -> TraceWidget | OneFile:
    """Show traces in a notebook: ``vt.show(trace)``, ``vt.show({"trained": trace, "untrained": twin})``.

    Outside of a notebook they are written as one file in a temporary folder, which is opened in the browser.

    Args:
        traces: one, several, or several by name; traces or paths of them. The first is opened.
        more: further ones.
        height: pixels of the frame.

    Returns:
        A widget whose ``selection`` is what is looked at: stream, layer, head, query, key; or the file.

    Raises:
        ConfigError: there is no trace.
        TraceError: something is no trace.
    """
    if more and isinstance(traces, Mapping):
        raise ConfigError("traces are shown by name or one after the other: put all of them into the mapping.")
    given = [*listed(traces), *more] if more and not isinstance(traces, Mapping) else traces
    if not in_notebook():
        return _in_browser(given)
    stack = ExitStack()
    return TraceWidget(embedded(given, stack), stack, height)


def in_notebook() -> bool:
    """Whether a kernel runs this, which can show widgets."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _in_browser(traces: Traces | Sequence[Traces] | Mapping[str, Traces]) -> OneFile:
    folder = Path(tempfile.mkdtemp(prefix="vitrail-"))
    written = to_html(traces, folder / "traces.html")
    open_browser(written.path.as_uri())
    return written
