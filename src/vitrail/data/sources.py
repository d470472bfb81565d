"""What stands behind ``--data``: an embedded name, a folder, a parquet file or a Hub name → sources of examples."""

import difflib
import functools
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vitrail.data.embedded import EMBEDDED, Pictures
from vitrail.data.examples import Example, Reading, Source
from vitrail.data.folders import IMAGE_SUFFIXES, folder_sources, visible_files
from vitrail.data.tables import hub_sources, parquet_file, parquet_sources
from vitrail.errors import DataError, MissingDataError

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_RACY_SECONDS = 2.0


def find_sources(data: str) -> dict[str, Source]:
    """The splits behind a name: "train", and "test" where the source has one of its own.

    Raises:
        DataError: nothing is there by that name, or nothing in it can be used.
    """
    if data in EMBEDDED:
        return _embedded_sources(data)
    if not data.strip():
        raise DataError(f"No data is named: give {', '.join(EMBEDDED)}, a folder, a .parquet file or a Hub name.")
    path = Path(data).expanduser()
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            return _file(path)
    except PermissionError as error:
        raise DataError(f"{error.filename} can't be read (permission denied): change its permissions.") from error
    return hub_sources(data, from_hub(data))


def content_digest(source: Source, root: Path) -> str:
    """A hash of everything that decides a source's examples: its kind and the bytes of its files, with their order.

    Hashing reads every file. So that a second start doesn't, the digest is noted under the files' paths, sizes and
    times of change, unless a file changed so recently that another change could leave the same time.
    """
    if not source.files:
        return hashlib.blake2b(source.identity.encode(), digest_size=16).hexdigest()
    paths = [os.path.abspath(path) for path in source.files]
    base = os.path.commonpath([os.path.dirname(path) for path in paths])
    facts = [(path, status.st_size, status.st_mtime_ns) for path in paths for status in [os.stat(path)]]
    stamp = hashlib.blake2b(json.dumps([source.identity, facts]).encode(), digest_size=16).hexdigest()
    note = root / "sources" / f"{stamp}.txt"
    try:
        noted = note.read_text()
        if re.fullmatch(r"[0-9a-f]{32}", noted):
            return noted
    except (OSError, UnicodeDecodeError):
        pass
    digest = hashlib.blake2b(source.identity.encode(), digest_size=16)
    for path in paths:
        digest.update(f"\0{os.path.relpath(path, base)}\0".encode())
        digest.update(file_digest(Path(path)))
    if time.time_ns() - max(changed for _, _, changed in facts) > _RACY_SECONDS * 1e9:
        _note(note, digest.hexdigest())
    return digest.hexdigest()


def file_digest(path: Path) -> bytes:
    """A 16-byte hash of a file's content.

    Raises:
        DataError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): check that it exists and is readable.") from error


def _note(note: Path, digest: str) -> None:
    """Keep a digest for the next start; a folder that can't be written costs time then, not this start."""
    beside = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(digest)
        os.replace(beside, note)
    except OSError:
        beside.unlink(missing_ok=True)


def _embedded_sources(name: str) -> dict[str, Source]:
    known = EMBEDDED[name]

    def read(pictures: Callable[[], Pictures]) -> Reading:
        examples = (Example(f"{name} {row}", image, label) for row, (image, label) in enumerate(pictures()))
        return Reading(True, known.classes, examples)

    return {
        split: Source(name, f"{known.identity} {split}", (), functools.partial(read, pictures), known.identities)
        for split, pictures in known.parts.items()
    }


def _folder(folder: Path) -> dict[str, Source]:
    files = visible_files(folder)
    tables = [Path(path) for path in files if path.lower().endswith(".parquet")]
    images = [path for path in files if path.lower().endswith(IMAGE_SUFFIXES)]
    if not tables:
        return folder_sources(folder, images)
    if images:
        raise DataError(
            f"The folder {folder} holds parquet files beside image files: leave one kind, or name one file."
        )
    return parquet_sources(folder, tables)


def _file(path: Path) -> dict[str, Source]:
    if path.suffix.lower() != ".parquet":
        raise DataError(
            f"{path} is a {path.suffix or 'plain'} file: images are read from a folder of class folders, a .parquet "
            f"file or folder, a Hub name, or one of {', '.join(EMBEDDED)}."
        )
    # Named by itself, a file is the whole set, whatever its name says.
    return parquet_file(path)


def from_hub(name: str) -> Any:
    """``datasets.DatasetDict`` of a Hub dataset, downloaded or from an earlier download."""
    close = difflib.get_close_matches(name, EMBEDDED, n=1, cutoff=0.6)
    if close or not _HUB_NAME.fullmatch(name):
        raise MissingDataError(_nothing_there(name, close))
    if not os.environ.get("HF_HUB_OFFLINE") and not _hub_reachable():
        raise MissingDataError(
            f"{_nothing_there(name, [])[:-1]}, and the Hugging Face Hub can't be reached: check the connection, or "
            "set HF_HUB_OFFLINE=1 to use what an earlier download left."
        )
    import datasets

    try:
        return datasets.load_dataset(name)
    except Exception as error:  # the Hub's client has dozens of its own errors, and passes on those of others
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise MissingDataError(f"{_nothing_there(name, [])[:-1]}, and the Hub has no usable one ({reason}).") from error


@functools.cache
def _hub_reachable() -> bool:
    """Whether the Hub's name resolves; without this an offline machine waits half a minute for the client's retries."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HF_ENDPOINT")):
        return True
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return False
    return True


def _nothing_there(name: str, close: list[str]) -> str:
    parent = Path(name).expanduser().parent
    if not close and parent.is_dir():
        near = difflib.get_close_matches(Path(name).name, [child.name for child in parent.iterdir()], n=1)
        close = [str(parent / near[0])] if near else []
    meant = f"; did you mean {close[0]}?" if close else "."
    return f"There is no file, folder or embedded set called {name} (embedded: {', '.join(EMBEDDED)}){meant}"
