"""Documents as a stream: each source is read as what it is, a line at a time, or refused."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitrail.data.incoming import Incoming, incoming
from vitrail.errors import DataError


def texts(found: Iterator[Incoming]) -> list[str]:
    return [document.text for document in found]


def stream(*lines: str) -> io.BytesIO:
    return io.BytesIO("".join(f"{line}\n" for line in lines).encode())


def test_files_folders_and_standard_input_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "one.txt").write_text("One.\n\nWith two paragraphs.\n")
    (tmp_path / "folder" / "b.md").write_text("Markdown")
    (tmp_path / "folder" / "deep" / "a.jsonl").write_text('{"text": "A"}\n\n{"article": "B", "id": 3}\n')
    (tmp_path / "folder" / "picture.png").write_bytes(b"\x89PNG")
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write('{"body": "C", "text": null, "document": "preferred"}\n')
    sources = [str(tmp_path / name) for name in ("one.txt", "folder", "c.jsonl.gz")] + ["-"]
    found = list(incoming(sources, stream=stream("first line", "", "{ no object")))
    assert [document.text for document in found] == [
        "One.\n\nWith two paragraphs.\n", "Markdown", "A", "B", "preferred", "first line", "", "{ no object",
    ]  # fmt: skip
    assert found[3].record == {"article": "B", "id": 3}
    assert found[0].record is None
    assert [document.source for document in found[-2:]] == ["standard input"] * 2


def test_standard_input_is_objects_where_its_first_line_is_one() -> None:
    assert texts(incoming(["-"], stream=stream('{"document": "a"}', '{"document": null}'))) == ["a", ""]
    assert texts(incoming(["-"], "lines", stream=stream('{"document": "a"}'))) == ['{"document": "a"}']
    assert texts(incoming(["-"], "text", stream=stream("two", "lines"))) == ["two\nlines\n"]
    assert texts(incoming(["-"], "jsonl", "words", stream=stream('{"words": "x", "text": "y"}'))) == ["x"]


def test_odd_characters_are_texts_too() -> None:
    strange = "tab\tbell\x07 nul\x00 \u202ertl 🦋 \ufeff"
    assert texts(incoming(["-"], stream=stream(strange))) == [strange]
    assert texts(incoming(["-"], stream=io.BytesIO(b"\xef\xbb\xbfmarked\r\nlast"))) == ["marked", "last"]


def test_a_line_is_read_when_it_is_asked_for() -> None:
    read = 0

    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            read += 1
            return b"a document\n"

    found = incoming(["-"], stream=Endless())  # type: ignore[arg-type]
    assert read == 0
    for _ in range(5):
        next(found)
    assert read == 5


@pytest.mark.parametrize(
    ("content", "name", "manner", "reason"),
    [
        (b"", "a.txt", "auto", "a.txt is empty"),
        (b"", "a.jsonl", "auto", "a.jsonl is empty"),
        (b"fine\n\xff\xfe\n", "a.txt", "lines", r"line 2 of .*a.txt isn't UTF-8 \(invalid start byte at byte 0\)"),
        (b"{'single': 1}\n", "a.jsonl", "auto", "line 1 of .*a.jsonl is no JSON"),
        (b"[" * 100_000, "a.jsonl", "auto", "nested too deeply"),
        (b'["text"]\n', "a.jsonl", "auto", "is no JSON object"),
        (b'{"words": "x"}\n', "a.jsonl", "auto", "has the fields words, and none is called document"),
        (b'{"text": 7}\n', "a.jsonl", "auto", "holds no text in its field text"),
        (b"not gzip", "a.jsonl.gz", "auto", "no whole gzip file"),
        (gzip.compress(b'{"text": "x"}\n', mtime=0)[:-9], "a.jsonl.gz", "auto", "no whole gzip file"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, name: str, manner: str, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        list(incoming([str(tmp_path / name)], manner))  # type: ignore[arg-type]


def test_places_without_documents(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.txt"):
        list(incoming([str(tmp_path)]))
    with pytest.raises(DataError, match="there is no file or folder"):
        list(incoming([str(tmp_path / "missing.txt")]))
    with pytest.raises(DataError, match="standard input is empty"):
        list(incoming(["-"], stream=io.BytesIO()))
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "a"}))
    with pytest.raises(DataError, match="none is called words: name one of them by --column"):
        list(incoming([str(tmp_path / "x.jsonl")], column="words"))


def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitrail.data.incoming.LONGEST", 1 << 20)
    with pytest.raises(DataError, match="line 2 of standard input is longer than 1 MiB"):
        list(incoming(["-"], stream=stream("short", "x" * (1 << 21))))
