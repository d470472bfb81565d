"""What ``vitrail view`` opens: traces in files and folders, runs, and models that run on what is typed."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.viewer.guard import LOOPBACK
from vitrail.viewer.library import SUFFIX, Library

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class ViewRecipe:
    """See every head of a model in the browser: of traces, of runs, or of any Hugging Face model on what you type."""

    things: tuple[str, ...]
    """Traces, folders of them, runs, Hugging Face models; and a text, or two, for the models (default: an example)."""
    host: str = "127.0.0.1"
    """Address to listen at; other machines than this one get in with the token that is printed."""
    port: int = 0
    """Port to listen at; 0 takes a free one."""
    no_open: bool = False
    """Don't open the browser, only say the address."""


@dataclass(frozen=True)
class Named:
    """What the words of a command name, sorted."""

    traces: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def sort(things: tuple[str, ...]) -> Named:
    """Tell traces, folders, models and texts apart: what exists is what it is; the first other word may name a model.

    Raises:
        ConfigError: a text without a model, or a file that is missing or no trace.
    """
    traces: list[Path] = []
    folders: list[Path] = []
    models: list[str] = []
    texts: list[str] = []
    for thing in things:
        path = Path(thing)
        if path.is_dir():
            (models.append(thing) if (path / "config.json").is_file() else folders.append(path))
        elif path.is_file():
            traces.append(path)
        elif thing.endswith(SUFFIX):
            raise ConfigError(f"{thing} does not exist: name a trace that 'vitrail attend' wrote.")
        elif not models and not texts and HUB_NAME.fullmatch(thing):
            models.append(thing)
        else:
            texts.append(thing)
    if texts and not models:
        raise ConfigError(f"{texts[0]!r} is no file and no folder, and as a text it needs a model before it.")
    if len(texts) > 2:
        raise ConfigError(f"{len(texts)} texts can't be read together, only one or two: put quotes around each.")
    return Named(tuple(traces), tuple(folders), tuple(models), tuple(texts))


@dataclass(frozen=True)
class Opened:
    """A server that answers.

    Attributes:
        url: where.
        library: what it offers; more may be put in.
    """

    url: str
    library: Library


@contextmanager
def serve(recipe: ViewRecipe, report: Report = ignore) -> Iterator[Opened]:
    """Serve what is named until the block ends.

    Raises:
        VitrailError: something named isn't there, or the port can't be had.
    """
    import secrets

    from vitrail.viewer.guard import Door
    from vitrail.viewer.server import application
    from vitrail.viewer.serving import Serving, open_port

    named = sort(recipe.things)
    library = Library()
    for path in named.traces:
        library.add(path)
    for folder in named.folders:
        if not library.add_folder(folder):
            report(Note(f"there are no traces in {folder}"))
    listening = open_port(recipe.host, recipe.port)
    away = recipe.host not in LOOPBACK
    token = secrets.token_urlsafe(24) if away else None
    door = Door(frozenset({*LOOPBACK, recipe.host.lower(), _machine()}) if away else LOOPBACK, token)
    with Serving(application(library, door=door), listening) as serving:
        host = f"[{recipe.host}]" if ":" in recipe.host else recipe.host
        shown = _machine() if recipe.host in ("0.0.0.0", "::") else host
        query = f"?token={token}" if token else ""
        yield Opened(f"http://{shown}:{serving.port}/{query}", library)


def _machine() -> str:
    import socket

    return socket.gethostname().lower()


def has_screen() -> bool:
    """Whether a browser would have somewhere to show itself."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Open the page where there is a screen and a browser; whether it did."""
    import webbrowser

    if not has_screen():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
