"""The traces that a server offers: found in files and folders, or captured while it runs.

A trace is named by an id made from its path, which a request can't turn back into one: nothing is ever opened but what
was put in here. What can't be read is listed with the reason, and stays with it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from vitrail.errors import DataError, TraceError
from vitrail.trace import load_trace
from vitrail.viewer.page import Entry, about

SUFFIX = ".safetensors"
MOST_FILES = 2000
"""Traces that are listed of one folder."""
_BEGINNING = 512
"""Bytes in which a trace says that it is one: the metadata stand at the beginning of the header."""


@dataclass(frozen=True)
class Listed:
    """A trace of the library."""

    entry: Entry
    path: Path
    origin: Any = None
    """Of a captured one: what it was captured from, so that it can be captured again with a head taken away."""


class Library:
    """Traces in the order they were put in; several threads may use it."""

    def __init__(self) -> None:
        self._listed: dict[str, Listed] = {}
        self._lock = Lock()
        self.growing = False
        """More may come without the page's asking: it looks for them from time to time."""

    def add(self, path: Path, name: str | None = None, *, origin: Any = None, identity: str | None = None) -> Entry:
        """List a file; one that isn't a trace is listed with the reason."""
        place = Path(path).resolve()
        name = name or place.stem
        identity = identity or hashlib.blake2b(os.fsencode(place), digest_size=8).hexdigest()
        known, error = _known(place)
        entry = Entry(identity, name, "http", f"/traces/{identity}", error, known)
        with self._lock:
            self._listed[identity] = Listed(entry, place, origin)
        return entry

    def add_folder(self, folder: Path) -> int:
        """List the traces in a folder and below; how many there are.

        Raises:
            DataError: there are too many to list.
        """
        found = list(traces_in(folder))
        for path in found:
            self.add(path, path.relative_to(folder.resolve()).with_suffix("").as_posix())
        return len(found)

    def remove(self, identity: str) -> None:
        """Forget a trace; its file stays."""
        with self._lock:
            self._listed.pop(identity, None)

    def get(self, identity: str) -> Listed | None:
        """A trace by its id."""
        with self._lock:
            return self._listed.get(identity)

    def entries(self) -> list[Entry]:
        """All traces, as a page lists them."""
        with self._lock:
            return [listed.entry for listed in self._listed.values()]


def traces_in(folder: Path) -> Iterator[Path]:
    """Files in a folder and below that say they are traces; other files of tensors (weights of models) are passed over.

    Links are followed only to files inside the folder; hidden folders aren't looked into.

    Raises:
        DataError: there are too many to list.
    """
    inside = folder.resolve()
    count = 0
    for place, folders, files in os.walk(inside):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files, key=lambda name: Path(name).stem):  # a trace before its "-untrained" twin
            path = Path(place, name)
            if path.suffix == SUFFIX and path.resolve().is_relative_to(inside) and says_it_is_one(path):
                count += 1
                if count > MOST_FILES:
                    raise DataError(
                        f"{folder} holds more than {MOST_FILES:,} traces, which nobody finds their way in: "
                        "name a folder in it."
                    )
                yield path


def says_it_is_one(path: Path) -> bool:
    """Whether a file begins as a trace does."""
    try:
        with path.open("rb") as file:
            return b"vitrail.trace" in file.read(_BEGINNING)
    except OSError:
        return False


def _known(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """What a page lists of a trace before it is opened, or why it can't be."""
    try:
        trace = load_trace(path)
    except (TraceError, OSError) as error:
        return {}, str(error)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, MemoryError) as error:
        return {}, f"{path.name} can't be read as a trace ({type(error).__name__}): capture it again."
    return {**about(trace.provenance), "streams": list(trace.streams)}, None
