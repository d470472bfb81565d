"""The pages on papers name files, functions and options: all of them are there, and where they are said to be."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "vitrail"
PAGES = sorted(path for path in (ROOT / "docs" / "papers").glob("*.md") if path.name != "index.md")


def rows_of(page: Path) -> Iterator[list[str]]:
    """The rows of the tables whose last column says where something is."""
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[-1] == "where":
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and set(line) - set("|-"):
            yield cells


ROWS = [(page.name, row) for page in PAGES for row in rows_of(page)]


@cache
def defined(file: str) -> set[str]:
    """Everything that a file defines: functions, classes, what classes have, and values of the module."""
    found = set()

    def look(body: list[ast.stmt], before: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(before + node.name)
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{before}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = (name for one in targets if one is not None for name in ast.walk(one))
            found.update(before + name.id for name in names if isinstance(name, ast.Name))

    look(ast.parse((SOURCE / file).read_text(encoding="utf-8")).body, "")
    return found


def places(cell: str) -> dict[str, list[str]]:
    """The files that a cell names, and what it says is in each."""
    found: dict[str, list[str]] = {}
    for word in re.findall(r"`([^`]+)`", cell):
        if word.endswith(".py"):
            found[word] = []
        else:
            found[list(found)[-1]].append(word)
    return found


def test_every_paper_has_rows() -> None:
    assert len(PAGES) == 5
    assert {name for name, _ in ROWS} == {page.name for page in PAGES}
    assert len(ROWS) > 90


@pytest.mark.parametrize(("page", "row"), ROWS, ids=[f"{page}: {row[0]}" for page, row in ROWS])
def test_what_a_row_names_is_where_it_says(page: str, row: list[str]) -> None:
    assert len(row) == 3, "paper, here, where"
    named = places(row[2])
    assert named, "a row names at least one file"
    for file, names in named.items():
        assert (SOURCE / file).is_file(), file
        assert names, f"{file}: of what?"
        assert set(names) <= defined(file)
    text = "\n".join((SOURCE / file).read_text(encoding="utf-8") for file in named)
    options = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for code in re.findall(r"`([^`]+)`", row[1]):
        for option in re.findall(r"--[\w-]+", code):
            assert f"{option} " in options or f"{option}," in options, option
        if not code.startswith(("--", "[", "vitrail ")):
            for word in re.findall(r"[A-Za-z_]\w+", re.sub(r"\[[^]]*\]", "", code)):
                assert re.search(rf"\b{word}\b", text), f"{word} isn't in {', '.join(named)}"


def test_the_look_up_can_fail() -> None:
    assert "MultiHeadAttention" in defined("nn/attention.py")
    assert "MultiHeadAttention.forward" in defined("nn/attention.py")
    assert {"SHORT", "Path", "AttentionRecord.weights"} <= defined("nn/attention.py")
    assert "MultiHeadAttention.backward" not in defined("nn/attention.py")
    assert places("`a.py`: `x`, `y`; `b.py`: `z`") == {"a.py": ["x", "y"], "b.py": ["z"]}
