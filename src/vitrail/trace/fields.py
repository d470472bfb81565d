"""Reading JSON that somebody else wrote: every field is of its kind, or one sentence says which isn't."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vitrail.errors import TraceError


class Fields:
    """One JSON object, and the tensors that it names.

    Every method takes the name of a field and gives its value, or None where the field is missing (or null).

    Raises:
        TraceError: the object is none, or a field is of another kind than it should be.
    """

    def __init__(self, value: object, where: str, tensors: Mapping[str, np.ndarray]) -> None:
        if not isinstance(value, dict):
            raise TraceError(f"{where} is no JSON object")
        self.value: dict[str, Any] = value
        self.where = where
        self.tensors = tensors

    def text(self, name: str) -> str | None:
        text: str | None = self._of_kind(name, str, "a text")
        return text

    def whole(self, name: str) -> int | None:
        number: int | None = self._of_kind(name, int, "a whole number")
        if number is not None and not -(2**53) <= number <= 2**53:
            raise self.wrong(name, "a whole number of at most 53 bits")
        return number

    def number(self, name: str) -> float | None:
        """A finite number."""
        found = self._of_kind(name, (int, float), "a number")
        try:
            number = None if found is None else float(found)
        except OverflowError:
            number = math.inf
        if number is not None and not math.isfinite(number):
            raise self.wrong(name, "a finite number")
        return number

    def items(self, name: str) -> list[Any]:
        """A list; an empty one where the field is missing."""
        return self._of_kind(name, list, "a list") or []

    def texts(self, name: str) -> tuple[str, ...] | None:
        if self.value.get(name) is None:
            return None
        found = self.items(name)
        if not all(isinstance(text, str) for text in found):
            raise self.wrong(name, "a list of texts")
        return tuple(found)

    def names(self, name: str) -> dict[str, str]:
        """Texts by name; none where the field is missing."""
        found = self._of_kind(name, dict, "texts by name") or {}
        if not all(isinstance(text, str) for text in found.values()):
            raise self.wrong(name, "texts by name")
        return found

    def pair(self, name: str) -> tuple[int, int] | None:
        """Two counts of at least 1."""
        if self.value.get(name) is None:
            return None
        found = self.items(name)
        if len(found) != 2 or not all(type(one) is int and 0 < one < 2**31 for one in found):
            raise self.wrong(name, "two counts")
        return found[0], found[1]

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects; an empty one where the field is missing."""
        return [
            Fields(one, f"{name} {place} of {self.where}", self.tensors) for place, one in enumerate(self.items(name))
        ]

    def object(self, name: str) -> "Fields | None":
        found = self.value.get(name)
        return None if found is None else Fields(found, f"{name} of {self.where}", self.tensors)

    def tensor(self, name: str, kinds: str = "f") -> np.ndarray | None:
        """A tensor that the field names; ``kinds``: f for broken, i for whole numbers, u for bytes."""
        label = self.text(name)
        if label is None:
            return None
        if label not in self.tensors:
            raise TraceError(f"{name} of {self.where} is said to be the tensor {label!r}, which isn't in the file")
        array = self.tensors[label]
        if array.dtype.kind not in kinds:
            raise TraceError(f"{name} of {self.where} is the tensor {label!r} of {array.dtype}, which can't be meant")
        return array

    def flags(self, name: str) -> np.ndarray | None:
        """A tensor of bytes as flags: 0 for False."""
        found = self.tensor(name, "u")
        return None if found is None else np.not_equal(found, 0)

    def needed(self, name: str, value: Any) -> Any:
        """The value, which may not be missing."""
        if value is None:
            raise TraceError(f"{name} of {self.where} is missing")
        return value

    def wrong(self, name: str, wanted: str) -> TraceError:
        """What is said of a field of the wrong kind."""
        return TraceError(f"{name} of {self.where} isn't {wanted}")

    def _of_kind(self, name: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        found = self.value.get(name)
        if found is None:
            return None
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self.wrong(name, wanted)
        return found
