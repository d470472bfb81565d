"""A report's blocks: what they hold is text, whatever it is, and the page asks nobody for anything."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from vitrail.errors import DataError
from vitrail.homework.findings import study_blocks
from vitrail.homework.pages import (
    Block,
    Command,
    Formula,
    Heading,
    Link,
    Links,
    Page,
    Picture,
    Points,
    Question,
    Table,
    Text,
    Yours,
    to_html,
    to_markdown,
)
from vitrail.homework.shelf import Shelf, head

HOSTILE = (
    "<script>window.hostile=1</script>",
    '"><img src=x onerror=window.hostile=1>',
    "</style></title><svg onload=window.hostile=1>",
    "' onmouseover='window.hostile=1",
    "a | b ](javascript:window.hostile=1) `c` *d* _e_ $f$ # g\n\n# h",
    "\ud800 \u202e \u2028",
)


def png(width: int = 40, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def blocks(text: str) -> tuple[Block, ...]:
    """One of each."""
    return (
        Text(text),
        Points((text, text)),
        Heading(text),
        Table((text, "number"), ((text, text), ("one", "1")), text),
        Picture(f"pictures/{text}.png", text, png(), (Link(text, f"views/a.html#{text}"),)),
        Links(text, (Link(text, text),)),
        Formula(text),
        Command(text, f"vitrail {text}"),
        Yours(text),
    )


def page_of(text: str) -> Page:
    return Page(text, blocks(text), (Question("a", text, text, blocks(text)),), blocks(text))


class Tags(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_written_stays_text(text: str) -> None:
    plain, hostile = (Tags(to_html(page_of(one))) for one in ("plain", text))
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in plain.found]
    assert {name for _, names in hostile.found for name in names} <= {
        name for _, names in plain.found for name in names
    }
    assert text.encode("utf-8", "replace").decode() in hostile.text
    assert "http://" not in to_html(page_of("plain"))


def test_markdown_reads_it_as_text() -> None:
    for text in HOSTILE:
        lines = [line for line in to_markdown(page_of(text)).splitlines() if not line.startswith("vitrail ")]
        written = "\n".join(lines)
        assert not re.search(r"<(script|img|svg|/)", written)
        assert not re.search(r"(?<!\\)\]\(javascript", written)
        assert len(re.findall(r"^# ", written, re.MULTILINE)) == 1
        tables = [line for line in lines if line.startswith("|")]
        assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in tables)


def test_a_page_stands_alone() -> None:
    text = to_html(page_of("plain"))
    assert text.count("data:image/png;base64,") == 3
    assert 'width="26" height="13"' in text
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert text.count("Yours to write") == 3


def test_addresses_say_what_is_looked_at(tmp_path: Path) -> None:
    from homework_models import made

    traces = {name: made(("a", " b", " c"), (0, 1, 2), (False,) * 3, seed) for seed, name in enumerate(("one", "two"))}
    shelf = Shelf(tmp_path / "report", traces)
    offline, live = shelf.views("b", "the first", "two", head(1, 2, drawing="matrix", pin=(0, 2)), other="one")
    assert offline == Link("the first", "views/b.html#trace=t0&other=t1&layer=1&head=2&heads=2&drawing=matrix&pin=0.2")
    assert re.fullmatch(
        r"http://127\.0\.0\.1:8765/#trace=[0-9a-f]{16}&other=[0-9a-f]{16}&layer=1&head=2&heads=2&drawing=matrix&pin=0\.2",
        live.address,
    )
    assert shelf.views("b", "again", "one", {"words": True})[0].address == "views/b.html#trace=t1&words=true"
    assert [path.name for path in shelf.write_views()] == ["b.html"]
    assert sorted(path.name for path in (tmp_path / "report").rglob("*") if path.is_file()) == [
        "b.html",
        "one.safetensors",
        "two.safetensors",
    ]


def test_a_study_is_shown_or_its_command_told(tmp_path: Path) -> None:
    shelf, results = Shelf(tmp_path / "report"), tmp_path / "results"
    (told,) = study_blocks(results, "face-dimension", "f-study", shelf)
    assert isinstance(told, Command)
    assert told.command == "vitrail study face-dimension"
    assert study_blocks(results, "nothing-like-it", "f-study", shelf) == ()
    (results / "face-dimension").mkdir(parents=True)
    path = results / "face-dimension" / "results.json"
    for damaged in ("{", "[]", '{"question": "?", "found": {"glyphs": {}}}'):
        path.write_text(damaged)
        with pytest.raises(DataError, match=r"results\.json can't be read"):
            study_blocks(results, "face-dimension", "f-study", shelf)
    path.write_text(
        '{"question": "How many?", "found": {"glyphs": {"quick": true, "heads": ["n"], "rows": [["64"]], '
        '"words": ["too small to tell", "v1 stays"], "curves": [], "facts": {}}}}'
    )
    (results / "face-dimension" / "figure.png").write_bytes(png())
    found = study_blocks(results, "face-dimension", "f-study", shelf)
    assert [type(block) for block in found] == [Heading, Picture, Text, Table, Points]
    assert found[-1] == Points(("Too small to tell.", "v1 stays."))
    assert "quick run" in str(found[2])
    assert (tmp_path / "report" / "pictures" / "f-study.png").read_bytes() == png()
