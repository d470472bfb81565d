"""``vitrail homework facenet``: the questions on FaceNet (Schroff et al. 2015), with what can be computed computed.

Triplets are counted on real images, networks as built; what trainings tell is taken from ``vitrail study``, where it
was run. Opinions are the student's.
"""

import shlex
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from vitrail.homework.answers import Answers
from vitrail.recipes.events import Note, Report, ignore

PAGE = "facenet.html"


@dataclass(frozen=True)
class FaceNetHomework:
    """Do the exercise on FaceNet: a page with its questions, what can be computed of the answers, what studies found.

    Your own words, and the questions on what you like best, are left for you on the page.
    """

    output: Path = Path("runs/homework-facenet")
    """Folder for facenet.html, the same in Markdown, and pictures; older ones are replaced."""
    data: str = "glyphs"
    """Identities whose triplets are counted, as for 'vitrail train faces'."""
    run: Path | None = None
    """Run of a 'vitrail train faces': triplets are mined among its embeddings (default: among the pixels themselves, as
    before any training)."""
    results: Path = Path("results")
    """Folder that 'vitrail study' writes to: what it found is shown."""
    seed: int = 0
    """Of the batch that is drawn."""

    def command(self) -> str:
        """What to type for the same page."""
        words = ["vitrail", "homework", "facenet"]
        for name in ("output", "data", "run", "results", "seed"):
            value = getattr(self, name)
            if value != getattr(type(self), name):
                words += [f"--{name}", str(value)]
        return shlex.join(words)


def run(homework: FaceNetHomework, report: Report = ignore) -> Answers:
    """Compute what can be computed, and write the page.

    Raises:
        VitrailError: data, a run or results can't be used, or the folder can't be written.
    """
    from vitrail.homework.facenet_answers import Studies, questions
    from vitrail.homework.facenet_triplets import draw_batch
    from vitrail.homework.pages import Command, Page, Text, to_html, to_markdown
    from vitrail.homework.shelf import Shelf
    from vitrail.recipes.results import write_bytes

    shelf = Shelf(homework.output)
    report(Note(f"counting the triplets of {homework.data}"))
    batch = draw_batch(homework, report)
    studies = Studies(homework.results, shelf)
    answered = tuple(questions(batch, studies, report))
    packages = ", ".join(f"{name} {version(name)}" for name in ("vitrail", "torch"))
    page = Page(
        "FaceNet",
        (
            Text(
                "Schroff, Kalenichenko and Philbin 2015, “FaceNet: A Unified Embedding for Face Recognition and "
                "Clustering” (CVPR; arXiv:1503.03832): sections and tables below are its own. What is computed here "
                f"is of its networks as Vitrail builds them, and of {batch.data}, which are not its faces."
            ),
        ),
        answered,
        (
            Command("This page:", homework.command()),
            Text(f"{date.today().isoformat()}, {packages}; seed {homework.seed}."),
        ),
    )
    markdown = write_bytes(homework.output / "facenet.md", to_markdown(page).encode())
    html = write_bytes(homework.output / PAGE, to_html(page).encode())
    remarks = [f"from {homework.results}: {', '.join(studies.found) or 'no study yet'}"]
    if studies.missing:
        remarks.append(
            "not run yet, and named on the page: " + "; ".join(f"vitrail study {name}" for name in studies.missing)
        )
    return Answers(files=(html, markdown), remarks=tuple(remarks))
