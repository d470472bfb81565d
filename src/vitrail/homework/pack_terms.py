"""What can be asked of ``vitrail homework pack``, and what it finds: options and words without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vitrail.homework.pages import Block

PICTURES = "pictures"
"""Folder of our pictures, below that of the answers (``shelf.PICTURES``, without its imports)."""
ANSWERS = "answers.md"
"""The answers, in the folder of what is written."""
PAGE = "written/answers.html"
"""The same to print, as it is called in the zip."""

State = Literal["there", "yours", "missing"]
"""Of a piece: it is there; it is the student's to write; or it isn't there, and a command makes it."""


@dataclass(frozen=True)
class PackHomework:
    """Pack what is handed in: hw9_submission.zip, and a table of what the exercises ask and what is there.

    Written answers go to --written, as Markdown and as HTML that prints well. Their evidence is filled in from studies,
    runs and the other exercises' files; opinions, sources, study group and hours are left for you, and what you wrote
    there is kept when you pack again. What is missing is said, with the command that makes it.
    """

    output: Path = Path("hw9_submission.zip")
    """File to hand in; an older one is replaced."""
    written: Path = Path("written")
    """Folder of the written answers; whatever else lies in it (pictures of yours) is packed, too."""
    autograder: Path = Path("autograder.pt")
    """As 'vitrail homework mae' writes it."""
    log: Path = Path("submission_log.json")
    """As 'vitrail homework summarization' writes it; made if it isn't there."""
    notebooks: Path = Path("notebooks")
    """Folder of executed notebooks, one an exercise, each with the exercise's name in its own."""
    curves: Path = Path("runs/homework-summarization")
    """Folder of the summarizer's training, Vitrail's or Seq2SeqTrainer's, with TensorBoard's files."""
    results: Path = Path("results")
    """Folder that 'vitrail study' writes to."""
    facenet: Path = Path("runs/homework-facenet")
    """Folder that 'vitrail homework facenet' writes to."""
    attention: Path = Path("runs/homework-attention")
    """Folder that 'vitrail homework attention' writes to."""
    browser: str | None = None
    """Program of the Chromium or Chrome that takes the picture of TensorBoard (default: the one that is found)."""
    strict: bool = False
    """Exit with 2 where something is missing or still left for you; the zip is written all the same."""


@dataclass(frozen=True)
class Piece:
    """One thing that a question asks for, found or not.

    Attributes:
        what: in a few words.
        state: whether it is there.
        file: where it stands in the zip; empty where nothing does.
        command: what makes it.
        blocks: what is written of it; the files of its pictures are relative to the folder of the answers.
        text: more of it, in Markdown.
        source: where it is from, in words.
        files: what goes into the zip for it, by name.
    """

    what: str
    state: State
    file: str = ""
    command: str = ""
    blocks: tuple[Block, ...] = ()
    text: str = ""
    source: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


Kind = Literal["study", "page", "autograder", "accuracies", "log", "curves", "accuracy", "notebook"]
"""Who looks for a piece."""


@dataclass(frozen=True)
class Need:
    """What would answer a question, or is handed in.

    Attributes:
        kind: who looks for it.
        name: of the study; of the exercise and the question's letter, of a page; of the exercise, of a notebook.
        command: what makes it.
    """

    kind: Kind
    name: str
    command: str


@dataclass(frozen=True)
class Question:
    """One question of an exercise.

    Attributes:
        key: of the student's field, as "facenet-a".
        title: "(a) The two architectures".
        asks: the same for one row of the table.
        text: what is asked, in full.
        yours: what the student is to write there; empty where there is nothing.
        needs: evidence.
    """

    key: str
    title: str
    asks: str
    text: str
    yours: str = ""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One of the four exercises, or the questions on how it was done."""

    name: str
    title: str
    questions: tuple[Question, ...]
