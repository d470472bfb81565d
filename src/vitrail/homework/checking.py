"""Whether one implementation computes what another did, by the course's own measure.

A ``Case`` is one call of one function, with the tolerance that the course allows. It can be put to any *subject* that
has the functions as attributes: our own module, or a student's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.errors import ModelError, VitrailError

EPS = 1e-8
"""Where two numbers together are smaller than this, their difference is divided by it: the course's choice."""
NEAR_ZERO = 1e-2
"""The same, for a student's code beside ours: near zero, rounding alone makes two right answers differ a lot."""

Weights = Mapping[str, Mapping[str, Tensor]]
"""State dicts by the names of their classes."""


@dataclass(frozen=True)
class Case:
    """One call of one function.

    Attributes:
        name: the function, or ``Class.method``; what is special of this call follows a comma.
        tolerance: the largest ``relative_error`` that passes.
        outputs: what the parts of its result are called.
        call: (subject, inputs, weights) → the result.
    """

    name: str
    tolerance: float
    outputs: tuple[str, ...]
    call: Callable[[Any, Any, Weights], Any]

    @property
    def owner(self) -> str:
        """What the subject must have: the function, or the class."""
        return self.name.partition(",")[0].partition(".")[0]


@dataclass(frozen=True)
class Divergence:
    """The place in a tensor where it differs most.

    Attributes:
        tensor: its name.
        place: its indices.
        expected: the number there.
        found: the number there.
    """

    tensor: str
    place: tuple[int, ...]
    expected: float
    found: float

    def __str__(self) -> str:
        """In words."""
        place = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        return f"{self.tensor}{place} is {self.found:.6g}, expected {self.expected:.6g}"


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes:
        name: of the case.
        tolerance: of the case.
        error: the largest relative error; infinite where there was nothing to compare, None if nothing was computed.
        why: what is wrong, where something is: the first tensor that diverges, a shape, an exception.
    """

    name: str
    tolerance: float
    error: float | None
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; one that is no number is not."""
        return self.error is not None and self.error <= self.tolerance


def relative_error(found: Tensor, expected: Tensor, least: float = EPS) -> float:
    """The course's measure: the largest |x - y| / max(least, |x| + |y|); 0 of empty tensors."""
    if not expected.numel():
        return 0.0
    return _errors(found, expected, least).max().item()


def compare(
    name: str, tolerance: float, outputs: Sequence[str], found: Any, expected: Any, least: float = EPS
) -> Result:
    """Part by part; the first that is beyond the tolerance is named.

    Args:
        name: of the result.
        tolerance: the largest error that passes.
        outputs: what the parts are called.
        found: a tensor, or a tuple of them.
        expected: as many or fewer parts; what is not there is not compared.
        least: of ``relative_error``.
    """
    largest = 0.0
    results, wanted = parts(found), parts(expected)
    if len(results) < len(wanted):
        return Result(name, tolerance, None, f"{len(results)} results, expected {len(wanted)}")
    for output, x, y in zip(outputs, results, wanted, strict=False):
        if not isinstance(x, Tensor):
            return Result(name, tolerance, None, f"{output} is a {type(x).__name__}, expected a tensor")
        if x.shape != y.shape:
            return Result(name, tolerance, None, f"{output} is {_shape(x)}, expected {_shape(y)}")
        error = relative_error(x, y, least)
        if not error <= tolerance:
            only_rounding = relative_error(x, y, max(least, NEAR_ZERO)) <= tolerance
            remark = " (nearly 0, where this measure calls rounding an error)" if only_rounding else ""
            return Result(name, tolerance, error, f"{_divergence(output, x, y, least)}{remark}")
        largest = max(largest, error)
    return Result(name, tolerance, largest)


def examine(case: Case, subject: Any, inputs: Any, weights: Weights, expected: Any) -> Result:
    """Call a student's function and compare; whatever it raises is a result too."""
    try:
        with torch.no_grad():
            found = case.call(subject, copied(inputs), weights)
    except NotImplementedError:
        return Result(case.name, case.tolerance, None, "not written yet")
    except VitrailError as error:
        return Result(case.name, case.tolerance, None, str(error))
    except Exception as error:  # of a student's code, any is possible
        first = (str(error).strip() or "no text").splitlines()[0]
        return Result(case.name, case.tolerance, None, f"{type(error).__name__}: {first}")
    return compare(case.name, case.tolerance, case.outputs, found, expected, NEAR_ZERO)


def parts(result: Any) -> Sequence[Any]:
    """The parts of a result: itself, or those of a tuple."""
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def copied(inputs: Any) -> Any:
    """Inputs that may be changed in place without harm to the next call."""
    if isinstance(inputs, Tensor):
        return inputs.clone()
    if isinstance(inputs, tuple | list):
        return tuple(copied(part) for part in inputs)
    return inputs


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The model with these weights, in evaluation mode.

    Raises:
        ModelError: a weight is missing, left over or of another shape; the first one is named.
    """
    own = model.state_dict()
    for name in (*weights, *own):
        found = _shape(own[name]) if name in own else "not there"
        wanted = _shape(weights[name]) if name in weights else "not there"
        if found != wanted:
            raise ModelError(
                f"{type(model).__name__} and the weights for it differ: {name} is {found} in the model, and {wanted} "
                "in the weights; mend the one that isn't the course's."
            )
    model.load_state_dict(weights)
    return model.eval()


def _errors(found: Tensor, expected: Tensor, least: float) -> Tensor:
    x, y = found.detach().double(), expected.detach().double()
    return (x - y).abs() / (x.abs() + y.abs()).clamp_min(least)


def _divergence(name: str, found: Tensor, expected: Tensor, least: float) -> Divergence:
    # What is no number differs most of all.
    worst = int(_errors(found, expected, least).nan_to_num(torch.inf, torch.inf).argmax())
    place = tuple(int(axis) for axis in torch.unravel_index(torch.tensor(worst), expected.shape))
    return Divergence(name, place, expected[place].item(), found[place].item())


def _shape(x: Any) -> str:
    return str(list(x.shape)) if isinstance(x, Tensor) else type(x).__name__
