"""Checkpoints that are either whole or never loaded.

``state.pt``           all that the run needs to go on: a plain ``torch.save`` archive, followed by ``TRAILER_BYTES``
                       bytes with the SHA-256 of everything before them (``torch.load`` passes over those). A file
                       that is cut short at any byte, or has any byte changed, is recognised.
``state.previous.pt``  the one before it.

A save writes a new file beside them, forces it to the disk, renames ``state.pt`` to ``state.previous.pt`` and the new
file to ``state.pt``. Killed anywhere in between, at least one of the two names holds a whole checkpoint. A damaged
``state.pt`` never takes the place of a good ``state.previous.pt``.
"""

import contextlib
import hashlib
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from vitrail.errors import CheckpointError
from vitrail.files import sync_folder, written_beside

STATE = "state.pt"
PREVIOUS = "state.previous.pt"

_MAGIC = b"\nvitrail sha256 "
_HEX_BYTES = 64
TRAILER_BYTES = len(_MAGIC) + _HEX_BYTES


class Checkpoints:
    """The two generations of a run's state in ``folder``. One process writes; any may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: Path | None = None
        """The newer file that ``load`` found damaged and passed over."""
        self._latest_is_good = False

    def find(self) -> Path | None:
        """The newest whole checkpoint; None for a run that never saved.

        Raises:
            CheckpointError: there are files, but none of them is whole.
        """
        present = [path for name in (STATE, PREVIOUS) if (path := self.folder / name).exists()]
        good = next((path for path in present if is_whole(path)), None)
        if present and good is None:
            names = " and ".join(str(path) for path in present)
            raise CheckpointError(
                f"{names} {'is' if len(present) == 1 else 'are'} damaged (the bytes don't match their checksum): "
                f"put back a copy, or delete what is there to start this run from its beginning."
            )
        self.damaged = present[0] if good is not None and good != present[0] else None
        self._latest_is_good = good == self.folder / STATE
        return good

    def save(self, state: Mapping[str, Any]) -> Path:
        """Write ``state`` (tensors and plain values) as the newest generation.

        Raises:
            OutputError: it can't be written; the generations there are untouched.
        """
        latest, previous = self.folder / STATE, self.folder / PREVIOUS
        new = self.folder / (STATE + ".new")
        with written_beside(new) as file:
            hashed = _HashedFile(file)
            with hashed.own_errors():
                torch.save(state, cast(BinaryIO, hashed))
            file.write(_MAGIC + hashed.hexdigest())
        if self._latest_is_good and latest.exists():
            os.replace(latest, previous)
        os.replace(new, latest)
        sync_folder(self.folder)
        self._latest_is_good = True
        return latest


def is_whole(path: Path) -> bool:
    """Whether a state file is as it was written, byte for byte."""
    try:
        with path.open("rb") as file:
            remaining = os.fstat(file.fileno()).st_size - TRAILER_BYTES
            if remaining <= 0:
                return False
            digest = hashlib.sha256()
            while remaining > 0 and (piece := file.read(min(remaining, 1 << 20))):
                digest.update(piece)
                remaining -= len(piece)
            return file.read() == _MAGIC + digest.hexdigest().encode()
    except OSError:
        return False


def load_state(path: Path) -> dict[str, Any]:
    """Read a whole state file; nothing in it is executed.

    Raises:
        CheckpointError: it is damaged, or no checkpoint of Vitrail's.
    """
    if not is_whole(path):
        raise CheckpointError(f"{path} is damaged (its bytes don't match its checksum): put back a copy, or delete it.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, so it is no checkpoint of Vitrail's: delete it."
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(
            f"{path} holds a {type(state).__name__}, but a run's state is needed: choose another file."
        )
    return state


class _HashedFile:
    """A file as ``torch.save`` needs it, which hashes what passes through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, piece: bytes) -> int:
        try:
            self._file.write(piece)
        except OSError as error:
            self._error = error
            raise
        self._digest.update(piece)
        return len(piece)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> bytes:
        return self._digest.hexdigest().encode()

    @contextlib.contextmanager
    def own_errors(self) -> Iterator[None]:
        """Bring back the OSError that ``torch.save`` hides behind a RuntimeError of its own about archives."""
        try:
            yield
        except RuntimeError:
            if self._error is not None:
                raise self._error from None
            raise
