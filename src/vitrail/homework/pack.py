"""``vitrail homework pack``: everything that is handed in, in one zip, and what is still missing, question by question.

Evidence is gathered, the answers are written around what the student wrote in their fields, and all of it is packed.
The same files give the same zip.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from vitrail.homework import pack_evidence, pack_parts
from vitrail.homework.pack_terms import (
    ANSWERS,
    PAGE,
    PICTURES,
    Exercise,
    Kind,
    Need,
    PackHomework,
    Piece,
    Question,
    State,
)
from vitrail.homework.pack_zip import own_files, write_zip
from vitrail.homework.pages import Picture, Table
from vitrail.homework.written_fields import is_open, read_fields
from vitrail.homework.written_pages import html, markdown, was_changed
from vitrail.homework.written_questions import EXERCISES
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.results import write_bytes

FINDERS: Mapping[Kind, Callable[[Need, PackHomework], Piece]] = {
    "study": pack_evidence.of_study,
    "page": pack_evidence.of_page,
    "autograder": pack_parts.of_autograder,
    "accuracies": pack_parts.of_accuracies,
    "log": pack_parts.of_log,
    "curves": pack_parts.of_curves,
    "accuracy": pack_parts.of_accuracy,
    "notebook": pack_parts.of_notebook,
}
STATES: Mapping[State, str] = {"there": "there", "yours": "yours to write", "missing": "MISSING"}
"""As a reader is told them."""
BEFORE = "answers-before"
"""How the copy of answers is called that were written in outside the student's fields."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        exercise: its name.
        question: what is asked, the student's words included.
        piece: what was found for it.
        first: whether it is the first of its question.
    """

    exercise: Exercise
    question: Question
    piece: Piece
    first: bool


@dataclass(frozen=True)
class Packed:
    """What came of packing.

    Attributes:
        rows: question by question.
        files: what was written, the zip first.
        remarks: what the reader should know of it, a line each.
    """

    rows: tuple[Row, ...]
    files: tuple[Path, ...]
    remarks: tuple[str, ...]

    def count(self, state: str) -> int:
        """How many pieces are there, missing, or the student's to write."""
        return sum(row.piece.state == state for row in self.rows)


def run(homework: PackHomework, report: Report = ignore) -> Packed:
    """Gather, write and pack.

    Raises:
        VitrailError: a file can't be read or written, or the student's fields can't be told from the rest; then the
            answers and the zip stay as they were.
    """
    answers = homework.written / ANSWERS
    before = read_fields(answers)  # looked through before anything is written
    found: dict[str, list[Piece]] = {}
    for exercise in EXERCISES:
        report(Note(f"{exercise.title}: looking for what it asks"))
        for question in exercise.questions:
            found[question.key] = _once([FINDERS[need.kind](need, homework) for need in question.needs])
    rows = _rows(found, before)
    text = markdown(EXERCISES, found, before, _contents(rows))
    files = _files(homework, found)
    shown = {name.removeprefix("written/"): content for name, content in files.items() if name.startswith("written/")}
    ours = {f"written/{ANSWERS}": text.encode(), PAGE: html(text, shown).encode()}
    remarks = _set_aside(answers)
    for name, content in {**files, **ours}.items():
        if name in ours or name.startswith(f"written/{PICTURES}/"):
            write_bytes(homework.written / name.removeprefix("written/"), content)
    written = (write_zip(homework.output, files | ours), answers.with_suffix(".html"), answers)
    return Packed(rows, written, remarks)


def _files(homework: PackHomework, found: Mapping[str, list[Piece]]) -> dict[str, bytes]:
    """What goes into the zip beside the answers, by name."""
    written = homework.written
    pieces = [piece for of_question in found.values() for piece in of_question]
    blocks = [block for piece in pieces for block in piece.blocks]
    files = {name: content for piece in pieces for name, content in piece.files.items()}
    files |= {name: path.read_bytes() for name, path in pack_parts.notebooks(homework.notebooks).items()}
    files |= {f"written/{block.file}": block.content for block in blocks if isinstance(block, Picture)}
    ours = frozenset(path.name for path in written.glob(f"{BEFORE}*")) | {ANSWERS, Path(PAGE).name, PICTURES}
    return files | {f"written/{name}": content for name, content in own_files(written, ours).items()}


def _once(pieces: list[Piece]) -> list[Piece]:
    """A study that a page tells of already isn't told again."""
    told = "".join(piece.text for piece in pieces)
    return [
        replace(piece, blocks=(), file=PAGE) if piece.blocks and f"{piece.command}: on " in told else piece
        for piece in pieces
    ]


def _rows(found: Mapping[str, list[Piece]], before: Mapping[str, str]) -> tuple[Row, ...]:
    """Question by question what was found, and whether the student has written."""
    rows = []
    for exercise in EXERCISES:
        for question in exercise.questions:
            pieces = found[question.key]
            if question.yours:
                state: State = "yours" if is_open(before.get(question.key, "")) else "there"
                pieces = [*pieces, Piece("your words", state, PAGE, f"write in {ANSWERS}")]
            rows += [Row(exercise, question, piece, piece is pieces[0]) for piece in pieces]
    return tuple(rows)


def _contents(rows: Sequence[Row]) -> Table:
    """The same as it stands in the answers."""
    cells = []
    for row in rows:
        begins = row.first and row.question is row.exercise.questions[0]
        told = (row.exercise.title if begins else "", row.question.title if row.first else "")
        cells.append((*told, row.piece.what, row.piece.file or "-", STATES[row.piece.state]))
    return Table(("exercise", "question", "what", "file in the zip", "state"), tuple(cells), left=5)


def _set_aside(answers: Path) -> tuple[str, ...]:
    """Keep a copy of answers in which somebody wrote outside the fields: there the evidence is written anew."""
    if not answers.exists() or not was_changed(answers.read_text(encoding="utf-8")):
        return ()
    copy = next(path for number in count(1) if not (path := answers.with_name(f"{BEFORE}-{number}.md")).exists())
    write_bytes(copy, answers.read_bytes())
    return (f"somebody wrote in {answers} outside the fields, where it was written anew: the copy {copy} has it all",)
