"""A gallery in a PostgreSQL database with pgvector, for when one machine is outgrown: the same protocol, by URL.

``postgresql://user@host/base?schema=choir`` is a gallery of its own in the schema ``choir`` (``vitrail`` if none is
named). Passwords are better left to ``~/.pgpass`` than written into a URL.

pgvector knows no bytes; its ``halfvec`` holds whole numbers up to 2,048 exactly, so a code is kept as it is in a column
of two bytes a coordinate that pgvector can index itself. (A column of bytes beside an indexed vector would take three.)

To forget is to delete and to write the tables and their indexes anew (VACUUM FULL), which locks readers out meanwhile;
the planner's samples of names and codes are never taken. What the server keeps of its past (its write-ahead log until
that is recycled, replicas, backups, logs of statements) is in its administrator's hands.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
from jaxtyping import Int8

from vitrail.errors import ConfigError, GalleryError
from vitrail.gallery.detection import Box
from vitrail.gallery.names import clean_name, name_key
from vitrail.gallery.store import Candidates, Enrolment, Header, Person, Record, require_admissible, require_same_box

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

SCHEMES = ("postgresql", "postgres")
"""How the URL of such a gallery begins."""

SEARCH_WIDTH = 200
"""Codes that the server's index holds in view while it looks for the nearest."""

PATIENCE = 30
"""Seconds to wait for another connection's transaction."""

_SCHEMA: tuple[LiteralString, ...] = (
    "CREATE TABLE facts (dim integer NOT NULL, calibration text, unfinished boolean NOT NULL DEFAULT false)",
    "CREATE TABLE models (fingerprint text PRIMARY KEY)",
    """CREATE TABLE people (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, key text NOT NULL UNIQUE
    )""",
    """CREATE TABLE faces (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        person bigint NOT NULL REFERENCES people ON DELETE CASCADE,
        code halfvec({dim}) NOT NULL,
        photograph bytea NOT NULL,
        box text NOT NULL,
        model text NOT NULL REFERENCES models,
        enrolled timestamptz NOT NULL,
        UNIQUE (person, photograph)
    )""",
    "CREATE INDEX ON faces USING hnsw (code halfvec_cosine_ops)",
    # The planner's samples would outlive what they were taken of.
    "ALTER TABLE people ALTER name SET STATISTICS 0, ALTER key SET STATISTICS 0",
    "ALTER TABLE faces ALTER code SET STATISTICS 0, ALTER photograph SET STATISTICS 0",
)


class PostgresStore:
    """A gallery in a database, which is made when the first person is enrolled.

    Args:
        url: ``postgresql://[user@]host[:port]/base[?schema=NAME&…]``, else as libpq reads it.

    Raises:
        ConfigError: psycopg isn't installed.
        GalleryError: the server can't be reached, or has no pgvector.
    """

    def __init__(self, url: str) -> None:
        address, self._schema = connect_url(url)
        parts = urlsplit(address)
        self._where = f"postgresql://{parts.hostname or 'localhost'}{parts.path}?schema={self._schema}"
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError(
                "a gallery in PostgreSQL needs psycopg, which isn't installed: pip install 'vitrail[postgres]'."
            ) from error
        self._errors, self._unreachable = psycopg.Error, psycopg.OperationalError
        with self._translated():
            self._connection: Connection = psycopg.connect(address, autocommit=True, connect_timeout=10)
            self._settle()

    @property
    def where(self) -> str:
        """Server, database and schema; no user and no password."""
        return self._where

    def header(self) -> Header | None:
        """See ``Store``."""
        with self._transaction() as connection:
            if not self._made(connection):
                return None
            dim, calibration = _row(connection, "SELECT dim, calibration FROM facts")
            return Header(dim, _models(connection), calibration)

    def create(self, header: Header) -> None:
        """See ``Store``."""
        from psycopg import sql

        if self._made(self._connection):
            return
        with self._translated():
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        with self._transaction() as connection:
            # Whoever comes second finds everything made.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('vitrail ' || %s))", (self._schema,))
            if self._made(connection):
                return
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._schema)))
            self._settle()
            for statement in _SCHEMA:
                connection.execute(sql.SQL(statement).format(dim=sql.Literal(header.dim)))
            connection.execute("INSERT INTO facts VALUES (%s, %s)", (header.dim, header.calibration))
            for model in sorted(header.models):
                connection.execute("INSERT INTO models VALUES (%s)", (model,))

    def admit(self, model: str, harmonic_with: Collection[str]) -> None:
        """See ``Store``."""
        with self._transaction() as connection:
            connection.execute("LOCK TABLE models IN EXCLUSIVE MODE")
            require_admissible(_models(connection), model, harmonic_with, self.where)
            connection.execute("INSERT INTO models VALUES (%s) ON CONFLICT DO NOTHING", (model,))

    def calibrate(self, text: str) -> None:
        """See ``Store``."""
        with self._transaction() as connection:
            connection.execute("UPDATE facts SET calibration = %s", (text,))

    def enroll(self, name: str, records: Sequence[Record]) -> Enrolment:
        """See ``Store``."""
        self._finish_forgetting()
        with self._transaction() as connection:
            # The update changes nothing: it locks the row, so that the person isn't forgotten meanwhile.
            person, spelled = _row(
                connection,
                "INSERT INTO people (name, key) VALUES (%s, %s) "
                "ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id, name",
                clean_name(name),
                name_key(name),
            )
            new = sum(_enroll(connection, person, spelled, record) for record in records)
        return Enrolment(spelled, new, len(records) - new)

    def size(self) -> int:
        """See ``Store``."""
        with self._transaction() as connection:
            return int(_row(connection, "SELECT count(*) FROM faces")[0]) if self._made(connection) else 0

    def people(self) -> list[Person]:
        """See ``Store``."""
        with self._transaction() as connection:
            if not self._made(connection):
                return []
            rows = connection.execute(
                "SELECT name, count(*) FROM people JOIN faces ON person = people.id GROUP BY people.id "
                'ORDER BY key COLLATE "C"'
            )
            return [Person(name, faces) for name, faces in rows]

    def records(self, name: str) -> list[Record]:
        """See ``Store``."""
        with self._transaction() as connection:
            if not self._made(connection):
                return []
            rows = connection.execute(
                "SELECT code::text, photograph, box, model, enrolled FROM faces JOIN people ON person = people.id "
                "WHERE key = %s ORDER BY faces.id",
                (name_key(name),),
            )
            return [
                Record(_code(code), photo.hex(), Box.parse(box), model, when) for code, photo, box, model, when in rows
            ]

    def nearest(self, code: Int8[np.ndarray, " d"], count: int) -> Candidates:
        """See ``Store``."""
        found: list[tuple[str, str]] = []
        with self._transaction() as connection:
            if self._made(connection):
                found = connection.execute(
                    "SELECT name, code::text FROM "
                    "(SELECT person, code FROM faces ORDER BY code <=> %s::halfvec LIMIT %s) AS near "
                    "JOIN people ON person = people.id",
                    (_text(code), count),
                ).fetchall()
        codes = np.array([_code(text) for _, text in found], np.int8).reshape(-1, len(code))
        return Candidates(tuple(name for name, _ in found), codes)

    def forget(self, name: str) -> int:
        """See ``Store``."""
        with self._transaction() as connection:
            if not self._made(connection):
                return 0
            key = name_key(name)
            (faces,) = _row(
                connection, "SELECT count(*) FROM faces JOIN people ON person = people.id WHERE key = %s", key
            )
            if connection.execute("DELETE FROM people WHERE key = %s", (key,)).rowcount:
                connection.execute("UPDATE facts SET unfinished = true")
        self._finish_forgetting()
        return int(faces)

    def close(self) -> None:
        """See ``Store``."""
        self._connection.close()

    def _settle(self) -> None:
        """Names mean this gallery's tables and pgvector's types."""
        found = self._connection.execute(
            "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
            "WHERE extname = 'vector'"
        ).fetchone()
        path = [self._schema, found[0] if found else "public"]
        settings = {
            "search_path": ", ".join('"' + part.replace('"', '""') + '"' for part in path),
            "synchronous_commit": "on",
            "lock_timeout": f"{PATIENCE}s",
            "hnsw.ef_search": str(SEARCH_WIDTH),
        }
        for setting, value in settings.items():
            self._connection.execute("SELECT set_config(%s, %s, false)", (setting, value))

    def _made(self, connection: "Connection") -> bool:
        found = connection.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'facts'", (self._schema,)
        ).fetchone()
        return found is not None

    def _finish_forgetting(self) -> None:
        """Get rid of the bytes of whoever was deleted, unless that is done."""
        with self._translated():
            if _row(self._connection, "SELECT unfinished FROM facts")[0]:
                # Not in a transaction: PostgreSQL rewrites tables outside of one only.
                self._connection.execute("VACUUM FULL faces")
                self._connection.execute("VACUUM FULL people")
                self._connection.execute("UPDATE facts SET unfinished = false")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator["Connection"]:
        with self._translated(), self._connection.transaction():
            yield self._connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            state = getattr(error, "sqlstate", None) or ""
            if state == "55P03":  # lock_not_available
                raise GalleryError(
                    f"{self.where} was busy for {PATIENCE} seconds with what another process does: try again when "
                    "that is done."
                ) from error
            if state in ("0A000", "58P01") or (state == "42501" and "extension" in reason):
                raise GalleryError(
                    f"{self.where} has no pgvector ({reason}): have its administrator run CREATE EXTENSION vector."
                ) from error
            if isinstance(error, self._unreachable) and not state:
                raise GalleryError(
                    f"{self.where} does not answer ({reason}): check its address, your rights, and that it runs."
                ) from error
            raise GalleryError(
                f"{self.where} doesn't do as it should ({reason}): check your rights and its tables."
            ) from error


def connect_url(url: str) -> tuple[str, str]:
    """A gallery's URL as libpq reads it, and the schema that it names."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    schema = options.pop("schema", "vitrail")
    return parts._replace(query=urlencode(options)).geturl(), schema


def _row(connection: "Connection", query: LiteralString, *parameters: object) -> tuple[Any, ...]:
    """The one row of an answer that has one."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return tuple(row)


def _models(connection: "Connection") -> frozenset[str]:
    return frozenset(model for (model,) in connection.execute("SELECT fingerprint FROM models"))


def _enroll(connection: "Connection", person: int, name: str, record: Record) -> bool:
    """Keep one face; False if the person is known by this photograph."""
    photograph = bytes.fromhex(record.photograph)
    known = connection.execute(
        "SELECT box FROM faces WHERE person = %s AND photograph = %s", (person, photograph)
    ).fetchone()
    if known is not None:
        require_same_box(name, Box.parse(known[0]), record.box)
        return False
    connection.execute(
        "INSERT INTO faces (person, code, photograph, box, model, enrolled) VALUES (%s, %s::halfvec, %s, %s, %s, %s)",
        (person, _text(record.code), photograph, str(record.box), record.model, record.when),
    )
    return True


def _text(code: Int8[np.ndarray, " d"]) -> str:
    return json.dumps(code.tolist())


def _code(text: str) -> Int8[np.ndarray, " d"]:
    return np.array(json.loads(text), np.int8)
