"""``vitrail homework summarization``: the log to hand in, the curves of a training, and a student's own code."""

import json
from pathlib import Path

from vitrail.errors import DataError
from vitrail.homework.answers import Answers
from vitrail.homework.terms import SummarizationHomework
from vitrail.recipes.curves import Series, curves_png, read_figures
from vitrail.recipes.results import write_bytes

COPY = "submission_logs.json"
"""The other name by which the course asks for the same file."""
KINDS = {"train": "train", "eval": "evaluation", "evaluation": "evaluation"}
"""What Seq2SeqTrainer and Vitrail call a kind of figure → what ``recipes/curves.py`` does."""


def run(homework: SummarizationHomework) -> Answers:
    """Do what is asked of the summarization exercise.

    Raises:
        VitrailError: a file or folder can't be used.
    """
    from vitrail.homework import summarization
    from vitrail.homework.skeleton import write_skeleton
    from vitrail.homework.student import examine_code
    from vitrail.homework.submission import agreements, submission_log
    from vitrail.homework.summarization_cases import CASES, examples

    if homework.blank is not None:
        return Answers(files=(write_skeleton(summarization, "summarization", homework.blank),))
    if homework.check is not None:
        return Answers(examine_code(homework.check, CASES, *examples(), summarization))
    log = (json.dumps(submission_log(), indent=2) + "\n").encode()
    files = [write_bytes(homework.output, log), write_bytes(homework.output.with_name(COPY), log)]
    if homework.curves is not None:
        picture = curves_png({"loss": losses(homework.curves)}, homework.curves.name)
        files.append(write_bytes(homework.output.with_name("curves.png"), picture))
    remarks = ["transformer_layer.2.0 and .4.0 hold our layer's result, as the course's own cells store it"]
    return Answers(agreements(), tuple(dict.fromkeys(files)), tuple(remarks))


def losses(folder: Path) -> dict[str, Series]:
    """Training and validation loss over the steps, of a Vitrail run or of TensorBoard's files below a folder.

    Raises:
        DataError: there are none.
    """
    from vitrail.train.journal import METRICS

    found = figures(folder, "loss")
    if not found:
        raise DataError(
            f"{folder} holds no loss of a training, neither {METRICS} nor TensorBoard's events.out.tfevents files: "
            "name a run of Vitrail, or the folder that Seq2SeqTrainer wrote (with report_to='tensorboard')."
        )
    return found


def figures(folder: Path, name: str) -> dict[str, Series]:
    """One figure over the steps, by kind ("train", "evaluation"), likewise; empty where there is none."""
    from vitrail.train.journal import METRICS

    return read_figures(folder / METRICS).get(name, {}) or _from_tensorboard(folder, name)


def _from_tensorboard(folder: Path, wanted: str) -> dict[str, Series]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, Series] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")) if folder.is_dir() else ():
        events = EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            kind, _, name = tag.partition("/")
            if kind in KINDS and name == wanted:
                steps, values = found.setdefault(KINDS[kind], ([], []))
                steps += [event.step for event in events.Scalars(tag)]
                values += [event.value for event in events.Scalars(tag)]
    return found
