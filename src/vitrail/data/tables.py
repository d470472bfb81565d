"""Tables with an image column (parquet files, datasets of the Hugging Face Hub) → sources.

Parquet is streamed: ``datasets`` would otherwise write a second copy of it, as Arrow, before the first image. Its
``load_dataset("parquet")`` is avoided too: it tells the Hub each time it is called.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitrail.data.examples import Example, Reading, Source
from vitrail.data.folders import TEST_NAMES, TRAIN_NAMES
from vitrail.errors import DataError

_IMAGE_COLUMNS = ("image", "img", "images", "picture", "pixels", "jpg", "png")
_LABEL_COLUMNS = ("label", "labels", "class", "target", "fine_label", "digit", "category")
_NAME_COLUMNS = ("identity", "person", "name")
_ROWS = 256
"""Rows of a table held as Python objects at a time."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are used.

    Attributes:
        image: the images'.
        label: the labels', if any.
        classes: the labels' declared names, if any.
        only: a column and the value that it has in the rows to use; None uses all.
    """

    image: str
    label: str | None
    classes: tuple[str, ...] | None
    only: tuple[str, str] | None = None


def parquet_sources(folder: Path, files: Sequence[Path]) -> dict[str, Source]:
    """The splits among parquet files, told by the words in their paths below ``folder``.

    Files that name no split are for training where no file is named "train". A single file that names none may have a
    column that does: see ``parquet_file``.

    Raises:
        DataError: all files are named as test files.
    """
    splits: dict[str, list[Path]] = {}
    for file in sorted(files):
        words = set(re.split(r"[^a-z]+", str(file.relative_to(folder).with_suffix("")).lower()))
        split = next((name for name in (*TRAIN_NAMES, *TEST_NAMES) if name in words), "")
        splits.setdefault("train" if split in TRAIN_NAMES else split, []).append(file)
    if len(files) == 1 and "" in splits:
        return parquet_file(*files)
    train = splits.get("train") or splits.get("")
    if not train:
        raise DataError(
            f"{folder} holds {len(files)} parquet files and none to train on ({sorted(files)[0].name}, …): "
            'put "train" in the name of those that are.'
        )
    sources = {"train": parquet_source(train)}
    test = next((splits[name] for name in TEST_NAMES if name in splits), None)
    if test:
        sources["test"] = parquet_source(test)
    return sources


def parquet_file(file: Path) -> dict[str, Source]:
    """The splits in one parquet file: all of it is for training, unless a column called ``split`` (or ``…_split``) says
    otherwise of each row.

    Where no label is in both splits, the labels are identities, and a column with their names takes their place.
    """
    import pyarrow.lib

    try:
        return _by_column(file) or {"train": parquet_source([file])}
    except (pyarrow.lib.ArrowException, OSError):
        return {"train": parquet_source([file])}  # whoever reads it says what is wrong with it


def _by_column(file: Path) -> dict[str, Source]:
    """The splits that a column of the file tells apart; none without such a column."""
    import datasets
    import pyarrow.parquet

    features = datasets.Features.from_arrow_schema(pyarrow.parquet.read_schema(file))
    texts = [name for name, kind in features.items() if getattr(kind, "dtype", "") in ("string", "large_string")]
    column = next((name for name in texts if name == "split" or name.endswith("_split")), None)
    if column is None:
        return {}
    columns = find_columns(features, file.name)
    named = [name for name in (*_NAME_COLUMNS, columns.label) if name in (*texts, columns.label) and name is not None]
    table = pyarrow.parquet.read_table(file, columns=[column, *dict.fromkeys(named)]).to_pydict()
    found = {
        split: next((name for name in names if name in set(table[column])), None)
        for split, names in (("train", TRAIN_NAMES), ("test", TEST_NAMES))
    }
    if found["train"] is None:
        return {}

    def labels(split: str) -> set[object]:
        assert columns.label is not None
        rows = zip(table[column], table[columns.label], strict=True)
        return {label for value, label in rows if value == found[split]}

    identities = columns.label is not None and found["test"] is not None and not labels("train") & labels("test")
    if identities:
        label = next(name for name in named if _same_parts(table, name, columns.label))
        columns = replace(columns, label=label, classes=columns.classes if label == columns.label else None)
    return {
        split: Source(
            file.name,
            f"parquet {column}={value} {columns.label}",
            (file,),
            functools.partial(_read_parquet, (file,), file.name, replace(columns, only=(column, value))),
            identities,
        )
        for split, value in found.items()
        if value is not None
    }


def _same_parts(table: dict[str, list[object]], name: str, label: str | None) -> bool:
    """Whether two columns divide the rows in the same way."""
    pairs = set(zip(table[name], table[label or name], strict=True))
    return len(pairs) == len(set(table[name])) == len(set(table[label or name]))


def hub_sources(name: str, splits: dict[str, Any]) -> dict[str, Source]:
    """The splits of a downloaded Hub dataset (``datasets.DatasetDict``).

    Raises:
        DataError: it has no training split.
    """
    train = next((splits[split] for split in TRAIN_NAMES if split in splits), None)
    if train is None:
        raise DataError(f"The Hub dataset {name} has the splits {', '.join(splits)} and none called train.")
    test = next((splits[split] for split in TEST_NAMES if split in splits), None)
    named = {"train": train} if test is None else {"train": train, "test": test}
    return {
        split: Source(
            name, f"hub {table._fingerprint}", (), functools.partial(_read_table, table, f"{split} of {name}")
        )
        for split, table in named.items()
    }


def find_columns(features: dict[str, Any], where: str) -> Columns:
    """Which columns hold images and labels.

    Args:
        features: ``datasets.Features``: column name → type.
        where: what an error calls the table.

    Raises:
        DataError: no column holds images.
    """
    import datasets

    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    images += [name for name, kind in features.items() if isinstance(kind, dict) and "bytes" in kind]
    images += [name for name, kind in features.items() if getattr(kind, "dtype", "") in ("binary", "large_binary")]
    if not images:
        raise DataError(
            f"{where} has no image column: its columns are {', '.join(features)}, and one must hold encoded images "
            "(bytes, or a struct of bytes and path)."
        )
    image = next((name for name in _IMAGE_COLUMNS if name in images), images[0])
    declared = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    label = next((name for name in _LABEL_COLUMNS if name in features), declared[0] if len(declared) == 1 else None)
    classes = None
    if label is not None and isinstance(features[label], datasets.ClassLabel):
        classes = tuple(features[label].names)
    return Columns(image, label, classes)


def parquet_source(files: Sequence[Path]) -> Source:
    """One split made of parquet files, in the order given."""
    where = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    return Source(where, "parquet", tuple(files), functools.partial(_read_parquet, tuple(files), where))


def _read_parquet(files: tuple[Path, ...], where: str, chosen: Columns | None = None) -> Reading:
    import datasets
    import pyarrow.lib
    import pyarrow.parquet

    columns: Columns | None = None
    for file in files:
        try:
            schema = pyarrow.parquet.read_schema(file)
        except (pyarrow.lib.ArrowException, OSError) as error:
            raise DataError(
                f"{file} is not a readable parquet file ({str(error).splitlines()[0]}): fetch or write it again."
            ) from error
        found = find_columns(datasets.Features.from_arrow_schema(schema), file.name)
        if columns is not None and found != columns:
            raise DataError(
                f"{file.name} has other image or label columns than {files[0].name} ({found} against {columns}): "
                "files of one split must agree."
            )
        columns = found
    columns = chosen or columns
    assert columns is not None, "a source has at least one file"

    def examples() -> Iterator[Example]:
        for file in files:
            try:
                table = datasets.IterableDataset.from_parquet(str(file))
                yield from _rows(table, columns, file.name, file.parent)
            except (pyarrow.lib.ArrowException, OSError, datasets.exceptions.DatasetsError) as error:
                raise DataError(
                    f"{file} can't be read to its end ({str(error).splitlines()[0]}): fetch or write it again."
                ) from error

    return Reading(columns.label is not None, columns.classes, examples())


def _read_table(table: Any, where: str) -> Reading:
    columns = find_columns(table.features, where)
    return Reading(columns.label is not None, columns.classes, _rows(table, columns, where, Path()))


def _rows(table: Any, columns: Columns, where: str, folder: Path) -> Iterator[Example]:
    import datasets

    used = [columns.image] if columns.label is None else [columns.image, columns.label]
    column, value = columns.only or (columns.image, None)
    table = table.select_columns([*dict.fromkeys([*used, column])])
    if isinstance(table.features[columns.image], datasets.Image):
        table = table.cast_column(columns.image, datasets.Image(decode=False))
    row = 0
    for batch in table.iter(batch_size=_ROWS):
        labels = [None] * len(batch[columns.image]) if columns.label is None else batch[columns.label]
        for stored, label, told in zip(batch[columns.image], labels, batch[column], strict=True):
            if columns.only is None or told == value:
                yield Example(f"row {row} of {where}", _payload(stored, folder), label)
            row += 1


def _payload(stored: Any, folder: Path) -> bytes | Path:
    """The encoded image in a cell: bytes, or a struct of bytes and path where either may be missing."""
    if isinstance(stored, dict):
        if stored.get("bytes") is None and stored.get("path"):
            return folder / str(stored["path"])
        stored = stored.get("bytes")
    return bytes(stored or b"")
