"""Docstrings as the site shows them: the tables and literal blocks of reStructuredText as those of Markdown.

In the code they are written so that ``help()`` reads well.
"""

import re
from typing import Any

import griffe

RULE = re.compile(r"^\s*=+(?: +=+)*\s*$")


class Markdown(griffe.Extension):
    """Rewrites each docstring as it is loaded."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = converted(obj.docstring.value)


def converted(text: str) -> str:
    """A docstring with Markdown's tables and code blocks in place of reStructuredText's."""
    lines, found = text.splitlines(), list[str]()
    at = 0
    while at < len(lines):
        if RULE.match(lines[at]):
            rules = [number for number in range(at, len(lines)) if RULE.match(lines[number])][:3]
            if len(rules) == 3:
                found += _table(lines[rules[0]], lines[rules[0] + 1 : rules[1]] + lines[rules[1] + 1 : rules[2]])
                at = rules[2] + 1
                continue
            if len(rules) == 2:  # without a head
                found += _table(lines[rules[0]], ["", *lines[rules[0] + 1 : rules[1]]])
                at = rules[1] + 1
                continue
        # "::" alone introduces a block, and at the end of a line it is a colon that does.
        if lines[at].strip() != "::":
            found.append(re.sub(r"::$", ":", lines[at]))
        at += 1
    return "\n".join(found)


def _table(rule: str, rows: list[str]) -> list[str]:
    """The rows of a table whose columns are as wide as its rule says; the last one has no end."""
    begins = [column.start() for column in re.finditer("=+", rule)]
    ends: list[int | None] = [*begins[1:], None]
    cells = [
        [row[begin:end].strip().replace("|", "\\|") for begin, end in zip(begins, ends, strict=True)] for row in rows
    ]
    written = ["| " + " | ".join(row) + " |" for row in cells]
    return ["", written[0], "|" + "---|" * len(begins), *written[1:], ""]
