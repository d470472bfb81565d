"""What a page of all questions is made of: each study's results as they are in its folder, in the exercise's order."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vitrail.errors import DataError
from vitrail.studies import CHAPTERS
from vitrail.studies.running import FIGURE, RESULTS, read_results

SHOWS, LIMITS = ("this shows",), ("it can't", "this can't")
"""How a study's words begin that say what it shows, and what it can't."""
THAT = re.compile(r"^This shows that (?!.* and that )")
"""What the summary leaves out."""
PLAIN = re.compile(r"[a-z][a-z'-]*[,;:]?")
"""A first word that takes a capital; a name as v1 or a word in quotes doesn't."""
PAPERS: Mapping[str, str] = {
    "FaceNet": "Schroff, Kalenichenko and Philbin 2015: FaceNet: A Unified Embedding for Face Recognition and "
    "Clustering",
    "Masked autoencoders": "He et al. 2022: Masked Autoencoders Are Scalable Vision Learners; Dosovitskiy et al. 2021: "
    "An Image Is Worth 16x16 Words",
    "Attention": "Vaswani et al. 2017: Attention Is All You Need; Devlin et al. 2019: BERT; Radford et al. 2019: "
    "Language Models Are Unsupervised Multitask Learners (GPT-2)",
    "Summarization": "Vaswani et al. 2017: Attention Is All You Need",
}
"""What each of the exercise's parts is about."""


@dataclass(frozen=True)
class Part:
    """One question.

    Attributes:
        number: its chapter's and its own, as in "1.2".
        name: of its study.
        question: as a sentence.
        source: who asked it before, and where.
        note: what the table's numbers are.
        found: what was found, by what it was found of; nothing if the study wasn't run.
        paper: the paper's own curves.
        figure: a PNG.
        traces: files beside it that ``vitrail view`` opens.
        trouble: why there is nothing, or nothing new, in one sentence.
    """

    number: str
    name: str
    question: str
    source: str
    note: str = ""
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    paper: Sequence[Mapping[str, Any]] = ()
    figure: bytes | None = None
    traces: tuple[Path, ...] = ()
    trouble: str = ""

    @property
    def answer(self) -> str:
        """What its words come to: of those on the first data or model."""
        if not self.found:
            return ""
        words = Words.of(next(iter(self.found.values()))["words"])
        shown = [sentence(THAT.sub("", word)) for word in words.shown]
        return " ".join(shown) or (words.others[0] if words.others else "")

    @property
    def took(self) -> str:
        """For how long, in words; more where trainings were there from before."""
        if self.seconds is None:
            return ""
        whole = all(one.get("anew", True) for one in self.found.values())
        return lasted(self.seconds) if whole else f"> {lasted(self.seconds)}"

    @property
    def seconds(self) -> float | None:
        """That all of it took, if this is known."""
        known: list[float] = [one["seconds"] for one in self.found.values() if "seconds" in one]
        return sum(known) if known and len(known) == len(self.found) else None


@dataclass(frozen=True)
class Chapter:
    """A part of the exercise, its place in it, and its questions."""

    number: int
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Words:
    """A study's words as sentences.

    Attributes:
        shown: what it shows.
        limits: what it can't.
        others: the figures in words.
    """

    shown: tuple[str, ...]
    limits: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> "Words":
        """Sorted by how they begin."""
        kinds: tuple[list[str], list[str], list[str]] = ([], [], [])
        for word in words:
            begun = word.lower()
            kinds[0 if begun.startswith(SHOWS) else 1 if begun.startswith(LIMITS) else 2].append(sentence(word))
        return cls(*map(tuple, kinds))


def gather(folder: Path, troubles: Mapping[str, str]) -> tuple[Chapter, ...]:
    """Everything that is in a folder of results.

    Args:
        folder: as ``vitrail study --results``.
        troubles: of studies that failed, or could not be run, why.
    """
    return tuple(
        Chapter(
            at,
            title,
            tuple(
                _part(folder / name, f"{at}.{place}", asked, troubles.get(name, ""))
                for place, (name, asked) in enumerate(studies.items(), 1)
            ),
        )
        for at, (title, studies) in enumerate(CHAPTERS.items(), 1)
        if studies
    )


def _part(folder: Path, number: str, asked: str, trouble: str) -> Part:
    question, _, source = asked.partition(" (")
    empty = Part(number, folder.name, sentence(question), source.rstrip(")"), trouble=trouble)
    if not (folder / RESULTS).exists():
        return empty
    try:
        results = read_results(folder / RESULTS)
        figure = (folder / FIGURE).read_bytes() if (folder / FIGURE).exists() else None
    except (DataError, OSError) as error:
        return replace(empty, trouble=trouble or str(error))
    return replace(
        empty,
        note=results.get("note", ""),
        found=results["found"],
        paper=results.get("paper", ()),
        figure=figure,
        traces=tuple(sorted(folder.glob("*.safetensors"))),
    )


def sentence(words: str) -> str:
    """With a capital where it begins with a word, and a full stop where it ends with none."""
    first = words.split(maxsplit=1)[0] if words.split() else ""
    begun = words[:1].upper() + words[1:] if PLAIN.fullmatch(first) else words
    return begun if begun.endswith((".", "?", "!")) else f"{begun}."


def lasted(seconds: float) -> str:
    """A length of time in a few letters."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def paper_beside(part: Part) -> Sequence[Mapping[str, Any]]:
    """The paper's curves, if none of the tables has its numbers."""
    cells = [cell for one in part.found.values() for row in (one["heads"], *one["rows"]) for cell in row]
    return () if any("paper" in cell.lower() for cell in cells) else part.paper
