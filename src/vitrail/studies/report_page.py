"""One HTML file of all questions: no script, no file beside it but traces that it links to, light, dark and on paper.

Everything that a study has written is text here, whatever is in it; pictures stand in the page.
"""

import base64
import re
import shlex
import struct
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vitrail.studies.report_parts import PAPERS, Chapter, Part, Words, lasted, paper_beside

STYLE = Path(__file__).with_name("report.css")
TITLE = "Four exercises, answered by experiment"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
WIDE = 900
"""Pixels of a figure that is shown wider than the text, where there is room."""
SHORT = 14
"""Rows of a table that isn't parted on paper."""
NUMBER = re.compile(r"[-+±–]?[\d.,]+.*|[-–]?")
"""A cell that stands to the right of its column."""


def page(
    chapters: Sequence[Chapter], quick: bool, command: str, versions: Mapping[str, str], written: date, folder: str = ""
) -> str:
    """The whole page.

    Args:
        chapters: what was found.
        quick: whether all of it is of small runs.
        command: that wrote it.
        versions: of the packages that wrote it.
        written: when.
        folder: of the results, as commands name it.
    """
    body = "\n".join(
        [
            '<a class="skip" href="#summary">To the summary</a>',
            _opening(chapters, quick, written),
            _contents(chapters),
            "<main>",
            _summary(chapters),
            *(_chapter(chapter, quick, folder) for chapter in chapters),
            "</main>",
            _colophon(command, versions, written),
        ]
    )
    return f"""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<title>{escape(TITLE)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _tag(name: str, inside: str, **attributes: str) -> str:
    """An element; what is inside is markup already, attributes are text."""
    said = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{inside}</{name}>"


def _contents(chapters: Sequence[Chapter]) -> str:
    entries = []
    for chapter in chapters:
        parts = "\n".join(
            f'<li><a href="#{escape(part.name)}"><span>{part.number}</span> {escape(part.question)}</a></li>'
            for part in chapter.parts
        )
        title = f'<a href="#chapter-{chapter.number}">{chapter.number} {escape(chapter.title)}</a>'
        entries.append(f"<li>{title}\n<ol>\n{parts}\n</ol></li>")
    return f'<nav aria-labelledby="contents">\n<h2 id="contents">Contents</h2>\n<ol>\n{"".join(entries)}\n</ol>\n</nav>'


def _opening(chapters: Sequence[Chapter], quick: bool, written: date) -> str:
    parts = [part for chapter in chapters for part in chapter.parts]
    answered = [part for part in parts if part.found]
    known = [part.seconds for part in answered if part.seconds is not None]
    least = any(part.took.startswith(">") for part in answered) or len(known) < len(answered)
    took = f", in {'more than ' * least}{lasted(sum(known))}" if known else ""
    small = (
        "<strong>These are quick runs</strong>, on a share of the texts, the images and the training: they show that "
        "everything works, and their intervals are wide. <code>vitrail study all</code> gives the figures to quote."
    )
    return "\n".join(
        [
            "<header>",
            _tag("h1", escape(TITLE)),
            _tag(
                "p",
                f"{len(answered)} of {len(parts)} questions about four papers, each answered by an experiment that the "
                f"command below it repeats{took}. Intervals are of 95%; where one covers zero it says “too small to "
                f"tell”.",
                class_="lead",
            ),
            _tag("p", small, class_="small-runs") if quick else "",
            _tag("p", f"Vitrail, {_day(written)}", class_="byline"),
            "</header>",
        ]
    )


def _summary(chapters: Sequence[Chapter]) -> str:
    bodies = []
    for chapter in chapters:
        head = (
            f'<tr class="chapter"><th colspan="4" scope="rowgroup">{chapter.number} {escape(chapter.title)}</th></tr>'
        )
        rows = "\n".join(
            f'<tr><td>{part.number}</td><th scope="row"><a href="#{escape(part.name)}">{escape(part.question)}</a></th>'
            f"<td>{_short(part)}</td>"
            f'<td class="number">{escape(part.took)}</td></tr>'
            for part in chapter.parts
        )
        bodies.append(f"<tbody>\n{head}\n{rows}\n</tbody>")
    return (
        '<section id="summary" aria-labelledby="summary-title">\n<h2 id="summary-title">Summary</h2>\n'
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="summary-title"><table class="summary">\n'
        "<caption>Each question and what the experiment shows; details, limits and figures follow.</caption>\n"
        '<thead><tr><th scope="col"><span class="unseen">Number</span></th><th scope="col">Question</th>'
        '<th scope="col">Answer</th><th scope="col" class="number">Time</th></tr></thead>\n'
        + "\n".join(bodies)
        + "\n</table></div>\n</section>"
    )


def _short(part: Part) -> str:
    """The answer for the summary, and what is wrong."""
    wrong = f'<span class="wrong">Failed or missing: {escape(part.trouble)}</span>' if part.trouble else ""
    if part.found:
        return " ".join(filter(None, (escape(part.answer), wrong)))
    return wrong or '<span class="quiet">Not run yet.</span>'


def _chapter(chapter: Chapter, quick: bool, folder: str) -> str:
    about, place = PAPERS.get(chapter.title, ""), f"chapter-{chapter.number}"
    return "\n".join(
        [
            f'<section class="chapter" id="{place}" aria-labelledby="{place}-title">',
            f'<h2 id="{place}-title"><span>{chapter.number}</span> {escape(chapter.title)}</h2>',
            _tag("p", escape(about), class_="about") if about else "",
            *(_part(part, quick, folder) for part in chapter.parts),
            "</section>",
        ]
    )


def _part(part: Part, quick: bool, folder: str) -> str:
    name = escape(part.name)
    several = len(part.found) > 1
    drawn = _figure(part, part.figure) if part.figure is not None and part.found else ""
    # One finding's answer comes before its figure; of several, one figure shows them all.
    findings = [_finding(part, about, one, "" if several else drawn, folder) for about, one in part.found.items()]
    source = f' <span class="source">{escape(part.source)}</span>' if part.source else ""
    return "\n".join(
        [
            f'<article id="{name}" aria-labelledby="{name}-title">',
            f'<h3 id="{name}-title"><span>{part.number}</span> {escape(part.question)}</h3>',
            f'<p class="asked"><code>{name}</code>{source}</p>',
            _trouble(part, quick),
            drawn if several else "",
            *findings,
            _paper(part),
            "</article>",
        ]
    )


def _trouble(part: Part, quick: bool) -> str:
    if part.trouble:
        older = " What stands here is from before." if part.found else ""
        return _tag("p", f"<strong>No new results.</strong> {escape(part.trouble)}{older}", class_="trouble")
    if not part.found:
        again = f"vitrail study {shlex.quote(part.name)}{' --quick' * quick}"
        return _tag("p", f"Not run yet: <code>{escape(again)}</code>", class_="trouble")
    return ""


def _finding(part: Part, about: str, one: Mapping[str, Any], drawn: str, folder: str) -> str:
    """What was found on one set of data, or one model."""
    several = len(part.found) > 1
    words = Words.of(one["words"])
    said = [_tag("p", escape(" ".join(words.shown))), _tag("p", escape(" ".join(words.limits)), class_="limits")]
    given = [paragraph for paragraph, of in zip(said, (words.shown, words.limits), strict=True) if of]
    others = "".join(_tag("li", escape(word)) for word in words.others)
    label = f"Table {part.number}" + (f", {about}" if several else "")
    return "\n".join(
        [
            _tag("h4", f"On {escape(about)}") if several else "",
            _tag("div", "".join(given), class_="answer") if given else "",
            drawn,
            _tag("ul", others, class_="words") if others else "",
            _table(label, part.note, one["heads"], one["rows"]),
            _made(part, one, folder),
        ]
    )


def _figure(part: Part, png: bytes) -> str:
    width, height = struct.unpack(">II", png[16:24])
    names = ", ".join(part.found)
    curves = list(dict.fromkeys(curve["label"] for one in part.found.values() for curve in one["curves"]))
    drawn = f"Curves: {'; '.join(curves)}. " if curves else ""
    alternative = f"Figure to the question: {part.question} Measured on {names}. {drawn}{part.answer}"
    paper = "; the paper's own curve above, ours below" if part.paper and curves else ""
    picture = (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" width="{width}" height="{height}" '
        f'alt="{escape(alternative)}">'
    )
    kind = ' class="wide"' if width > WIDE else ""
    caption = f"<figcaption><b>Figure {part.number}.</b> On {escape(names + paper)}.</figcaption>"
    return f"<figure{kind}>{picture}\n{caption}</figure>"


def _table(label: str, note: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    right = [all(NUMBER.fullmatch(row[column]) for row in rows) for column in range(len(heads))]
    kinds = ["" if not place or not to_right else ' class="number"' for place, to_right in enumerate(right)]
    top = "".join(f'<th scope="col"{kind}>{escape(head)}</th>' for kind, head in zip(kinds, heads, strict=True))
    lines = []
    for first, *cells in rows:
        rest = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds[1:], cells, strict=True))
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{rest}</tr>')
    caption = f"<b>{escape(label)}.</b> {escape(note[:1].upper() + note[1:])}{'.' if note else ''}"
    kind = ' class="short"' if len(rows) <= SHORT else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table{kind}>\n'
        f"<caption>{caption}</caption>\n<thead><tr>{top}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>"
    )


def _paper(part: Part) -> str:
    """The paper's own numbers, where no table has them."""
    told = []
    for curve in paper_beside(part):
        shares = all(0 <= y <= 1 for y in curve["y"])
        pairs = zip(curve["x"], curve["y"], strict=True)
        points = ", ".join(f"{x:,g}: {f'{100 * y:.1f}%' if shares else f'{y:g}'}" for x, y in pairs)
        told.append(_tag("p", f"<b>{escape(curve['label'])}:</b> {escape(points)}.", class_="paper"))
    return "\n".join(told)


def _made(part: Part, one: Mapping[str, Any], folder: str) -> str:
    """How it was made: for those who make it again."""
    command = one.get("command")
    seconds = one.get("seconds")
    known = one.get("versions", {})
    code = f"; code {one['code']}" if "code" in one else ""
    took = "not recorded" if seconds is None else f"{seconds:g} s"
    if seconds is not None and not one.get("anew", True):
        took += ", without the trainings that were there from before"
    again = f"not recorded; vitrail study {shlex.quote(part.name)} makes it with the usual options"
    lines = {
        "Command": f"<code>{escape(command)}</code>" if command else escape(again),
        "Date": escape(_day(date.fromisoformat(one["date"])) if "date" in one else "not recorded"),
        "Time": escape(took),
        "Versions": escape(", ".join(f"{name} {of}" for name, of in known.items()) + code or "not recorded"),
    }
    if one["quick"]:
        lines["Length"] = "quick run: a share of the work"
    looks = [f"<code>{escape(one['view'])}</code>"] if one.get("view") else []
    for trace in part.traces:
        place = shlex.join(["vitrail", "view", str(Path(folder) / part.name / trace.name)])
        link = f"{quote(part.name)}/{quote(trace.name)}"
        looks.append(f'<a href="{escape(link)}">{escape(trace.name)}</a>: <code>{escape(place)}</code>')
    if looks:
        lines["Look inside"] = "<br>".join(looks)
    entries = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in lines.items())
    return f'<dl class="made">{entries}</dl>'


def _colophon(command: str, versions: Mapping[str, str], written: date) -> str:
    told = ", ".join(f"{name} {of}" for name, of in versions.items())
    return (
        f"<footer><p>Written on {_day(written)} by <code>{escape(command)}</code> with {escape(told)}. "
        "A study's figures in full are in <code>results.json</code> in the folder that has its name, beside this "
        "file.</p></footer>"
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
