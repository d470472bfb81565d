"""``vitrail homework mae``: the course's checks, its file to hand in, and a student's own code."""

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vitrail.homework.accuracies import NAMES, Accuracy, given, trained
from vitrail.homework.answers import Answers
from vitrail.homework.terms import MAEHomework
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.results import write_bytes, write_json

if TYPE_CHECKING:
    from vitrail.homework.checking import Result

CLASSES = ("ClassificationViT", "MaskedAutoEncoder", "ClassificationMAE")
"""Whose weights the course's files have."""


def run(homework: MAEHomework, report: Report = ignore) -> Answers:
    """Do what is asked of the Masked Autoencoder exercise.

    Raises:
        VitrailError: a file, a run or an option can't be used.
    """
    from vitrail.homework import mae
    from vitrail.homework.checking import compare
    from vitrail.homework.mae_cases import CASES, COURSE, INPUTS, examples
    from vitrail.homework.reference import read_reference
    from vitrail.homework.skeleton import write_skeleton
    from vitrail.homework.student import examine_code

    if homework.blank is not None:
        return Answers(files=(write_skeleton(mae, "mae", homework.blank),))
    if homework.check is not None:
        return Answers(examine_code(homework.check, CASES, *examples(), mae))
    results: list[Result] = []
    task = None
    if homework.autograder is not None:  # looked through before anything takes long
        task = read_reference(homework.autograder, COURSE, INPUTS, CLASSES, with_outputs=False)
    if homework.reference is not None:
        reference = read_reference(homework.reference, COURSE, INPUTS, CLASSES, with_outputs=True)
        for case in COURSE:
            found, expected = reference.call(case, mae), reference.outputs[case.name]
            results.append(compare(case.name, case.tolerance, case.outputs, found, expected))
    if task is None:
        return Answers(results)
    output: dict[str, Any] = {case.name: task.call(case, mae) for case in COURSE}
    # The course's cell stores under this name what it had computed last, the tuple of random_masking.
    output["restore_masked"] = output["random_masking"]
    accuracies = trained(homework, report) if homework.train else given(homework, report)
    if accuracies is None:
        return Answers(results, (homework.run,), finished=False)
    return _written(homework, results, output, accuracies)


def _written(
    homework: MAEHomework, results: Sequence["Result"], output: dict[str, Any], accuracies: list[Accuracy]
) -> Answers:
    import torch

    output |= {accuracy.name: accuracy.value for accuracy in accuracies}
    buffer = io.BytesIO()
    torch.save({"output": output}, buffer)
    files = [write_bytes(homework.output, buffer.getvalue())]
    remarks = ["restore_masked holds the tuple of random_masking, as the course's own cell stores it"]
    if accuracies:
        beside = homework.output.with_name(f"{homework.output.stem}_accuracies.json")
        files.append(write_json(beside, {accuracy.name: asdict(accuracy) for accuracy in accuracies}))
    for accuracy in accuracies:
        best = accuracy.best_epoch
        also = "" if best is None else f" (of the best epoch, as the course counts: {best:.1%})"
        remarks.append(f"{accuracy.name} {accuracy.value:.1%}{also}, {accuracy.how}")
    missing = [name for name in NAMES if name not in output]
    if missing:
        options = ", ".join(NAMES[name] for name in missing)
        remarks.append(f"left out: {', '.join(missing)}; give {options} with runs of yours, or --train with --data")
    return Answers(results, tuple(files), tuple(remarks))
