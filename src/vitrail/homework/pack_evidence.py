"""Evidence for the written answers: what studies found, and the pages of the exercises on faces and attention."""

import json
import re
from html import unescape
from urllib.parse import quote, unquote

from vitrail.errors import DataError
from vitrail.homework.findings import study_blocks
from vitrail.homework.pack_terms import PAGE, PICTURES, Need, PackHomework, Piece
from vitrail.homework.pack_zip import file_name
from vitrail.homework.pages import Picture
from vitrail.homework.shelf import Shelf

_PICTURE = re.compile(r"!\[((?:[^\]\\]|\\.)*)\]\(([^)\s]+)\)")
_VIEWS = re.compile(r"(?<!!)(?: · )?\[(?:[^\]\\]|\\.)*\]\([^)\s]+\)")


def of_study(need: Need, homework: PackHomework) -> Piece:
    """What a study found: its words, tables and figure.

    A quick run is too little to lean on: it is shown, and the full one is still missing.

    Raises:
        DataError: what was written of it can't be read.
    """
    what, path = f"study {need.name}", homework.results / need.name / "results.json"
    if not path.is_file():
        return Piece(what, "missing", command=need.command)
    blocks = study_blocks(homework.results, need.name, need.name, Shelf(homework.written))
    content = path.read_bytes()
    full = any(not one["quick"] for one in json.loads(content)["found"].values())
    file = f"written/{PICTURES}/{need.name}"
    shown = f"{file}.png" if any(isinstance(block, Picture) for block in blocks) else PAGE
    return Piece(what, "there" if full else "missing", shown, need.command, blocks, files={f"{file}.json": content})


def of_page(need: Need, homework: PackHomework) -> Piece:
    """What the page of an exercise, on faces or on attention, says to a question, with its pictures.

    Its Markdown has a part for each question, "## (a) …". The question, the place for the student's words and the links
    to views that aren't packed are left out: answers have their own.
    """
    exercise, _, letter = need.name.partition("-")
    what = f"measurements for ({letter})"
    folder = homework.facenet if exercise == "facenet" else homework.attention
    path = folder / f"{exercise}.md"
    if not path.is_file():
        return Piece(what, "missing", command=need.command)
    try:
        parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read ({error}): make it again with '{need.command}'.") from error
    part = next((part for part in parts if part.startswith(f"({letter}) ")), None)
    if part is None:
        return Piece(what, "missing", command=need.command)
    paragraphs = [paragraph for paragraph in part.split("\n\n")[2:] if not _left_out(paragraph)]
    files: dict[str, bytes] = {}

    def own(picture: re.Match[str]) -> str:
        source = folder / unquote(unescape(picture[2]))
        inside = source.resolve().is_relative_to(folder.resolve())
        if source.suffix.lower() != ".png" or not inside or not source.is_file():
            return f"*{picture[1]}*"
        file = f"{PICTURES}/{exercise}/{file_name(source.name)}"
        files[f"written/{file}"] = source.read_bytes()
        return f"![{picture[1]}]({quote(file)})"

    text = _PICTURE.sub(own, _VIEWS.sub("", "\n\n".join(paragraphs)))
    return Piece(what, "there", PAGE, need.command, text=text, source=need.command, files=files)


def _left_out(paragraph: str) -> bool:
    """The place for the student's words, and links to views without a picture."""
    shown = paragraph.startswith(("*", "!["))
    return paragraph.startswith("> **Yours to write.**") or bool(_VIEWS.search(paragraph) and not shown)
