"""The course's measure, and what is said of the first tensor that diverges."""

import pytest
import torch

from vitrail.errors import ModelError
from vitrail.homework.checking import Case, compare, copied, examine, relative_error, with_weights


def test_the_measure_is_the_courses() -> None:
    x, y = torch.randn(3, 5), torch.randn(3, 5)
    largest = max(
        abs(a - b) / max(1e-8, abs(a) + abs(b)) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)
    )
    assert relative_error(x, y) == pytest.approx(largest)
    assert relative_error(x, x) == 0
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    assert relative_error(torch.tensor([1e-9]), torch.zeros(1)) == pytest.approx(0.1)
    assert relative_error(torch.tensor([1e-4]), torch.zeros(1), least=1e-2) == pytest.approx(0.01)
    assert relative_error(torch.tensor([1, 0]), torch.tensor([1, 1])) == 1
    assert relative_error(torch.empty(0, 3), torch.empty(0, 3)) == 0


def test_the_first_tensor_that_diverges_is_named_with_its_place() -> None:
    expected = (torch.ones(2, 3), torch.ones(5))
    found = (torch.ones(2, 3), torch.ones(5))
    assert compare("f", 1e-3, ("a", "b"), found, expected).passed
    found[1][3] = 1.5
    found[1][1] = 1.25
    result = compare("f", 1e-3, ("a", "b"), found, expected)
    assert not result.passed
    assert result.error == pytest.approx(0.2)
    assert result.why == "b[3] is 1.5, expected 1"
    found[0][1, 2] = float("nan")
    result = compare("f", 1e-3, ("a", "b"), found, expected)
    assert not result.passed
    assert result.why == "a[1, 2] is nan, expected 1"


def test_rounding_near_zero_is_called_so() -> None:
    result = compare("f", 1e-3, ("a",), torch.tensor([1.0, 2e-6]), torch.tensor([1.0, 1e-6]))
    assert not result.passed
    assert result.why == "a[1] is 2e-06, expected 1e-06 (nearly 0, where this measure calls rounding an error)"
    assert compare("f", 1e-3, ("a",), torch.tensor([2e-6]), torch.tensor([1e-6]), least=1e-2).passed


def test_an_error_within_the_tolerance_passes_and_is_told() -> None:
    result = compare("f", 1e-3, ("a",), torch.tensor([1.001]), torch.tensor([1.0]))
    assert result.passed
    assert result.error == pytest.approx(0.0005, rel=0.01)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (torch.ones(3, 2), "a is [3, 2], expected [2, 3]"),
        (None, "a is a NoneType, expected a tensor"),
        ([], "0 results, expected 1"),
        (4.0, "a is a float, expected a tensor"),
    ],
)
def test_what_is_no_such_tensor_is_said(found: object, why: str) -> None:
    result = compare("f", 1e-3, ("a",), found, torch.ones(2, 3))
    assert (result.passed, result.error, result.why) == (False, None, why)


def test_what_code_raises_is_a_result() -> None:
    def wrong(subject: object, x: object, weights: object) -> object:
        raise subject  # type: ignore[misc]

    case = Case("f", 1e-3, ("a",), wrong)
    assert examine(case, NotImplementedError(), torch.ones(1), {}, torch.ones(1)).why == "not written yet"
    assert examine(case, KeyError("x"), torch.ones(1), {}, torch.ones(1)).why == "KeyError: 'x'"
    assert examine(case, ValueError("a\nb"), torch.ones(1), {}, torch.ones(1)).why == "ValueError: a"


def test_code_that_changes_its_inputs_harms_nobody() -> None:
    x = torch.ones(3)
    case = Case("f", 1e-3, ("a",), lambda subject, inputs, weights: inputs[0].mul_(2))
    assert examine(case, None, (x,), {}, torch.full((3,), 2.0)).passed
    assert torch.equal(x, torch.ones(3))
    assert copied((x, 3))[1] == 3


def test_weights_that_do_not_fit_name_the_first() -> None:
    model = torch.nn.Linear(3, 5)
    with pytest.raises(ModelError, match=r"weight is \[5, 3\] in the model, and \[3, 5\] in the weights; mend"):
        with_weights(model, {"weight": torch.ones(3, 5), "bias": torch.ones(5)})
    with pytest.raises(ModelError, match=r"other is not there in the model"):
        with_weights(model, {"other": torch.ones(3, 5)})
    with pytest.raises(ModelError, match=r"bias is \[5\] in the model, and not there"):
        with_weights(model, {"weight": torch.ones(5, 3)})
