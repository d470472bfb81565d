"""Texts as they are, for language models, from what ``--data`` names: one source, or several joined by commas.

A source is a ``.txt`` or ``.md`` file, a folder of them, or anything that ``vitrail.data.documents`` reads, whose
summaries then stand above their documents, as titles do and the first lines of docstrings. Names of plain files tell
the parts (``news_train.txt``, ``test.md``); of a file whose name doesn't, the last twentieth is for tests and the one
before it for validation, both cut at the end of a line, so that no part knows what stands between another's lines.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitrail.data.documents import Split, load_documents, part_of
from vitrail.errors import DataError

SUFFIXES = (".txt", ".md")
"""Files that are read as they are."""

PARTS: dict[Split, tuple[int, int]] = {"train": (0, 18), "validation": (18, 19), "test": (19, 20)}
"""Which twentieths of a file are which part, where no name tells."""


@dataclass(frozen=True)
class Texts:
    """One part of a source.

    Attributes:
        name: of the source.
        texts: in their order, none of them empty.
        fingerprint: the same for the same texts in the same order.
    """

    name: str
    texts: Sequence[str]
    fingerprint: str

    @property
    def characters(self) -> int:
        """Of all texts together."""
        return sum(map(len, self.texts))


def load_texts(data: str, split: Split = "train", columns: tuple[str, str] | None = None) -> list[Texts]:
    """One part of each source.

    Args:
        data: sources, joined by commas.
        split: which part.
        columns: of sources with documents and summaries: the names of these columns, where they are unusual.

    Raises:
        DataError: a source is missing, can't be read, or has nothing in this part.
    """
    return [_source(source, split, columns) for source in sources_of(data)]


def sources_of(data: str) -> list[str]:
    """The sources that a name joins by commas; a file or folder that has commas in its own name is one."""
    found = [data] if Path(data).expanduser().exists() else [source.strip() for source in data.split(",")]
    if not all(found):
        raise DataError(f"{data!r} names no source between two commas, or none at all: give files, folders or names.")
    return found


def make_texts(name: str, texts: Sequence[str]) -> Texts:
    """A part of a source; texts without a visible character are left out."""
    kept = [text for text in texts if text.strip()]
    digest = hashlib.blake2b(digest_size=16)
    for text in kept:
        digest.update(text.encode(errors="surrogatepass") + b"\0")
    return Texts(name, kept, digest.hexdigest())


def _source(source: str, split: Split, columns: tuple[str, str] | None) -> Texts:
    path = Path(source).expanduser()
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []
    plain = [file for file in files if file.name.lower().endswith(SUFFIXES)]
    if not plain:
        pairs = load_documents(source, split, columns)
        above = zip(pairs.summaries, pairs.documents, strict=True)
        return make_texts(source, [f"{summary}\n\n{document}" for summary, document in above])
    found = make_texts(source, list(_plain(plain, split, named=path.is_dir())))
    if not found.texts:
        raise DataError(f"{source} has no {split} part, or it is empty: name a file or folder with texts for it.")
    return found


def _plain(files: Sequence[Path], split: Split, *, named: bool) -> Iterator[str]:
    """The texts of one part: of a folder, files with its name where any file has a part's; else a stretch of each."""
    told = {file: part_of(file) if named else None for file in files}
    for file in files:
        if not any(told.values()):
            yield _stretch(_read(file), *PARTS[split])
        elif told[file] == split:
            yield _read(file)


def _stretch(text: str, first: int, end: int) -> str:
    """Some twentieths of a text, from the beginning of a line to the end of another."""

    def edge(twentieth: int) -> int:
        place = len(text) * twentieth // 20
        line = text.rfind("\n", 0, place) + 1
        return place if place in (0, len(text)) else line or place

    return text[edge(first) : edge(end)]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} isn't UTF-8 ({error.reason}): save it as UTF-8 text.") from error
    except OSError as error:
        raise DataError(f"{file} can't be read ({error.strerror}): check that you may read it.") from error
