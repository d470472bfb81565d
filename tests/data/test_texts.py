"""Texts as they are: plain files by their names or in stretches, pairs with the summary above, sources by commas."""

import json
from pathlib import Path

import pytest

from vitrail.data.texts import PARTS, load_texts, make_texts, sources_of
from vitrail.errors import DataError

LINES = [f"line number {number} – it says {number * number}\n" for number in range(1009)]


def texts(data: object, split: str = "train") -> list[list[str]]:
    return [list(part.texts) for part in load_texts(str(data), split)]  # type: ignore[arg-type]


def test_a_file_is_cut_into_three_stretches_at_ends_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("".join(LINES))
    parts = {split: texts(file, split) for split in PARTS}
    assert "".join(part[0][0] for part in parts.values()) == "".join(LINES)
    assert all(part[0][0].startswith("line") for part in parts.values())
    sizes = [len(part[0][0]) for part in parts.values()]
    assert [round(20 * size / sum(sizes), 1) for size in sizes] == [18, 1, 1]
    (tmp_path / "one-line.md").write_text("word " * 100)
    whole = [texts(tmp_path / "one-line.md", split)[0][0] for split in PARTS]
    assert [len(text) for text in whole] == [450, 25, 25]


def test_names_of_a_folders_files_tell_the_parts(tmp_path: Path) -> None:
    for name in ("a_train.txt", "b_train.txt", "test.md", "notes.txt"):
        (tmp_path / name).write_text(f"text of {name}")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "valid.txt").write_text("text of deeper")
    assert texts(tmp_path) == [["text of a_train.txt", "text of b_train.txt"]]
    assert texts(tmp_path, "test") == [["text of test.md"]]
    assert texts(tmp_path, "validation") == [["text of deeper"]]
    (tmp_path / "deeper" / "valid.txt").write_text(" \n")
    with pytest.raises(DataError, match="has no validation part, or it is empty"):
        texts(tmp_path, "validation")


def test_a_folder_without_such_names_gives_a_stretch_of_each_file(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("".join(LINES))
    assert [len(texts(tmp_path, split)[0]) for split in PARTS] == [2, 2, 2]
    # Named by itself a file is the whole set, whatever its name says.
    (tmp_path / "test.txt").write_text("".join(LINES))
    assert len(texts(tmp_path / "test.txt")[0][0]) > 20_000


def test_summaries_stand_above_their_documents_and_sources_keep_apart(tmp_path: Path) -> None:
    rows = [{"document": f"document {n}", "summary": f"title {n}", "split": "train"} for n in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b.txt").write_text("".join(LINES))
    parts = load_texts(f"{tmp_path / 'a.jsonl'}, {tmp_path / 'b.txt'}")
    assert [part.name for part in parts] == [str(tmp_path / "a.jsonl"), str(tmp_path / "b.txt")]
    assert list(parts[0].texts) == [f"title {n}\n\ndocument {n}" for n in range(3)]
    assert parts[0].characters == 3 * len("title 0\n\ndocument 0")
    assert load_texts(str(tmp_path / "a.jsonl"))[0].fingerprint == parts[0].fingerprint != parts[1].fingerprint
    assert load_texts(str(tmp_path / "a.jsonl"), columns=("summary", "document"))[0].texts[0] == "document 0\n\ntitle 0"


def test_a_comma_in_a_name_joins_nothing(tmp_path: Path) -> None:
    file = tmp_path / "this, that.txt"
    file.write_text("".join(LINES))
    assert sources_of(str(file)) == [str(file)]
    assert sources_of("docstrings, a/b ,c.txt") == ["docstrings", "a/b", "c.txt"]


def test_empty_texts_are_left_out() -> None:
    assert list(make_texts("x", ["a", "", " \n", "b"]).texts) == ["a", "b"]


def test_what_cannot_be_used(tmp_path: Path) -> None:
    for data in ("", "docstrings,", " , "):
        with pytest.raises(DataError, match="names no source between two commas"):
            load_texts(data)
    with pytest.raises(DataError, match=r"no file, folder or embedded set called nothing\.txt"):
        load_texts("nothing.txt")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt isn't UTF-8"):
        load_texts(str(tmp_path / "latin.txt"))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="has no train part, or it is empty"):
        load_texts(str(tmp_path / "empty.txt"))
