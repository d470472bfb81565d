"""A student's own file: loaded, which runs it, and its functions tried one by one."""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from vitrail.errors import DataError
from vitrail.homework.checking import Case, Result, Weights, copied, examine

NAME = "vitrail_student_code"


def load_code(path: Path) -> ModuleType:
    """Run a Python file and return it as a module; files beside it can be imported by it.

    Raises:
        DataError: it isn't there, is no Python, or stops while it runs.
    """
    if not path.is_file() or path.suffix != ".py":
        what = "is no .py file" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}, and a Python file with your functions was expected: name that.")
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = str(path.resolve().parent)
    sys.modules[NAME] = module
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it may do anything, also end the program
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise DataError(
            f"{path} stops while it is loaded ({type(error).__name__}{where}: {error}): mend that, and leave training "
            "out of the file."
        ) from error
    finally:
        sys.path.remove(beside)
        del sys.modules[NAME]
    return module


def examine_code(
    path: Path, cases: Sequence[Case], inputs: Mapping[str, Any], weights: Weights, reference: ModuleType
) -> list[Result]:
    """Try each function of a student's file beside ours.

    Args:
        path: the file, which is run.
        cases: the functions.
        inputs: for each.
        weights: for the classes.
        reference: our module.

    Raises:
        DataError: the file can't be loaded.
    """
    code = load_code(path)
    results = []
    for case in cases:
        with torch.no_grad():
            expected = case.call(reference, copied(inputs[case.name]), weights)
        if hasattr(code, case.owner):
            results.append(examine(case, code, inputs[case.name], weights, expected))
        else:
            results.append(Result(case.name, case.tolerance, None, f"{path.name} has no {case.owner}"))
    return results
