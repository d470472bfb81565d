"""Documents from files of every kind: the same pairs, in the parts that the files tell or a hash decides."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from vitrail.data import docstrings as embedded
from vitrail.data.documents import Documents, load_documents, make_documents
from vitrail.errors import DataError

PAIRS = [(f"Document number {n} – about\n“things”, and {n * n} more.", f"Things, {n}.") for n in range(211)]
ROWS = [{"id": n, "document": document, "summary": summary} for n, (document, summary) in enumerate(PAIRS)]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """A file of the kind that its name tells."""
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def pairs(of: Documents) -> list[tuple[str, str]]:
    return list(zip(of.documents, of.summaries, strict=True))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_every_kind_of_file_holds_the_same(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / name, ROWS)
    parts = [load_documents(str(file), split) for split in ("train", "validation", "test")]
    assert sorted(pair for part in parts for pair in pairs(part)) == sorted(PAIRS)
    assert [len(part) for part in parts] == [189, 8, 14], "divided by a hash of each document"
    assert len({part.fingerprint for part in parts}) == 3
    shuffled = write(tmp_path / f"b{file.suffix if file.suffix != '.gz' else '.jsonl.gz'}", ROWS[::-1])
    assert sorted(load_documents(str(shuffled), "test").documents) == sorted(parts[2].documents)


def test_a_column_tells_the_parts(tmp_path: Path) -> None:
    told = [row | {"split": ("train", "dev", "test")[n % 3]} for n, row in enumerate(ROWS)]
    file = write(tmp_path / "a.jsonl", told)
    assert pairs(load_documents(str(file), "validation")) == PAIRS[1::3]
    assert pairs(load_documents(str(file))) == PAIRS[0::3]


def test_names_of_files_tell_the_parts(tmp_path: Path) -> None:
    write(tmp_path / "news-train.jsonl", ROWS[:100])
    write(tmp_path / "news.test.csv", ROWS[100:120])
    assert pairs(load_documents(str(tmp_path))) == PAIRS[:100]
    assert pairs(load_documents(str(tmp_path), "test")) == PAIRS[100:120]
    with pytest.raises(DataError, match="no validation part"):
        load_documents(str(tmp_path), "validation")


def test_files_without_such_names_are_all_read(tmp_path: Path) -> None:
    write(tmp_path / "one.jsonl", ROWS[:100])
    write(tmp_path / "two.parquet", ROWS[100:])
    assert sum(len(load_documents(str(tmp_path), split)) for split in ("train", "validation", "test")) == 211


def test_usual_and_named_columns(tmp_path: Path) -> None:
    rows = [{"title": row["summary"], "abstract": row["document"], "notes": "n"} for row in ROWS]
    file = write(tmp_path / "a.jsonl", rows)
    assert set(pairs(load_documents(str(file)))) <= set(PAIRS)
    notes = load_documents(str(file), columns=("abstract", "notes"))
    assert set(notes.summaries) == {"n"}
    with pytest.raises(DataError, match="no column body, but title, abstract, notes"):
        load_documents(str(file), columns=("body", "title"))


def test_pairs_with_an_empty_side_are_counted() -> None:
    found = make_documents("x", [("a", "b"), ("", "c"), ("d", " \n"), ("e", "f")])
    assert (pairs(found), found.empty) == ([("a", "b"), ("e", "f")], 2)
    assert pairs(found.subset([1])) == [("e", "f")]


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the columns name, and none is called document or summary"):
        load_documents(str(write(tmp_path / "a.jsonl", [{"name": "x"}])))
    (tmp_path / "b.jsonl").write_bytes('{"document": "é", "summary": "x"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match="isn't UTF-8"):
        load_documents(str(tmp_path / "b.jsonl"))
    (tmp_path / "c.jsonl").write_text("not json\n")
    with pytest.raises(DataError, match=r"c\.jsonl can't be read as jsonl"):
        load_documents(str(tmp_path / "c.jsonl"))
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(DataError, match="can't be read as csv"):
        load_documents(str(tmp_path / "d.csv"))
    with pytest.raises(DataError, match=r"row 1 of e\.jsonl holds something else than text"):
        load_documents(str(write(tmp_path / "e.jsonl", [{"document": 3, "summary": "x"}])))
    with pytest.raises(DataError, match="no file, folder or embedded set called docstring"):
        load_documents("docstring")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.jsonl"):
        load_documents(str(tmp_path / "empty"))
    with pytest.raises(DataError, match="each pair has an empty side"):
        load_documents(str(write(tmp_path / "f.jsonl", [{"document": "", "summary": "x", "split": "train"}])))


def test_docstrings_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGES", ("networkx",))
    found = load_documents("docstrings")
    assert len(found) > 500
    assert len(set(found.documents)) == len(found)
    assert all(summary.endswith(".") and "\n" not in summary for summary in found.summaries)
    assert not set(found.documents) & set(load_documents("docstrings", "test").documents)
