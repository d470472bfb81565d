"""What ``vitrail study`` found, as part of a report: its words, table and figure, or the command that makes them."""

import json
import re
from pathlib import Path
from typing import Any

from vitrail.errors import DataError
from vitrail.homework.pages import Block, Command, Heading, Points, Table, Text
from vitrail.homework.shelf import Shelf
from vitrail.studies import STUDIES
from vitrail.studies.running import read_finding

PLAIN = re.compile(r"[a-z][a-z'-]*[,;:]?")
"""A first word that takes a capital."""


def study_blocks(results: Path, name: str, file: str, shelf: Shelf) -> tuple[Block, ...]:
    """A study's part of a report; nothing for a study that there isn't.

    Args:
        results: folder of results, each study's in a folder of its own.
        name: of the study.
        file: what its figure is called in the report.
        shelf: where that is kept.

    Raises:
        DataError: the results can't be read.
    """
    path, command = results / name / "results.json", f"vitrail study {name}"
    if not path.is_file():
        if name not in STUDIES:
            return ()
        return (Command(f"A study asks {STUDIES[name]} It was not run yet; then make this page again:", command),)
    try:
        written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        question = str(written["question"])
        findings = {about: (read_finding(one), bool(one["quick"]), one) for about, one in written["found"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} can't be read ({error}): put back a copy, or remove it.") from error
    blocks: list[Block] = [Heading(f"Measured: {question[:1].lower()}{question[1:]}")]
    picture = path.with_name("figure.png")
    if picture.is_file():
        blocks.append(shelf.copied(file, picture.read_bytes(), f"{question} ({', '.join(findings)}; {command})"))
    for about, (finding, quick, one) in findings.items():
        made = f"{command}: on {about}" + (f", {one['date']}" if "date" in one else "")
        if quick:
            blocks.append(Text(f"On {about} this was a quick run, too little to lean on."))
        blocks.append(Table(finding.heads, finding.rows, f"{made}."))
        blocks.append(Points(tuple(_sentence(words) for words in finding.words)))
    return tuple(blocks)


def _sentence(words: str) -> str:
    """As a sentence: a study's words begin small and end without a stop; names such as v1 and words in quotes stay."""
    first = words.split(" ")[0]
    begun = words[:1].upper() + words[1:] if PLAIN.fullmatch(first) else words
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."
