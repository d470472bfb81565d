"""Stores to test with: drawn codes, and the bytes of everything that a place keeps."""

import contextlib
import datetime
from pathlib import Path

import numpy as np

from vitrail.gallery.codes import dequantise, quantise, squared_distances
from vitrail.gallery.detection import Box
from vitrail.gallery.folder import FolderStore
from vitrail.gallery.postgres import PostgresStore
from vitrail.gallery.store import Header, Record, Store

DIM = 31
MODEL = "ab" * 16
WHEN = datetime.datetime(2026, 11, 23, 10, 20, 30, tzinfo=datetime.UTC)
BOX = Box(top=2, left=3, height=41, width=37)


def open_store(place: str) -> Store:
    return PostgresStore(place) if place.startswith("postgresql:") else FolderStore(Path(place))


def made_store(place: str) -> Store:
    store = open_store(place)
    store.create(Header(DIM, frozenset({MODEL}), None))
    return store


class Stores:
    """Opens stores at one place, and closes what a test left open."""

    def __init__(self, place: str):
        self.place = place
        self.open: list[Store] = []

    def opened(self) -> Store:
        self.open.append(open_store(self.place))
        return self.open[-1]

    def made(self) -> Store:
        self.open.append(made_store(self.place))
        return self.open[-1]

    def close(self) -> None:
        for store in self.open:
            store.close()


def draw_codes(count: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    return quantise(np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32))


def record(code: np.ndarray, photograph: int, box: Box = BOX) -> Record:
    return Record(code, f"{photograph:064x}", box, MODEL, WHEN)


def nearest_by_loop(codes: np.ndarray, code: np.ndarray, count: int) -> set[int]:
    distances = squared_distances(dequantise(code[None])[0], dequantise(codes))
    return set(np.argsort(distances)[:count].tolist())


def contents(place: str) -> bytes:
    """All bytes that a place keeps: of a database, of all its files but the write-ahead log, which is the server's."""
    if not place.startswith("postgresql:"):
        return b"".join(path.read_bytes() for path in sorted(Path(place).rglob("*")) if path.is_file())
    import psycopg

    from vitrail.gallery.postgres import connect_url

    with psycopg.connect(connect_url(place)[0], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        while True:
            files = [path for path in Path(folder).rglob("*") if "pg_wal" not in path.parts and path.is_file()]
            with contextlib.suppress(FileNotFoundError):  # the server replaces some of its files at any time
                return b"".join(path.read_bytes() for path in sorted(files))


def as_stored(code: np.ndarray, place: str) -> bytes:
    """A code's bytes, as they lie in a place's files."""
    return code.astype("<f2").tobytes() if place.startswith("postgresql:") else code.tobytes()
