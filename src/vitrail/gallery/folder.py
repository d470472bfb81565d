"""A gallery in a folder: people and codes in SQLite, which is the truth, and beside it an index that is a copy.

Any number of processes read while one writes, and a commit is on the disk before ``enroll`` returns. A killed process
leaves either all of a transaction or nothing. The index is brought up to date by whoever looks for a face next: ids are
never used twice, so what it lacks and what is left over in it follow from the ids alone.

To forget is to delete, to write the database anew, to cut its log, and to build the index anew, for an index keeps the
bytes of what is removed from it. A forgetting that was cut short is noted in the database, and whoever writes next
finishes it. Whoever writes the index's file holds a lock, and forgetting holds it from before the deletion: so nobody
puts a forgotten code back into the file.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import filelock
import numpy as np
from jaxtyping import Int8

from vitrail.errors import GalleryError, OutputError
from vitrail.files import output_errors
from vitrail.gallery.database import APPLICATION, Database
from vitrail.gallery.detection import Box
from vitrail.gallery.index import VectorIndex, load_index, saved_changes
from vitrail.gallery.names import clean_name, name_key
from vitrail.gallery.store import Candidates, Enrolment, Header, Person, Record, require_admissible, require_same_box

DATABASE = "gallery.sqlite3"
INDEX = "vectors.usearch"
LOCK = "vectors.lock"

SAVE_EVERY = 256
"""Changes that the index's file may lag behind: each costs whoever opens the gallery some 0.3 ms."""

AT_ONCE = 4096
"""Codes that are read from the database at once."""

_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value)",
    "CREATE TABLE models (fingerprint TEXT PRIMARY KEY)",
    "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE)",
    """CREATE TABLE faces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
        code BLOB NOT NULL,
        photograph BLOB NOT NULL,
        box TEXT NOT NULL,
        model TEXT NOT NULL REFERENCES models,
        enrolled TEXT NOT NULL,
        UNIQUE (person, photograph)
    )""",
    f"PRAGMA application_id = {APPLICATION}",
)
_OF_PERSON = "FROM faces JOIN people ON person = people.id WHERE key = ?"


class FolderStore:
    """A gallery in a folder, which is made when the first person is enrolled.

    Args:
        folder: where; it may be missing or empty.

    Raises:
        GalleryError: something else is in the folder, or the database is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database: Database | None = None
        self._index: VectorIndex | None = None
        self._wrote = False
        if folder.exists() and not folder.is_dir():
            raise GalleryError(f"{folder} is a file, and a gallery is a folder: name another place.")
        if self._open() is None and folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir()):
            raise GalleryError(f"{folder} holds other files and no gallery: name a gallery, or a new folder for one.")
        self._lock = filelock.FileLock(folder / LOCK)

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._folder)

    def header(self) -> Header | None:
        """See ``Store``."""
        with self._reading() as connection:
            return None if connection is None else _header(connection)

    def create(self, header: Header) -> None:
        """See ``Store``."""
        database = self._open()
        if database is None:
            with output_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._lock:  # two processes that begin at once must not both change the database's mode
                    database = self._database = Database(self._folder / DATABASE)
        with database.transaction(write=True) as connection:
            if _made(connection):
                return
            for statement in _SCHEMA:
                connection.execute(statement)
            facts = {"dim": header.dim, "calibration": header.calibration, "changes": 0, "unfinished": 0}
            connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            connection.executemany("INSERT INTO models VALUES (?)", [(model,) for model in sorted(header.models)])

    def admit(self, model: str, harmonic_with: Collection[str]) -> None:
        """See ``Store``."""
        with self._existing().transaction(write=True) as connection:
            require_admissible(_header(connection).models, model, harmonic_with, self.where)
            connection.execute("INSERT OR IGNORE INTO models VALUES (?)", (model,))

    def calibrate(self, text: str) -> None:
        """See ``Store``."""
        with self._existing().transaction(write=True) as connection:
            connection.execute("UPDATE facts SET value = ? WHERE name = 'calibration'", (text,))

    def enroll(self, name: str, records: Sequence[Record]) -> Enrolment:
        """See ``Store``."""
        database = self._existing()
        self._finish_forgetting(database)
        with database.transaction(write=True) as connection:
            person, spelled = _person(connection, name)
            new = sum(_enroll(connection, person, spelled, record) for record in records)
            connection.execute("UPDATE facts SET value = value + ? WHERE name = 'changes'", (new,))
        self._wrote = True
        return Enrolment(spelled, new, len(records) - new)

    def size(self) -> int:
        """See ``Store``."""
        with self._reading() as connection:
            return 0 if connection is None else int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])

    def people(self) -> list[Person]:
        """See ``Store``."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT name, count(*) FROM people JOIN faces ON person = people.id GROUP BY people.id ORDER BY key"
            )
            return [Person(name, faces) for name, faces in rows]

    def records(self, name: str) -> list[Record]:
        """See ``Store``."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                f"SELECT code, photograph, box, model, enrolled {_OF_PERSON} ORDER BY faces.id", (name_key(name),)
            )
            return [
                Record(np.frombuffer(code, np.int8), photo.hex(), Box.parse(box), model, datetime.fromisoformat(when))
                for code, photo, box, model, when in rows
            ]

    def nearest(self, code: Int8[np.ndarray, " d"], count: int) -> Candidates:
        """See ``Store``."""
        with self._reading() as connection:
            if connection is None:
                return Candidates((), np.empty((0, len(code)), np.int8))
            ids = self._caught_up(connection).search(code, count)
            found = connection.execute(
                "SELECT name, code FROM faces JOIN people ON person = people.id "
                f"WHERE faces.id IN ({', '.join('?' * len(ids))})",
                ids,
            ).fetchall()
        self._save_index(self._existing())
        codes = np.frombuffer(b"".join(part for _, part in found), np.int8).reshape(-1, len(code))
        return Candidates(tuple(name for name, _ in found), codes)

    def forget(self, name: str) -> int:
        """See ``Store``."""
        key = (name_key(name),)
        if self.header() is None:
            return 0
        with self._lock:
            with self._existing().transaction(write=True) as connection:
                (faces,) = connection.execute(f"SELECT count(*) {_OF_PERSON}", key).fetchone()
                known = connection.execute("DELETE FROM people WHERE key = ?", key).rowcount
                if known:
                    connection.execute("UPDATE facts SET value = value + 1 WHERE name = 'changes'")
                    connection.execute("UPDATE facts SET value = 1 WHERE name = 'unfinished'")
            self._finish_forgetting(self._existing())
            if not known:  # enrolling them may have been cut short, and have left the name in the log
                self._existing().scrub()
        return int(faces)

    def close(self) -> None:
        """See ``Store``."""
        if self._database is not None:
            if self._wrote:
                self._save_index(self._database)
            self._database.close()
            self._database = None

    def _open(self) -> Database | None:
        """The database, if there is one by now."""
        if self._database is None and (self._folder / DATABASE).exists():
            self._database = Database(self._folder / DATABASE)
        return self._database

    def _existing(self) -> Database:
        database = self._open()
        if database is None:
            raise GalleryError(f"there is no gallery in {self.where} yet: enroll somebody first.")
        return database

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A moment of the gallery; None while nobody has made it, or was killed over it."""
        database = self._open()
        if database is None:
            yield None
            return
        with database.transaction(write=False) as connection:
            yield connection if _made(connection) else None

    def _caught_up(self, connection: sqlite3.Connection) -> VectorIndex:
        """The index as the database is in this transaction."""
        changes, path = _fact(connection, "changes"), self._folder / INDEX
        if self._index is None or (self._index.holds_removed and saved_changes(path) >= self._index.changes):
            self._index = load_index(path, _fact(connection, "dim"))
        if self._index.changes != changes:
            _follow(self._index, connection)
            self._index.changes = changes
        return self._index

    def _save_index(self, database: Database) -> None:
        """Write the index's file if it lags far behind and nobody else is at it; where it can't be, it is a copy."""
        path = self._folder / INDEX
        with database.transaction(write=False) as connection:
            if _fact(connection, "changes") - max(saved_changes(path), 0) < SAVE_EVERY:
                return
        with contextlib.suppress(filelock.Timeout, OSError, OutputError), self._lock.acquire(timeout=0):
            with database.transaction(write=False) as connection:
                index = self._caught_up(connection)
            if not index.holds_removed:
                index.save(path)

    def _finish_forgetting(self, database: Database) -> None:
        """Get rid of the bytes of whoever was deleted, unless that is done."""
        with database.transaction(write=False) as connection:
            if not _fact(connection, "unfinished"):
                return
        with self._lock:
            with database.transaction(write=False) as connection:
                index = VectorIndex(_fact(connection, "dim"))
                _follow(index, connection)
                index.changes = _fact(connection, "changes")
            index.save(self._folder / INDEX)
            self._index = index
            database.scrub()
            with database.transaction(write=True) as connection:
                connection.execute("UPDATE facts SET value = 0 WHERE name = 'unfinished'")


def _made(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0])


def _header(connection: sqlite3.Connection) -> Header:
    models = connection.execute("SELECT fingerprint FROM models").fetchall()
    (calibration,) = connection.execute("SELECT value FROM facts WHERE name = 'calibration'").fetchone()
    return Header(_fact(connection, "dim"), frozenset(model for (model,) in models), calibration)


def _fact(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return int(value)


def _person(connection: sqlite3.Connection, name: str) -> tuple[int, str]:
    """The id of a person, who is made known if need be, and the name as first spelled."""
    key = name_key(name)
    connection.execute("INSERT OR IGNORE INTO people (name, key) VALUES (?, ?)", (clean_name(name), key))
    person, spelled = connection.execute("SELECT id, name FROM people WHERE key = ?", (key,)).fetchone()
    return int(person), str(spelled)


def _enroll(connection: sqlite3.Connection, person: int, name: str, record: Record) -> bool:
    """Keep one face; False if the person is known by this photograph."""
    photograph = bytes.fromhex(record.photograph)
    known = connection.execute(
        "SELECT box FROM faces WHERE person = ? AND photograph = ?", (person, photograph)
    ).fetchone()
    if known is not None:
        require_same_box(name, Box.parse(known[0]), record.box)
        return False
    connection.execute(
        "INSERT INTO faces (person, code, photograph, box, model, enrolled) VALUES (?, ?, ?, ?, ?, ?)",
        (person, record.code.tobytes(), photograph, str(record.box), record.model, record.when.isoformat()),
    )
    return True


def _follow(index: VectorIndex, connection: sqlite3.Connection) -> None:
    """Make an index hold what the database holds."""
    kept = np.array([key for (key,) in connection.execute("SELECT id FROM faces")], np.int64)
    known = index.ids
    index.remove(np.setdiff1d(known, kept))
    missing = np.setdiff1d(kept, known)
    if not len(missing):
        return
    rows = connection.execute("SELECT id, code FROM faces WHERE id >= ? ORDER BY id", (int(missing[0]),))
    while batch := rows.fetchmany(AT_ONCE):
        ids = np.array([key for key, _ in batch], np.int64)
        codes = np.frombuffer(b"".join(code for _, code in batch), np.int8).reshape(len(batch), -1)
        new = np.isin(ids, missing)
        index.add(ids[new], codes[new])
