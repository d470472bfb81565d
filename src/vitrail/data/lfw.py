"""Lists of pairs in the format of Labeled Faces in the Wild (Huang et al. 2007) → rows of image sets.

``pairsDevTrain.txt`` and ``pairsDevTest.txt`` (View 1) begin with a count n; n lines ``name i j`` (two images of one
person) and n lines ``name i name j`` (two persons) follow. ``pairs.txt`` (View 2) begins with the number of folds and
n, and has as many such blocks. Image i of a person is the i-th one in the order of the set, which for LFW is the number
in the file's name.

View 2's folds hold people of both parts of View 1: whoever trained on View 1's must not report on View 2's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from vitrail.data.images import ImageSet
from vitrail.errors import DataError

Image = tuple[str, int]
"""A person's name, and which of the images, counted from 1."""


@dataclass(frozen=True)
class NamedPairs:
    """A list of pairs as it stands in its file.

    Attributes:
        path: the file.
        first: one image of each pair.
        second: the other one.
        fold: which block each pair stands in, from 0.
    """

    path: Path
    first: tuple[Image, ...]
    second: tuple[Image, ...]
    fold: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.fold)


@dataclass(frozen=True)
class IndexPairs:
    """Pairs of images as rows.

    Attributes:
        first: one row of each pair; the sets that it was looked up in are counted through.
        second: the other one.
        same: True for two images of one person.
        fold: which block of the list each pair stands in, from 0.
    """

    first: Int64[np.ndarray, " m"]
    second: Int64[np.ndarray, " m"]
    same: Bool[np.ndarray, " m"]
    fold: Int64[np.ndarray, " m"]


def read_pairs(path: Path) -> NamedPairs:
    """Read a list of pairs.

    Raises:
        DataError: the file can't be read, or is no such list.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise DataError(
            f"The list of pairs {path} can't be read ({reason}): name LFW's pairsDevTest.txt or one like it."
        ) from error
    head = lines[0].split() if lines else []
    if len(head) not in (1, 2) or not all(word.isdecimal() for word in head):
        raise DataError(
            f"{path} begins with {' '.join(head)[:40]!r}, and a list of pairs begins with the number of pairs, or of "
            "folds and pairs: name LFW's pairsDevTest.txt or one like it."
        )
    folds, each = (1, *map(int, head))[-2:]
    rows = [line.split() for line in lines[1:] if line.strip()]
    if len(rows) != 2 * folds * each:
        raise DataError(
            f"{path} has {len(rows):,} pairs, and its first line announces {2 * folds * each:,} ({folds} times {each} "
            "of one person and as many of two): fetch it again."
        )
    first, second = [], []
    for number, row in enumerate(rows, 2):
        if len(row) not in (3, 4) or not all(word.isdecimal() for word in (row[1], row[-1])):
            raise DataError(
                f"Line {number} of {path} is {' '.join(row)[:60]!r}, and a pair is 'name i j' or 'name i name j': "
                "correct it."
            )
        first.append((row[0], int(row[1])))
        second.append((row[-2] if len(row) == 4 else row[0], int(row[-1])))
    return NamedPairs(path, tuple(first), tuple(second), tuple(number // (2 * each) for number in range(len(rows))))


def index_pairs(pairs: NamedPairs, *sets: ImageSet) -> IndexPairs:
    """Look up each image of a list in one or more sets of identities.

    Args:
        pairs: the list.
        sets: the images; the rows of the second set count on where those of the first end.

    Raises:
        DataError: an image isn't there; it is named. Or images were left out, so that counting them goes wrong.
    """
    rows: dict[str, list[int]] = {}
    start = 0
    for images in sets:
        if images.skipped or images.labels is None:
            why = f"{len(images.skipped)} damaged images were left out" if images.skipped else "it has no labels"
            raise DataError(f"{pairs.path} counts each person's images, and of {images.name} {why}: use it complete.")
        for row, label in enumerate(images.labels.tolist(), start):
            rows.setdefault(images.classes[label], []).append(row)
        start += len(images)

    def find(wanted: Sequence[Image]) -> Int64[np.ndarray, " m"]:
        for name, number in wanted:
            found = len(rows.get(name, ()))
            if not 1 <= number <= found:
                raise DataError(
                    f"{pairs.path} asks for image {number} of {name}, and {_names(sets)} has {found} of them: name "
                    "data with all images of the list, or another list."
                )
        return np.array([rows[name][number - 1] for name, number in wanted], dtype=np.int64)

    same = np.array([one[0] == other[0] for one, other in zip(pairs.first, pairs.second, strict=True)], dtype=bool)
    return IndexPairs(find(pairs.first), find(pairs.second), same, np.array(pairs.fold, dtype=np.int64))


def _names(sets: Sequence[ImageSet]) -> str:
    return " and ".join(f"the {images.split} part of {images.name}" for images in sets)
