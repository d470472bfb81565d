"""The decoded images of one split on disk, read through the page cache instead of being held in memory.

An entry's folder is named by what it was made from (a hash of the source's content and the options). It is written
beside that folder and renamed, so that an entry is there whole or not at all. A lock file per entry lets one process
build while others wait. What a killed builder left is removed by the next one.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from vitrail.data.entry import Entry, EntryWriter, open_entry
from vitrail.errors import OutputError

Report = Callable[[str], None]


def cache_root(cache: Path | None) -> Path:
    """The folder that holds entries: as given, else ``$VITRAIL_CACHE``, else ``~/.cache/vitrail``."""
    if cache is not None:
        return cache.expanduser()
    return Path(os.environ.get("VITRAIL_CACHE") or "~/.cache/vitrail").expanduser()


def open_or_build(root: Path, key: str, build: Callable[[EntryWriter], None], report: Report) -> Entry:
    """The entry called ``key``, built if it isn't there or is damaged.

    Args:
        root: the cache's folder; made if missing.
        key: the hash of all that decides the entry's content.
        build: appends every image to the writer and finishes it.
        report: gets a line when there is something to wait for.

    Raises:
        OutputError: the folder can't be written or the disk is full; nothing is left behind.
    """
    folder = root / "images" / key
    entry = open_entry(folder)
    if entry is not None:
        return entry
    with output_errors(root):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock"), report):
            entry = open_entry(folder)  # another process may have built it while this one waited
            if entry is not None:
                return entry
            _sweep(folder, report)
            beside = Path(tempfile.mkdtemp(prefix=f"{key}.building-", dir=folder.parent))
            try:
                writer = EntryWriter(beside)
                try:
                    build(writer)
                finally:
                    writer.close()
                beside.rename(folder)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
    entry = open_entry(folder)
    if entry is None:
        raise OutputError(f"The image cache {folder} can't be read back right after it was written: check the disk.")
    return entry


def _sweep(folder: Path, report: Report) -> None:
    """Remove a damaged entry and what killed builders of it left; the caller holds the entry's lock."""
    for left in folder.parent.glob("*.building-*"):
        key = left.name.partition(".")[0]
        if key == folder.name:
            shutil.rmtree(left, ignore_errors=True)
            continue
        # Left by a killed builder of another entry, unless that one's lock is held: then its builder is alive.
        with contextlib.suppress(filelock.Timeout), filelock.FileLock(folder.parent / f"{key}.lock", timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    if folder.exists():
        report(f"The image cache {folder} is damaged and is built again.")
        shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        report("Another process is decoding the same images; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def output_errors(root: Path) -> Iterator[None]:
    """Turn what the file system refuses into an ``OutputError`` that names the cache and the remedy."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The image cache {root} can't be written ({error.strerror or error}): make room or give another folder "
            "with VITRAIL_CACHE."
        ) from error
