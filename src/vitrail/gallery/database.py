"""The SQLite file of a gallery: how it is opened, what a transaction is, and how freed bytes are really got rid of."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from vitrail.errors import GalleryError, OutputError

APPLICATION = 0x56474131
"""In the head of the file (``PRAGMA application_id``): "VGA1"; 0 in a database that nothing was put into yet."""

PATIENCE = 30.0
"""Seconds to wait for another process's transaction."""

_PRAGMAS = (
    "journal_mode = WAL",  # readers and a writer don't stop each other
    "synchronous = FULL",  # a commit is on the disk when it returns
    "secure_delete = ON",  # deleted rows are overwritten with zeros
    "temp_store = MEMORY",  # what is sorted or vacuumed never touches another folder
    "foreign_keys = ON",
)


class Database:
    """An open SQLite file, for one thread.

    Args:
        path: the file, made if missing.

    Raises:
        GalleryError: it is damaged, or no gallery's.
        OutputError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            self._connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            self._settle()
        except BaseException:
            self.close()
            raise

    def _settle(self) -> None:
        with self._errors():
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            if application not in (0, APPLICATION):
                raise GalleryError(
                    f"{self._path} is a database of another program or version (its application id is "
                    f"{application:#x}, and {APPLICATION:#x} was expected): name another folder."
                )
            for pragma in _PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")

    @contextlib.contextmanager
    def transaction(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """All or nothing; what is read in it is of one moment.

        Raises:
            GalleryError: another process writes for too long, or the file is damaged.
            OutputError: the disk is full, or nothing may be written there.
        """
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Write the file anew without what was deleted, and cut the write-ahead log, which still held it, to nothing.

        Raises:
            GalleryError: another process reads all the while, so that the log can't be cut yet.
        """
        with self._errors():
            self._connection.execute("VACUUM")
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise GalleryError(
                f"nobody finds that person in {self._path.parent} any more, but another process reads it without a "
                "pause, so that their bytes are still in its log: stop that process, and the next 'enroll' or 'forget' "
                "finishes it."
            )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise GalleryError(
                    f"{self._path.parent} was busy for {PATIENCE:.0f} seconds with what another process writes: try "
                    "again when that is done."
                ) from error
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise GalleryError(
                    f"{self._path} is damaged ({error}): restore the folder from a copy, or enroll anew elsewhere."
                ) from error
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise OutputError(
                    f"{self._path} can't be written ({error}): free some space, or choose a folder that you may "
                    "write to."
                ) from error
            raise
