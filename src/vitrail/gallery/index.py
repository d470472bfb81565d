"""Which codes are near: a usearch index (HNSW: Malkov & Yashunin 2016, arXiv:1603.09320) in a file beside the database.

The file is only ever a copy of what the database says, as it was at some count of changes. It is written beside and
renamed, carries its own digest, and is brought up to date by whoever reads it; without it everything is built again.
Removing a code from such an index leaves its bytes in the file: to forget, build it anew.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int8, Int64

from vitrail.errors import ConfigError
from vitrail.files import written_beside

if TYPE_CHECKING:
    from usearch.index import Index

MAGIC = b"vitrail index 2\n"
_DIGEST = 32
_COUNT = 8

LINKS = 16
"""Neighbours that a code is linked to."""
BUILD_WIDTH = 128
"""Codes that are held in view while one is added."""
SEARCH_WIDTH = 256
"""Codes that are held in view while one is looked for: 64 lose some 1% of nearest neighbours among 100,000."""


class VectorIndex:
    """Codes by id, in memory.

    Args:
        dim: bytes of a code.

    Attributes:
        changes: the database's count of changes that this index is a copy of; -1 for none.
        holds_removed: whether bytes of removed codes are still in it, so that it must not be saved.
    """

    def __init__(self, dim: int) -> None:
        self._index = _new(dim)
        self._dim = dim
        self.changes = -1
        self.holds_removed = False

    def __len__(self) -> int:
        return len(self._index)

    @property
    def ids(self) -> Int64[np.ndarray, " b"]:
        """Of all codes, in no order."""
        return np.asarray(self._index.keys[: len(self)], dtype=np.int64).reshape(-1)

    def add(self, ids: Int64[np.ndarray, " b"], codes: Int8[np.ndarray, "b d"]) -> None:
        """Add codes under ids that are not there yet."""
        if len(ids):
            # By one thread: of codes that are added at the same time, some are never found (usearch's issue 735).
            self._index.add(ids.astype(np.uint64), codes, threads=1)

    def remove(self, ids: Int64[np.ndarray, " b"]) -> None:
        """Let ids no longer be found; their bytes stay in the index."""
        if len(ids):
            self._index.remove(ids.astype(np.uint64))
            self.holds_removed = True

    def search(self, code: Int8[np.ndarray, " d"], count: int) -> list[int]:
        """Ids of about the ``count`` nearest codes."""
        if not len(self):
            return []
        return [int(key) for key in self._index.search(code, min(count, len(self))).keys]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: it can't be written.
        """
        body = self.changes.to_bytes(_COUNT, "little", signed=True) + bytes(self._index.save() or b"")
        with written_beside(path) as file:
            file.write(MAGIC + hashlib.blake2b(body, digest_size=_DIGEST).digest() + body)


def saved_changes(path: Path) -> int:
    """The count of changes that the file was written at; -1 if there is none."""
    start = len(MAGIC) + _DIGEST
    try:
        with path.open("rb") as file:
            head = file.read(start + _COUNT)
    except OSError:
        return -1
    whole = len(head) == start + _COUNT and head.startswith(MAGIC)
    return int.from_bytes(head[start:], "little", signed=True) if whole else -1


def load_index(path: Path, dim: int) -> VectorIndex:
    """The index in a file; an empty one if there is none, or if it is damaged, and then the file is removed.

    Raises:
        ConfigError: usearch isn't installed.
    """
    index = VectorIndex(dim)
    try:
        content = path.read_bytes()
    except OSError:
        return index
    start = len(MAGIC) + _DIGEST
    digest, body = content[len(MAGIC) : start], memoryview(content)[start:]
    if content[: len(MAGIC)] == MAGIC and hashlib.blake2b(body, digest_size=_DIGEST).digest() == digest:
        index._index.load(bytearray(body[_COUNT:]))
        index.changes = int.from_bytes(body[:_COUNT], "little", signed=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    return index


def _new(dim: int) -> "Index":
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ConfigError(
            "a gallery in a folder is searched by usearch, which isn't installed: pip install 'vitrail[faces]'."
        ) from error
    # On one sphere the cosine orders as the squared distance does, and asks for no common scale of the codes.
    return Index(
        ndim=dim,
        metric="cos",
        dtype="i8",
        connectivity=LINKS,
        expansion_add=BUILD_WIDTH,
        expansion_search=SEARCH_WIDTH,
    )
