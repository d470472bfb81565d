"""A run's folder: its ``config.json``, and the claim of one process on it."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vitrail.errors import CheckpointError, OutputError
from vitrail.files import writable_folder, written_beside
from vitrail.train.checkpoint import PREVIOUS, STATE
from vitrail.train.config import match_config

CONFIG = "config.json"


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.json``: what the run was begun with (plain values).

    Raises:
        OutputError: it can't be written.
    """
    with written_beside(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())


def read_config(folder: Path) -> dict[str, Any]:
    """Read what the run in ``folder`` was begun with.

    Raises:
        CheckpointError: there is no ``config.json``, or it isn't one.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {CONFIG}, but a run's folder is needed: train one first.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} can't be read ({error}): put back a copy, or train anew.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} holds a {type(config).__name__}, but a run's settings are needed.")
    return config


@contextlib.contextmanager
def claimed(folder: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Begin a run in ``folder``, or go on with the one there if it was begun with the same settings.

    While the context is open no other process can claim the folder.

    Raises:
        ConfigError: the run there was begun with other settings; names the first that differs, with both values.
        OutputError: nothing can be written there, or another process is training there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(writable_folder(folder) / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another process is training in {folder}, and a run has room for one: wait for it or name another folder."
        ) from error
    try:
        saved = (folder / STATE).exists() or (folder / PREVIOUS).exists()
        if saved and (folder / CONFIG).exists():
            match_config(read_config(folder), config, str(folder))
        write_config(folder, config)
        yield
    finally:
        lock.release()
