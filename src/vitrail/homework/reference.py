"""The course's files of tensors, opened as nothing but tensors: a file from outside can be anything.

``test_reference.pt`` is {input, output, weights}, ``autograder_student.pt`` {input, weights}: inputs and outputs by the
names of functions, weights by the names of classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitrail.errors import DataError
from vitrail.homework.checking import Case, Weights, parts

LARGEST = 20_000_000
"""Numbers that a tensor of such a file may have; the course's have some hundred thousand."""


@dataclass(frozen=True)
class Reference:
    """What such a file holds, looked through.

    Attributes:
        path: where it lies.
        inputs: of each call, a tensor or a tuple of them.
        weights: of each class.
        outputs: of each call, where the file has any.
    """

    path: Path
    inputs: Mapping[str, Any]
    weights: Weights
    outputs: Mapping[str, Any]

    def call(self, case: Case, subject: Any) -> Any:
        """What the subject makes of a case's inputs.

        Raises:
            DataError: they don't suit it.
        """
        try:
            with torch.no_grad():
                return case.call(subject, self.inputs[case.name], self.weights)
        except Exception as error:  # whatever a file may hold
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{self.path}: {case.name} can't be computed from what stands there ({reason}); take the course's file."
            ) from error


def read_reference(
    path: Path, cases: Sequence[Case], counts: Mapping[str, int], classes: Sequence[str], *, with_outputs: bool
) -> Reference:
    """Read a file of the course's form.

    Args:
        path: the file.
        cases: whose inputs must be there.
        counts: tensors that a case's input has, where it is more than one.
        classes: whose weights must be there.
        with_outputs: whether outputs must be there, too.

    Raises:
        DataError: it can't be read, holds more than tensors, or lacks something, which is named.
    """
    content = _load(path)
    wanted = ("input", "weights", *(("output",) if with_outputs else ()))
    found = content if isinstance(content, Mapping) else {}
    sections: dict[str, Mapping[str, Any]] = {}
    for name in wanted:
        section = found.get(name)
        if not isinstance(section, Mapping):
            raise _no("has no dictionary", name, path)
        sections[name] = section
    inputs: dict[str, Any] = {}
    for case in cases:
        value = sections["input"].get(case.name)
        given = parts(value)
        count = counts.get(case.name, 1)
        if len(given) != count:
            raise _no("has no tensor" if count == 1 else f"has no {count} tensors", f"input of {case.name}", path)
        _require_tensors(given, f"input of {case.name}", path)
        inputs[case.name] = tuple(given) if len(given) > 1 else given[0]
        if with_outputs:
            _require_tensors(parts(sections["output"].get(case.name)), f"output of {case.name}", path)
    for name in classes:
        weights = sections["weights"].get(name)
        if not isinstance(weights, Mapping):
            raise _no("has no dictionary", f"weights of {name}", path)
        _require_tensors(list(weights.values()), f"weights of {name}", path)
    outputs = {case.name: sections["output"][case.name] for case in cases} if with_outputs else {}
    return Reference(path, inputs, {name: sections["weights"][name] for name in classes}, outputs)


def _load(path: Path) -> Any:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}, and the course's file of tensors was expected: name that.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file brings up is not to be foreseen
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise DataError(
            f"{path} can't be read as tensors only ({reason[:160]}); nothing in it was run: fetch the course's file "
            "again."
        ) from error


def _require_tensors(values: Sequence[Any], name: str, path: Path) -> None:
    for value in values:
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta or value.is_complex():
            raise _no("has no plain tensor", name, path)
        # A file of a few bytes may claim any shape.
        if value.numel() > LARGEST:
            raise DataError(
                f"{path}: the {name} has {value.numel():,} numbers, and the course's files have at most {LARGEST:,} a "
                "tensor: fetch the file again."
            )


def _no(what: str, name: str, path: Path) -> DataError:
    return DataError(f"{path} {what} as the {name}, which the course's file has: name that file, or fetch it again.")
