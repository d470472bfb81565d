"""Files that are either whole or not there: written beside, forced to the disk, then renamed.

A rename within one folder is atomic on POSIX and on NTFS, so a reader sees the old file or the new one, and a process
killed in the middle leaves the old one. The temporary name is fixed (``NAME.part``): what a killed process leaves is
overwritten by the next write instead of piling up.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vitrail.errors import OutputError


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` (no room, no permission) into an ``OutputError``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path} can't be written ({reason}): free some space or choose a folder that you may write to."
        ) from error


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that becomes ``path`` when the block ends well and vanishes when it doesn't.

    Raises:
        OutputError: the file can't be written; whatever stood at ``path`` before is untouched.
    """
    part = path.with_name(path.name + ".part")
    with output_errors(path):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Force renames in ``folder`` to the disk, so that they survive a power cut in the order they were made."""
    if os.name != "posix":  # other systems can't open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writable_folder(folder: Path) -> Path:
    """Make ``folder`` and prove that files can be written there, before hours are spent on what goes into it.

    Raises:
        OutputError: it is a file, or nothing can be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, but a folder is needed there: choose another one.")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    return folder
