"""Documents and their summaries, from what ``--data`` names: ``docstrings``, a file, a folder, or a Hub name.

A file is ``.jsonl``/``.json`` (also ``.gz``), ``.csv`` or ``.parquet``, read by Arrow; its columns are found by their
usual names. A folder holds such files, whose names tell the splits. Where a source has no test part of its own, a hash
of each document decides, so that the same document is always in the same part: 5% test, 5% validation.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vitrail.data.docstrings import docstrings
from vitrail.data.folders import TRAIN_NAMES
from vitrail.errors import DataError

Split = Literal["train", "validation", "test"]

SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".csv", ".csv.gz", ".parquet")
"""Files that are read."""

DOCUMENTS = ("document", "article", "text", "body", "dialogue", "abstract", "source", "input")
"""Usual names of the column with documents, in order of preference."""
SUMMARIES = ("summary", "highlights", "title", "headline", "target", "output", "label")
"""Usual names of the column with summaries."""
NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": TRAIN_NAMES,
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""What the splits are called."""


@dataclass(frozen=True)
class Documents:
    """One part of a set.

    Attributes:
        name: of the set.
        documents: texts.
        summaries: of each document.
        empty: pairs that were left out, since a side was empty.
        fingerprint: the same for the same pairs in the same order.
    """

    name: str
    documents: Sequence[str]
    summaries: Sequence[str]
    empty: int
    fingerprint: str

    def __len__(self) -> int:
        """Pairs that there are."""
        return len(self.documents)

    def subset(self, rows: Sequence[int]) -> "Documents":
        """Some of the pairs, in this order."""
        return make_documents(self.name, [(self.documents[row], self.summaries[row]) for row in rows])


def make_documents(name: str, pairs: Sequence[tuple[str, str]]) -> Documents:
    """A part from its pairs; those with an empty side are left out and counted."""
    kept = [(document, summary) for document, summary in pairs if document.strip() and summary.strip()]
    digest = hashlib.blake2b(digest_size=16)
    for pair in kept:
        for text in pair:
            digest.update(text.encode(errors="surrogatepass") + b"\0")
    return Documents(
        name,
        [document for document, _ in kept],
        [summary for _, summary in kept],
        len(pairs) - len(kept),
        digest.hexdigest(),
    )


def load_documents(data: str, split: Split = "train", columns: tuple[str, str] | None = None) -> Documents:
    """One part of the set behind a name.

    Args:
        data: ``docstrings``, a file, a folder of files, or a Hub name.
        split: which part.
        columns: the columns of documents and of summaries, where their names are unusual.

    Raises:
        DataError: there is no such set, no such column, or no pair in this part.
    """
    pairs = list(_parts(data, columns, split))
    if not pairs:
        raise DataError(f"{data} has no {split} part, or it is empty: name data with documents and their summaries.")
    found = make_documents(data, pairs)
    if not len(found):
        raise DataError(f"in the {split} part of {data} each pair has an empty side: check which columns are read.")
    return found


def _parts(data: str, columns: tuple[str, str] | None, split: Split) -> Iterator[tuple[str, str]]:
    if data == "docstrings":
        return _by_hash(docstrings(), split)
    path = Path(data).expanduser()
    if path.is_dir():
        return _folder(path, columns, split)
    if path.is_file():
        return _file(path, columns, split)
    if path.suffix or "/" not in data:
        raise DataError(
            f"there is no file, folder or embedded set called {data} (embedded: docstrings): check the spelling."
        )
    return _hub(data, columns, split)


def _folder(folder: Path, columns: tuple[str, str] | None, split: Split) -> Iterator[tuple[str, str]]:
    """Files whose names hold a split's; where none does, all of them, divided by the hash of documents."""
    files = sorted(file for file in folder.rglob("*") if file.name.lower().endswith(SUFFIXES))
    if not files:
        raise DataError(f"{folder} holds no {', '.join(SUFFIXES)} file: name a folder with documents.")
    named = {file: part_of(file) for file in files}
    if not any(named.values()):
        for file in files:
            yield from _file(file, columns, split)
        return
    own = [file for file, part in named.items() if part == split]
    if own or split == "train":
        for file in own:
            yield from _rows(_table(file), columns, file.name)


def part_of(file: Path) -> Split | None:
    """The part that a file's name tells, if it tells one."""
    words = file.name.lower().replace("-", ".").replace("_", ".").split(".")
    return next((part for part, names in NAMES.items() if any(name in words for name in names)), None)


def _file(file: Path, columns: tuple[str, str] | None, split: Split) -> Iterator[tuple[str, str]]:
    """A file's own parts where a column ``split`` tells them, else by the hash of documents."""
    table = _table(file)
    if "split" not in table.column_names:
        yield from _by_hash(_rows(table, columns, file.name), split)
        return
    told = table.column("split").to_pylist()
    for part, pair in zip(told, _rows(table, columns, file.name), strict=True):
        if part in NAMES[split]:
            yield pair


def _table(file: Path) -> Any:
    """A file as an Arrow table."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            return pyarrow.parquet.read_table(file)
        with pyarrow.input_stream(str(file), compression="gzip" if name.endswith(".gz") else None) as stream:
            if ".csv" in name:
                options = pyarrow.csv.ParseOptions(newlines_in_values=True)
                return pyarrow.csv.read_csv(stream, parse_options=options)
            # A document is one line, however long.
            options = pyarrow.json.ReadOptions(block_size=1 << 26)
            return pyarrow.json.read_json(stream, read_options=options)
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        kind = file.suffix.lstrip(".")
        raise DataError(
            f"{file} can't be read as {kind} ({reason}): check that it is whole; .jsonl has one object a line."
        ) from error


def _rows(table: Any, columns: tuple[str, str] | None, where: str) -> Iterator[tuple[str, str]]:
    document, summary = columns or _columns(table.column_names, where)
    for name in (document, summary):
        if name not in table.column_names:
            raise DataError(f"{where} has no column {name}, but {', '.join(table.column_names)}: name one of them.")
    try:
        pairs = list(zip(table.column(document).to_pylist(), table.column(summary).to_pylist(), strict=True))
    except UnicodeDecodeError as error:
        raise DataError(f"{where} isn't UTF-8 ({error.reason}): save it as UTF-8 text.") from error
    for row, pair in enumerate(pairs, 1):
        if any(isinstance(text, bytes) for text in pair):  # what Arrow makes of a column in another encoding
            raise DataError(f"row {row} of {where} isn't UTF-8: save it as UTF-8 text.")
        if not all(text is None or isinstance(text, str) for text in pair):
            raise DataError(f"row {row} of {where} holds something else than text: name the columns of the texts.")
        yield pair[0] or "", pair[1] or ""


def _columns(names: Sequence[str], where: str) -> tuple[str, str]:
    found = [next((name for name in usual if name in names), None) for usual in (DOCUMENTS, SUMMARIES)]
    if found[0] is None or found[1] is None:
        raise DataError(
            f"{where} has the columns {', '.join(names) or '(none)'}, and none is called {DOCUMENTS[0]} or "
            f"{SUMMARIES[0]}: say which they are by --columns DOCUMENT SUMMARY."
        )
    return found[0], found[1]


def _by_hash(pairs: Iterable[tuple[str, str]], split: Split) -> Iterator[tuple[str, str]]:
    for document, summary in pairs:
        chance = hashlib.blake2b(document.encode(errors="surrogatepass"), digest_size=2).digest()
        twentieth = int.from_bytes(chance, "big") % 20
        part = "test" if twentieth == 0 else "validation" if twentieth == 1 else "train"
        if part == split:
            yield document, summary


def _hub(name: str, columns: tuple[str, str] | None, split: Split) -> Iterator[tuple[str, str]]:
    from vitrail.data.sources import from_hub

    sets = from_hub(name)
    own = next((sets[part] for part in NAMES[split] if part in sets), None)
    if own is not None:
        yield from _rows(own.data.table, columns, name)
