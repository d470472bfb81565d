"""Writes docs/cli.md from the commands' own help: ``python -m vitrail.cli.docs [FILE]``.

A test compares the committed page with a fresh one, so that a stale page is red.
"""

import contextlib
import io
import os
import sys
from pathlib import Path

from vitrail.cli.entry import main
from vitrail.cli.table import COMMANDS

HEAD = """\
# The command line

This page is generated from the commands' own help by `make docs`. Every option has the same name and default in Python:
`vitrail train mae --data digits --mask-ratio 0.6` is `vt.train("mae", data="digits", mask_ratio=0.6)`.

Exit codes: 0 done; 1 interrupted after a clean save (the same command goes on), or a fault of Vitrail's own;
2 a mistake that you can mend, told in one sentence.
"""

WIDTH = "100"


def page() -> str:
    """The whole page, as markdown."""
    sections = [HEAD, _section("vitrail", ["--help"])]
    sections += [_section(f"vitrail {command.name}", [*command.words, "--help"]) for command in COMMANDS]
    return "\n".join(sections)


def _section(title: str, words: list[str]) -> str:
    said = io.StringIO()  # without an encoding, for which tyro draws no boxes
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with contextlib.redirect_stdout(said):
            main(words)
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    text = "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())
    return f"## `{title}`\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md")
    target.write_text(page(), encoding="utf-8")
    print(f"wrote {target}")
