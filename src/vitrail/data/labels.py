"""Labels as they stand in a source → whole numbers from 0, and splits that keep every class's share."""

import hashlib
import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from vitrail.errors import DataError


def encode_labels(
    raw: Sequence[object],
    names: Sequence[str],
    where: str,
    *,
    declared: tuple[str, ...] | None = None,
    classes: tuple[str, ...] | None = None,
    occurring: bool = False,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the labels.

    Args:
        raw: one label an example: text, or a whole number.
        names: what an error calls each example.
        where: what an error calls the source.
        declared: the class names that the source gives; whole numbers count into them.
        classes: the classes to use, in order (those of the training split), or None: the declared ones, else every
            label that occurs, in order.
        occurring: leave out declared classes that no example has.

    Returns:
        int64 ``[n]``, each an index into the classes; and the classes.

    Raises:
        DataError: a label is missing, not whole, negative, out of range, or none of the classes.
    """
    texts = [_text(value, name, where, declared) for value, name in zip(raw, names, strict=True)]
    if classes is None:
        seen = set(texts)
        classes = declared or sorted_classes(seen)
        if occurring:
            classes = tuple(name for name in classes if name in seen)
    index = {name: number for number, name in enumerate(classes)}
    for text, name in zip(texts, names, strict=True):
        if text not in index:
            shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
            raise DataError(
                f"The label {text} of {name} in {where} is none of the {len(classes)} classes to train on ({shown}): "
                "correct it, or add that class to the training images."
            )
    return np.array([index[text] for text in texts], dtype=np.int64), classes


def sorted_classes(names: set[str]) -> tuple[str, ...]:
    """Class names in order: by number where all are numbers ("2" before "10"), else by alphabet."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _text(value: object, name: str, where: str, declared: tuple[str, ...] | None) -> str:
    """A label as the name of its class."""
    if value is None:
        raise DataError(f"{name} in {where} has no label (null): label it, or remove it.")
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise DataError(
            f"The label {value!r} of {name} in {where} is a {type(value).__name__}: labels are whole numbers or text."
        )
    if value < 0:
        raise DataError(f"The label {value} of {name} in {where} is negative, and classes count from 0: correct it.")
    if declared is None:
        return str(int(value))
    if value >= len(declared):
        raise DataError(
            f"The label {value} of {name} in {where} is out of range for its {len(declared)} declared classes "
            f"(0 to {len(declared) - 1}): correct it, or declare the class."
        )
    return declared[value]


def allot(counts: Sequence[int], fraction: float) -> list[int]:
    """How many of each class a part of the whole gets: ``ceil(fraction * n)`` in all, by largest remainder."""
    wanted = [count * fraction for count in counts]
    shares = [math.floor(share) for share in wanted]
    missing = math.ceil(sum(counts) * fraction - 1e-9) - sum(shares)
    by_remainder = sorted(range(len(counts)), key=lambda k: shares[k] - wanted[k])
    for k in by_remainder[:missing]:
        shares[k] += 1
    return shares


def content_split(labels: Sequence[Hashable], digests: Sequence[bytes], fraction: float) -> NDArray[np.bool_]:
    """Which examples a test split of ``fraction`` takes: of each class those whose content hashes lowest.

    Renaming or reordering files changes nothing, and equal images of a class stay on one side.
    Returns bool ``[n]``, True = test.
    """
    members: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    chosen = np.zeros(len(labels), dtype=bool)
    for rows, share in zip(members.values(), allot([len(rows) for rows in members.values()], fraction), strict=True):
        if share == 0:
            continue
        threshold = sorted(digests[row] for row in rows)[share - 1]
        chosen[[row for row in rows if digests[row] <= threshold]] = True
    return chosen


def identity_split(labels: Sequence[Hashable], fraction: float) -> NDArray[np.bool_]:
    """Which examples a test split of ``ceil(fraction * classes)`` whole classes takes: those whose names hash lowest.

    Adding examples to a class changes nothing. Returns bool ``[n]``, True = test.
    """
    names = sorted(set(labels), key=lambda name: hashlib.blake2b(str(name).encode(), digest_size=16).digest())
    chosen = set(names[: math.ceil(len(names) * fraction - 1e-9)])
    return np.array([label in chosen for label in labels], dtype=bool)
