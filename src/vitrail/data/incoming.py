"""Documents to summarize as a stream, however long: from files, folders, JSON lines and standard input.

One line is held at a time, so that a stream of a million needs no more memory than one of ten.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from vitrail.data.documents import DOCUMENTS
from vitrail.errors import DataError

Manner = Literal["auto", "text", "lines", "jsonl"]

LONGEST = 1 << 26
"""Bytes of a line, or of a file that is one document, at most."""

JSONL = (".jsonl", ".jsonl.gz")
TEXT = (".txt", ".md")
"""Files of a folder that are read, beside ``JSONL``."""


@runtime_checkable
class ByteStream(Protocol):
    """What bytes are read from: an open file, standard input."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes."""

    def readline(self, size: int, /) -> bytes:
        """Up to and with the next line's end, or so many bytes; nothing at the end."""


@dataclass(frozen=True)
class Incoming:
    """A document to be summarized.

    Attributes:
        text: of it.
        source: the file's name, or "standard input".
        record: the JSON object that it came in, if it did.
    """

    text: str
    source: str
    record: Mapping[str, Any] | None = None


def incoming(
    sources: Sequence[str], manner: Manner = "auto", column: str | None = None, stream: ByteStream | None = None
) -> Iterator[Incoming]:
    """Documents in the order of their sources.

    Args:
        sources: files, folders (their .txt, .md and .jsonl files) and ``-``, which is ``stream``.
        manner: text: a file is a document; lines: each of its lines is; jsonl: each of its lines is an object that has
            one; auto: jsonl by a file's name, text for other files; for the stream jsonl where its first line begins
            an object, else lines.
        column: the field of an object that holds the document, where its name is unusual.
        stream: what ``-`` reads.

    Raises:
        DataError: a source is missing or empty, isn't UTF-8, or holds something else than it should.
    """
    for source in sources:
        found = 0
        for document in _source(source, manner, column, stream):
            found += 1
            yield document
        if not found:
            raise DataError(f"{_named(source)} is empty: there is nothing to summarize in it.")


def _source(source: str, manner: Manner, column: str | None, stream: ByteStream | None) -> Iterator[Incoming]:
    if source == "-":
        assert stream is not None
        return _stream(stream, "standard input", "lines" if manner == "auto" else manner, manner == "auto", column)
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.lower().endswith((*TEXT, *JSONL)))
        if not files:
            raise DataError(f"{path} holds no {', '.join((*TEXT, *JSONL))} file: name a folder with documents.")
        return chain.from_iterable(_file(file, manner, column) for file in files)
    if not path.is_file():
        raise DataError(f"there is no file or folder {path}: check the spelling; - is standard input.")
    return _file(path, manner, column)


def _file(path: Path, manner: Manner, column: str | None) -> Iterator[Incoming]:
    if manner == "auto":
        manner = "jsonl" if path.name.lower().endswith(JSONL) else "text"
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as unpacked:
                yield from _stream(unpacked, str(path), manner, False, column)
        else:
            with path.open("rb") as file:
                yield from _stream(file, str(path), manner, False, column)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is no whole gzip file ({error}): get it anew.") from error


def _stream(
    file: ByteStream, name: str, manner: Literal["text", "lines", "jsonl"], guess: bool, column: str | None
) -> Iterator[Incoming]:
    if manner == "text":
        whole = file.read(LONGEST + 1)
        if whole:
            yield Incoming(_decoded(whole, name), name)
        return
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        where = f"line {number:,} of {name}"
        text = _decoded(line, where).rstrip("\r\n")
        if guess and number == 1 and text.lstrip().startswith("{"):
            manner = "jsonl"
        if manner == "lines":
            yield Incoming(text, name)
        elif text.strip():
            yield _from_json(text, where, name, column)


def _from_json(line: str, where: str, name: str, column: str | None) -> Incoming:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(
            f"{where} is no JSON ({reason}): give one object a line, or say by --read what it is."
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{where} is no JSON object: give one a line, with the document in it.")
    field = column or next((usual for usual in DOCUMENTS if usual in record), None)
    if field is None or field not in record:
        fields = ", ".join(map(str, record)) or "(none)"
        wanted = column or DOCUMENTS[0]
        raise DataError(f"{where} has the fields {fields}, and none is called {wanted}: name one of them by --column.")
    text = "" if record[field] is None else record[field]
    if not isinstance(text, str):
        raise DataError(f"{where} holds no text in its field {field}: name the field with the document by --column.")
    return Incoming(text, name, record)


def _decoded(content: bytes, where: str) -> str:
    if len(content) > LONGEST:
        raise DataError(f"{where} is longer than {LONGEST >> 20} MiB, which is no document: divide it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} isn't UTF-8 ({error.reason} at byte {error.start:,}): save it as UTF-8.") from error


def _named(source: str) -> str:
    return "standard input" if source == "-" else source
