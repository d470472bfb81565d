"""What only the student can write: marked in the Markdown, and kept when the evidence around it is written anew.

A field stands between two comments, ``<!-- yours: facenet-i -->`` and ``<!-- end of yours -->``. While it holds nothing
but our mark, a line that says what belongs there, it is open. Nothing is ever written into it but that mark.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vitrail.errors import DataError

SIGN = "✎ YOURS TO WRITE:"
END = "<!-- end of yours -->"
_MARK = re.compile(rf"\*\*{SIGN} [^\n]*\*\*")
_FIELD = re.compile(r"^<!-- yours: ([a-z-]+) -->\n(.*?)^<!-- end of yours -->$", re.MULTILINE | re.DOTALL)


def mark(asked: str) -> str:
    """What stands in a field that nobody has written in."""
    return f"**{SIGN} {asked}.**"


def field(key: str, content: str) -> str:
    """A field of the Markdown, with its comments."""
    return f"<!-- yours: {key} -->\n{content}\n{END}"


def is_open(content: str) -> bool:
    """Whether a field waits for the student: our mark stands in it, be it beside a draft, or nothing does."""
    return SIGN in content or not content.strip()


def read_fields(path: Path) -> dict[str, str]:
    """The content of each field of a file, none where there is no file.

    Raises:
        DataError: a comment around a field is lost, so that it can't be told what is whose.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} can't be read as text in UTF-8 ({error}): save it as that, or move it away to start anew."
        ) from error
    text = text.replace("\r\n", "\n")
    found = [(match[1], match[2].removesuffix("\n")) for match in _FIELD.finditer(text)]
    opened, closed = text.count("<!-- yours:"), text.count(END)
    if not len(found) == len(dict(found)) == opened == closed:
        raise DataError(
            f"{path} has {opened} comments that begin a field of yours and {closed} that end one, and each field needs "
            "both, once: put back the missing one, or move the file away to start anew; nothing was written."
        )
    return dict(found)


def pieces(text: str) -> Iterator[tuple[str | None, str]]:
    """A text's parts in order: (None, what is ours), (key, what is the student's)."""
    last = 0
    for match in _FIELD.finditer(text):
        yield None, text[last : match.start()]
        yield match[1], match[2].removesuffix("\n")
        last = match.end()
    yield None, text[last:]


def without_fields(text: str) -> str:
    """What is ours of a text, to tell whether somebody wrote outside the fields."""
    return _FIELD.sub(lambda match: field(match[1], ""), text.replace("\r\n", "\n"))


def kept(before: Mapping[str, str], key: str, asked: str) -> str:
    """What a field holds from now on: all that the student wrote, a draft too; the mark where there is nothing else."""
    content = before.get(key, "")
    return content if content.strip() and not _MARK.fullmatch(content.strip()) else mark(asked)
