"""The written answers as two pages: Markdown, in which the student writes, and HTML made from it, which prints well.

The HTML is one file: pictures are inside it, and a policy forbids it to ask anybody for anything. What the student
wrote is Markdown to it, and never HTML.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import unquote

from vitrail.homework.pack_terms import Exercise, Piece, Question
from vitrail.homework.pages import Table, Text, block_markdown
from vitrail.homework.written_fields import field, is_open, kept, pieces, without_fields

TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
"""Pictures that a page shows."""
HEAD = """\
# EECS 182 · Homework 9

What stands in a field marked ✎ is for you to write; nothing in it was filled in, and what you write there is kept when
you pack again. Everything else comes from runs, studies and the exercises' files; the commands that give it stand
beside it. The last part says, question by question, what is in the zip.
"""
_SEAL = re.compile(r"^<!-- packed: ([0-9a-f]{16}) -->\n?", re.MULTILINE)

Found = Mapping[str, Sequence[Piece]]
"""The pieces of each question, by its key."""


def markdown(exercises: Iterable[Exercise], found: Found, before: Mapping[str, str], contents: Table) -> str:
    """The answers, for the student to go on with.

    Args:
        exercises: what is asked.
        found: the evidence.
        before: what stood in the fields so far.
        contents: of the zip.
    """
    written, known = [HEAD], set()
    for exercise in exercises:
        written.append(f"## {exercise.title}\n")
        for question in exercise.questions:
            known.add(question.key)
            written += _question(question, found.get(question.key, ()), before)
    # Fields of questions that are asked no longer: what was written in them is the student's all the same.
    lost = {key: content for key, content in before.items() if key not in known and not is_open(content)}
    if lost:
        written.append("## What you also wrote\n")
        written += [field(key, content) + "\n" for key, content in lost.items()]
    written.append(f"## What is in the zip\n\n{block_markdown(contents)}\n")
    text = "\n".join(written)
    return f"{text}\n<!-- packed: {_digest(text)} -->\n"


def was_changed(text: str) -> bool:
    """Whether somebody wrote in a page outside the student's fields."""
    text = text.replace("\r\n", "\n")
    seal = _SEAL.search(text)
    return seal is None or _digest(text[: seal.start() - 1] + text[seal.end() :]) != seal[1]


def html(text: str, pictures: Mapping[str, bytes]) -> str:
    """The page to print, of the Markdown.

    Args:
        text: the answers.
        pictures: files that it may show, by their names beside it.
    """
    sections = []
    for key, part in pieces(_SEAL.sub("", text)):
        if key is not None:
            kind = "open" if is_open(part) else "filled"
            sections.append(f'<section class="yours {kind}" id="{escape(key)}">{_rendered(part, pictures)}</section>')
        elif part.strip():
            sections.append(f'<section class="ours">{_rendered(part, pictures)}</section>')
    page = files("vitrail.homework").joinpath("written.html").read_text(encoding="utf-8")
    return page.replace("{{answers}}", "\n".join(sections))


def _question(question: Question, found: Sequence[Piece], before: Mapping[str, str]) -> Iterator[str]:
    yield f"### {question.title}\n"
    yield f"{question.text}\n"
    for piece in found:
        yield from _piece(piece)
    if question.yours:
        yield field(question.key, kept(before, question.key, question.yours)) + "\n"


def _piece(piece: Piece) -> Iterator[str]:
    if piece.state == "missing":
        yield f"> **Missing: {piece.what}.** To make it: `{piece.command}`\n"
    for told in (*map(block_markdown, piece.blocks), piece.text.strip()):
        if told:  # its parts are below the question
            yield re.sub(r"^### ", "#### ", told, flags=re.MULTILINE) + "\n"
    if piece.source:
        yield f"*Evidence: {block_markdown(Text(piece.source))}*\n"


def _digest(text: str) -> str:
    return hashlib.sha256(without_fields(text).strip().encode()).hexdigest()[:16]


def _rendered(text: str, pictures: Mapping[str, bytes]) -> str:
    """HTML of a part, its pictures inside; HTML in it is shown as the text that it is."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                source = unquote(str(child.attrs.get("src", "")))
                kind = TYPES.get(f".{source.rpartition('.')[2].lower()}")
                if kind and source in pictures:
                    content = base64.b64encode(pictures[source]).decode()
                    child.attrSet("src", f"data:{kind};base64,{content}")
    return str(reader.renderer.render(tokens, reader.options, {}))
