"""A report of an exercise: one page that stands alone as HTML, and the same in Markdown.

Whatever is written on it, a model's token or a file's name, is text: it is escaped on the way out, the page has no
script, and its policy (Content-Security-Policy) would run none.
"""

import base64
import html
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MARKUP = re.compile(r"([\\`*_\[\]{}#|~$])")
"""What Markdown could read as more than text."""
WHOLE = 24
"""Characters of a cell that isn't broken into lines."""
DENSITY = 0.64
"""Width of a picture's pixel on the page, in pixels of the screen: figures have 150 dots an inch, screens 96."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences that follow from figures, a point each."""

    points: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """The title of a part of a question."""

    text: str


@dataclass(frozen=True)
class Table:
    """Figures under heads, and what they are; the first ``left`` columns stand to the left."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    left: int = 1


@dataclass(frozen=True)
class Link:
    """Another place; an address is relative to the page, or on this machine."""

    text: str
    address: str


@dataclass(frozen=True)
class Picture:
    """A picture, what it shows, and where it can be looked at closely.

    Attributes:
        file: relative to the page.
        caption: what it shows.
        content: the PNG, which the page holds itself.
        links: views of the same.
    """

    file: str
    caption: str
    content: bytes = field(repr=False)
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Links:
    """Views without a picture."""

    text: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Formula:
    """A line that stands by itself as it is written."""

    text: str


@dataclass(frozen=True)
class Command:
    """A command that makes, or repeats, what stands above it."""

    text: str
    command: str


@dataclass(frozen=True)
class Yours:
    """What is left to the student."""

    text: str


Block: TypeAlias = Text | Points | Heading | Table | Picture | Links | Formula | Command | Yours


@dataclass(frozen=True)
class Question:
    """A question of the exercise and what answers it.

    Attributes:
        key: its letter.
        title: in a few words.
        asks: the question.
        blocks: the answer.
    """

    key: str
    title: str
    asks: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: of the page.
        lead: what stands above the questions.
        questions: in their order.
        foot: how it was made.
    """

    title: str
    lead: tuple[Block, ...]
    questions: tuple[Question, ...]
    foot: tuple[Block, ...]


def to_html(page: Page) -> str:
    """The page as one file without a request to anybody."""
    contents = "".join(
        f'<li><a href="#{one.key}"><b>({_html(one.key)})</b> {_html(one.title)}</a></li>' for one in page.questions
    )
    parts = [
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_html(page.title)}</title><style>{STYLE}</style></head>\n<body><main>\n<h1>{_html(page.title)}</h1>",
        *map(_block_html, page.lead),
        f'<nav aria-label="Questions"><ol class="contents">{contents}</ol></nav>',
    ]
    for one in page.questions:
        parts.append(
            f'<section id="{one.key}"><h2><span>({_html(one.key)})</span> {_html(one.title)}</h2>'
            f'<p class="asks">{_html(one.asks)}</p>'
        )
        parts += [*map(_block_html, one.blocks), "</section>"]
    parts += ['<section class="foot"><h2>How this was made</h2>', *map(_block_html, page.foot), "</section>"]
    return "\n".join([*parts, "</main></body></html>", ""])


def to_markdown(page: Page) -> str:
    """The same in Markdown, with pictures beside it."""
    parts = [f"# {_markdown(page.title)}", *map(block_markdown, page.lead)]
    for one in page.questions:
        parts += [f"## ({_markdown(one.key)}) {_markdown(one.title)}", f"*{_markdown(one.asks)}*"]
        parts += map(block_markdown, one.blocks)
    parts += ["## How this was made", *map(block_markdown, page.foot)]
    return "\n\n".join(parts) + "\n"


def _block_html(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{_html(block.text)}</p>"
        case Points():
            return f"<ul>{''.join(f'<li>{_html(point)}</li>' for point in block.points)}</ul>"
        case Heading():
            return f"<h3>{_html(block.text)}</h3>"
        case Table():
            return _table_html(block)
        case Picture():
            source = "data:image/png;base64," + base64.b64encode(block.content).decode("ascii")
            width, height = (round(DENSITY * side) for side in struct.unpack(">II", block.content[16:24]))
            said = _html(block.caption)
            return (
                f'<figure><img src="{source}" alt="{said}" width="{width}" height="{height}">'
                f"<figcaption>{said}{_links_html(block.links)}</figcaption></figure>"
            )
        case Links():
            return f'<p class="links">{_html(block.text)}{_links_html(block.links)}</p>'
        case Formula():
            return f'<p class="formula">{_html(block.text)}</p>'
        case Command():
            return (
                f'<div class="command"><p>{_html(block.text)}</p><pre><code>{_html(block.command)}</code></pre></div>'
            )
        case Yours():
            return f'<div class="yours"><b>Yours to write</b><p>{_html(block.text)}</p></div>'


def _table_html(table: Table) -> str:
    heads = "".join(
        f'<th scope="col"{_side(place, table)}>{_html(head)}</th>' for place, head in enumerate(table.heads)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{_side(place, table, cell)}>{_html(cell)}</td>" for place, cell in enumerate(row))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{_html(table.caption)}</caption>" if table.caption else ""
    return f'<div class="table"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _side(place: int, table: Table, cell: str = "") -> str:
    """Texts to the left, figures to the right; what is short isn't broken into lines."""
    kinds = ["left"] * (place < table.left) + ["whole"] * (0 < len(cell) <= WHOLE)
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _links_html(links: Iterable[Link]) -> str:
    found = " · ".join(f'<a href="{_html(link.address)}">{_html(link.text)}</a>' for link in links)
    return f' <span class="views">{found}</span>' if found else ""


def block_markdown(block: Block) -> str:
    """A part of a page in Markdown; what could be read as markup in it is escaped."""
    match block:
        case Text():
            return _markdown(block.text)
        case Points():
            return "\n".join(f"- {_markdown(point)}" for point in block.points)
        case Heading():
            return f"### {_markdown(block.text)}"
        case Table():
            return _table_markdown(block)
        case Picture():
            picture = f"![{_markdown(block.caption)}]({_address(block.file)})"
            return "\n\n".join([picture, f"*{_markdown(block.caption)}*{_links_markdown(block.links)}"])
        case Links():
            return f"{_markdown(block.text)}{_links_markdown(block.links)}"
        case Formula():
            return f"> {_markdown(block.text)}"
        case Command():
            return f"{_markdown(block.text)}\n\n```bash\n{' '.join(block.command.split())}\n```"
        case Yours():
            return f"> **Yours to write.** {_markdown(block.text)}"


def _table_markdown(table: Table) -> str:
    sides = [":---" if place < table.left else "---:" for place in range(len(table.heads))]
    rows: Sequence[Sequence[str]] = [table.heads, *table.rows]
    lines = ["| " + " | ".join(map(_markdown, row)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join(sides) + " |")
    return "\n".join(lines) + (f"\n\n*{_markdown(table.caption)}*" if table.caption else "")


def _links_markdown(links: Iterable[Link]) -> str:
    return "".join(f" · [{_markdown(link.text)}]({_address(link.address)})" for link in links)


def _html(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())  # lone surrogates have no UTF-8


def _markdown(text: str) -> str:
    plain = html.escape(" ".join(text.encode("utf-8", "replace").decode().split()), quote=False)
    return MARKUP.sub(r"\\\1", plain)


def _address(address: str) -> str:
    """As Markdown reads an address: without spaces and brackets."""
    return html.escape(address).replace(" ", "%20").replace("(", "%28").replace(")", "%29")


STYLE = """
:root{color-scheme:light;--ink:#1c1d22;--quiet:#5d606c;--faint:#d9dae1;--accent:#d1440c;--link:#1d4f9e}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:var(--ink);
font:16px/1.55 Charter,'Bitstream Charter','Sitka Text',Cambria,Georgia,serif}
main{max-width:62rem;margin:0 auto;padding:3rem 1.5rem 5rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}
h2{font-size:1.4rem;margin:3.5rem 0 .5rem;padding-top:1rem;border-top:2px solid var(--ink);line-height:1.25}
h2 span{color:var(--accent)}
h3{font-size:1.08rem;margin:2.2rem 0 .4rem}
p,ul{max-width:46rem;margin:.6rem 0}
li{margin:.2rem 0}
a{color:var(--link)}
.asks{color:var(--quiet);font-style:italic}
.contents{list-style:none;padding:0;max-width:none;display:grid;gap:.2rem 1.5rem;
grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));border-top:1px solid var(--faint);padding-top:.8rem}
.contents a{text-decoration:none}
.table{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font:13.5px/1.4 system-ui,sans-serif;font-variant-numeric:tabular-nums}
caption{caption-side:bottom;text-align:left;color:var(--quiet);padding-top:.4rem;max-width:46rem}
th,td{padding:.28rem .7rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--faint)}
thead th{border-bottom:1.5px solid var(--ink);vertical-align:bottom;font-weight:600}
th.left,td.left{text-align:left}
td.whole{white-space:nowrap}
th:first-child,td:first-child{padding-left:0}
figure{margin:1.4rem 0;break-inside:avoid}
img{max-width:100%;height:auto;border:1px solid var(--faint)}
figcaption{color:var(--quiet);font-size:.92rem;max-width:46rem}
.views{font:13px/1.5 system-ui,sans-serif;display:block}
.formula{font-family:'DejaVu Serif',Cambria,Georgia,serif;margin:1rem 0 1rem 2rem}
.command p{margin-bottom:.2rem;color:var(--quiet);font-size:.92rem}
pre{margin:.2rem 0 1rem;padding:.6rem .9rem;background:#f4f4f7;border-radius:4px;
overflow-x:auto;font:13px/1.5 ui-monospace,monospace}
.yours{max-width:46rem;margin:1.6rem 0;padding:.8rem 1rem 4.5rem;border:1.5px dashed var(--accent);border-radius:4px}
.yours b{color:var(--accent)}
.yours p{color:var(--quiet);margin:.2rem 0 0}
.foot{color:var(--quiet)}
@media print{
body{font-size:10.5pt}main{max-width:none;padding:0}
h2{break-after:avoid}section{break-before:page}.foot{break-before:auto}h3{break-after:avoid}
.table{overflow:visible}table{font-size:8pt}
th,td{padding:.2rem .4rem}
tr,.command,.yours{break-inside:avoid}nav,.views{display:none}a{color:inherit;text-decoration:none}
}
"""
