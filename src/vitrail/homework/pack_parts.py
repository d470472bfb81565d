"""What the Masked Autoencoder and the summarization exercise hand in: is it there, is it whole, what does it say?"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vitrail.errors import DataError, VitrailError
from vitrail.homework.pack_screenshot import photograph
from vitrail.homework.pack_terms import PAGE, PICTURES, Need, PackHomework, Piece, State
from vitrail.homework.pack_zip import file_names
from vitrail.homework.pages import Picture, Points, Table
from vitrail.homework.summary_answers import COPY, figures, losses

ACCURACIES: Mapping[str, str] = {
    "vit_acc": "a ViT, from scratch",
    "mae_linear_acc": "a linear probe on the masked autoencoder",
    "mae_finetune_acc": "the masked autoencoder, fine-tuned",
}
EPOCHS = 2
"""Of the summarizer, as the exercise asks."""
CLOSE = 1e-4
"""Numbers of a log that are further apart, relative to what they are, come from other functions."""


def of_autograder(need: Need, homework: PackHomework) -> Piece:
    """The functions' results; whether all nine are there."""
    from vitrail.homework.mae_cases import COURSE

    what = "autograder.pt"
    if not homework.autograder.is_file():
        return Piece(what, "missing", command=need.command)
    output = _output(homework.autograder)
    lacking = [case.name for case in COURSE if case.name not in output]
    said = f"{homework.autograder.name} holds results of {len(COURSE) - len(lacking)} of the {len(COURSE)} functions"
    if lacking:
        said += f"; there are none of {', '.join(lacking)}"
    files = {what: homework.autograder.read_bytes()}
    return Piece(what, "missing" if lacking else "there", what, need.command, (Points((said,)),), files=files)


def of_accuracies(need: Need, homework: PackHomework) -> Piece:
    """The three accuracies in the same file, and where each is from."""
    what = "three accuracies"
    if not homework.autograder.is_file():
        return Piece(what, "missing", command=need.command)
    output = _output(homework.autograder)
    found = {name: output[name] for name in ACCURACIES if isinstance(output.get(name), int | float)}
    beside = homework.autograder.with_name(f"{homework.autograder.stem}_accuracies.json")
    origins = _object(beside) if beside.is_file() else {}
    rows = []
    for name, words in ACCURACIES.items():
        origin = origins.get(name, {}) if isinstance(origins.get(name, {}), dict) else {}
        best = origin.get("best_epoch")
        cells = [f"{value:.1%}" if isinstance(value, int | float) else "-" for value in (found.get(name), best)]
        rows.append((name, words, *cells, str(origin.get("how", "not said" if name in found else "-"))))
    table = Table(("key", "of", "last epoch", "best epoch", "from"), tuple(rows), "test accuracy", left=2)
    files = {"autograder_accuracies.json": beside.read_bytes()} if beside.is_file() else {}
    state: State = "there" if len(found) == len(ACCURACIES) else "missing"
    blocks = (table,) if found else ()
    return Piece(what, state, "autograder.pt" if found else "", need.command, blocks, files=files)


def of_log(need: Need, homework: PackHomework) -> Piece:
    """The log, made where there is none; beside what our functions give."""
    what = "submission_log.json"
    if not homework.log.is_file():
        from vitrail.homework.summary_answers import run
        from vitrail.homework.terms import SummarizationHomework

        run(SummarizationHomework(output=homework.log))
    log, ours = _object(homework.log), _own_log()
    values = [key for key in ours if key.endswith(".value")]
    lacking = [key for key in ours if key not in log]
    other = [key for key in values if key in log and not _close(log[key], ours[key])]
    said = f"{len(values) - len(other)} of {len(values)} slices are those that Vitrail's functions give"
    if lacking:
        said = f"{homework.log.name} lacks {', '.join(lacking)}"
    elif other:
        said += f"; others stand under {', '.join(key.removesuffix('.value') for key in other)}"
    content = homework.log.read_bytes()
    return Piece(
        what,
        "missing" if lacking else "there",
        what,
        need.command,
        (Points((said,)),),
        files={what: content, COPY: content},
    )


def of_curves(need: Need, homework: PackHomework) -> Piece:
    """The losses as TensorBoard shows them; where it can't be photographed, drawn by us, and called so."""
    from vitrail.recipes.curves import curves_png

    what = "TensorBoard's picture of the losses"
    try:
        found = losses(homework.curves)
    except DataError:
        return Piece(what, "missing", command=need.command)
    if lacking := {"train", "evaluation"} - set(found):
        said = f"{homework.curves} has no {'validation' if 'evaluation' in lacking else 'training'} loss"
        return Piece(what, "missing", command=need.command, blocks=(Points((said,)),))
    shot = photograph(homework.curves, homework.browser)
    if shot.picture is not None:
        file = f"{PICTURES}/tensorboard.png"
        shown = Picture(file, "TensorBoard's own page: training and validation loss over the steps", shot.picture)
        return Piece(
            what, "there", f"written/{file}", need.command, (shown,), source=f"the event files in {homework.curves}"
        )
    file = f"{PICTURES}/curves.png"
    said = f"this is no picture of TensorBoard, for {shot.why}: Vitrail drew the same figures itself"
    drawn = Picture(file, "Training and validation loss, drawn by Vitrail", curves_png({"loss": found}))
    source = f"the figures in {homework.curves}"
    return Piece(what, "missing", f"written/{file}", shot.remedy, (Points((said,)), drawn), source=source)


def of_accuracy(need: Need, homework: PackHomework) -> Piece:
    """The summarizer's last validation accuracy, and after how many epochs it was."""
    what = f"validation accuracy after {EPOCHS} epochs"
    accuracy = figures(homework.curves, "accuracy").get("evaluation")
    if accuracy is None:
        return Piece(what, "missing", command=need.command)
    step, value = accuracy[0][-1], accuracy[1][-1]
    epochs = _epochs(homework.curves)
    after = "after the last step" if epochs is None else f"after {epochs:g} epochs"
    said = (
        f"final validation accuracy {value:.2%}, {after} ({step:,} steps): share of the validation summaries' tokens "
    )
    said += "that come out first, given those before them"
    state: State = "there" if epochs == EPOCHS else "missing"
    if state == "missing":
        said += f"; the exercise asks for it after {EPOCHS} epochs"
    source = f"the figures in {homework.curves}"
    return Piece(what, state, PAGE, need.command, (Points((said,)),), source=source)


def of_notebook(need: Need, homework: PackHomework) -> Piece:
    """The exercise's notebooks; whether they ran from top to bottom."""
    what = f"executed notebook, {need.name}"
    found = {name: path for name, path in notebooks(homework.notebooks).items() if need.name in path.stem.lower()}
    if not found:
        return Piece(what, "missing", command=need.command)
    faults = {name: _fault(path) for name, path in found.items()}
    told = (f"{name} {fault or 'was run from top to bottom'}" for name, fault in faults.items())
    state: State = "missing" if any(faults.values()) else "there"
    return Piece(what, state, ", ".join(found), need.command, (Points(tuple(told)),))


def notebooks(folder: Path) -> Mapping[str, Path]:
    """All notebooks of a folder, by their names in the zip; no links."""
    paths = folder.glob("*.ipynb") if folder.is_dir() else ()
    plain = [path.relative_to(folder) for path in paths if path.is_file() and not path.is_symlink()]
    return {name: folder / path for name, path in file_names(plain).items()}


def _fault(path: Path) -> str:
    """Why a notebook isn't one that ran; empty if it did."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
        outputs = [output["output_type"] for cell in code for output in cell["outputs"]]
        silent = sum(cell["execution_count"] is None for cell in code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"can't be read as a notebook ({type(error).__name__}: {error})"
    if "error" in outputs:
        return "stopped with an error"
    return f"has {silent} cells that were never run" if silent or not code else ""


def _output(path: Path) -> Mapping[str, Any]:
    """What an autograder file holds: opened as tensors only.

    Raises:
        DataError: it can't be read, or holds no results.
    """
    import torch

    try:
        output = torch.load(path, map_location="cpu", weights_only=True)["output"]
    except Exception as error:  # what a damaged or hostile file brings up is not to be foreseen
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise DataError(
            f"{path} can't be read as results ({reason[:160]}); nothing in it was run: write it again with 'vitrail "
            "homework mae', or move it away."
        ) from error
    if not isinstance(output, Mapping):
        raise DataError(f"{path} holds no dictionary of results: write it again with 'vitrail homework mae'.")
    return output


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as JSON ({error}): write it again, or move it away.") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds a {type(found).__name__}, and an object was expected: write it again.")
    return found


@cache
def _own_log() -> Mapping[str, Any]:
    from vitrail.homework.submission import submission_log

    return submission_log()


def _close(found: Any, expected: list[float]) -> bool:
    try:
        pairs = list(zip(found, expected, strict=True))
        return all(abs(x - y) <= CLOSE * max(1e-2, abs(x) + abs(y)) for x, y in pairs)
    except (TypeError, ValueError):
        return False


def _epochs(folder: Path) -> float | None:
    """How many epochs a training had: TensorBoard's files say it, or the run's options."""
    from vitrail.train import read_config

    told = figures(folder, "epoch").get("train")
    if told is not None:
        return round(max(told[1]), 3)
    try:
        epochs = read_config(folder)["recipe"]["epochs"]
    except (VitrailError, KeyError, TypeError):
        return None
    return float(epochs) if isinstance(epochs, int | float) else None
