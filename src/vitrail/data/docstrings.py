"""``docstrings``: what the installed Python packages say of their own functions and classes (PEP 257).

The summary is a docstring's first line, the document what stands below it. Real text by many authors, and there without
a network; which texts there are depends on the packages' versions. Packages that vitrail itself needs are read.
"""

import ast
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "sklearn")
"""Packages that are read; together about 6,700 pairs."""

WORDS = range(4, 21)
"""Words that a summary may have."""
LEAST = 20
"""Words that a document has at least."""


@cache
def docstrings() -> Sequence[tuple[str, str]]:
    """(document, summary) of each function, class and module with both, in the order of their files."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for file in sorted(Path(folder).rglob("*.py")):
                if "tests" not in file.parts:
                    for document, summary in _pairs(file):
                        found.setdefault(document, summary)
    return tuple(found.items())


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    source = file.read_text(encoding="utf-8", errors="replace")
    if '"""' not in source:
        return
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node) or ""
            summary, _, document = text.partition("\n\n")
            single = "\n" not in summary and summary.endswith(".")
            if single and len(summary.split()) in WORDS and len(document.split()) >= LEAST:
                yield document, summary


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all its statements, at any depth; expressions, which hold no docstring, are most of a tree."""
    waiting: list[ast.AST] = [tree]
    for node in waiting:
        yield node
        for part in ("body", "orelse", "handlers", "finalbody"):
            waiting.extend(getattr(node, part, ()))
