"""The skeleton of an exercise: our own module without what it does.

Names, signatures and docstrings are those of the module itself, so that they can't grow apart.
"""

import ast
import inspect
from pathlib import Path
from types import ModuleType

from vitrail.errors import OutputError
from vitrail.recipes.results import write_bytes

HEAD = '''"""{title}

Write what is missing; then:  vitrail homework {exercise} --check {file}
"""

from __future__ import annotations

'''
USED = ("torch", "torch.nn.functional", "jaxtyping")
"""Modules whose imports stay: what a student needs, and what signatures name."""


def write_skeleton(module: ModuleType, exercise: str, path: Path) -> Path:
    """Write a module's public functions and classes, each raising NotImplementedError.

    Raises:
        OutputError: something is there already, or nothing can be written there.
    """
    if path.exists():
        raise OutputError(f"{path} is there already and may hold your work: choose another name.")
    return write_bytes(path, skeleton(module, exercise, path.name).encode())


def skeleton(module: ModuleType, exercise: str, file: str) -> str:
    """The text of the skeleton."""
    tree = ast.parse(inspect.getsource(module))
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if set(names) <= set(USED):
                kept.append(node)
        elif isinstance(node, ast.FunctionDef) and node.name in module.__all__:
            kept.append(_emptied(node))
        elif isinstance(node, ast.ClassDef) and node.name in module.__all__:
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and _is_asked(part)]
            docstring = node.body[:1] if ast.get_docstring(node) else []
            node.body = [*docstring, *(_emptied(method) for method in methods)]
            kept.append(node)
    imports = [node for node in kept if isinstance(node, ast.Import | ast.ImportFrom)]
    written = [node for node in kept if node not in imports]
    text = "\n".join(map(ast.unparse, imports)) + "\n\n\n" + "\n\n\n".join(map(ast.unparse, written)) + "\n"
    return HEAD.format(title=title, exercise=exercise, file=file) + text


def _is_asked(method: ast.FunctionDef) -> bool:
    return method.name == "__init__" or not method.name.startswith("_")


def _emptied(function: ast.FunctionDef) -> ast.FunctionDef:
    docstring = function.body[:1] if ast.get_docstring(function) else []
    start = ast.parse("super().__init__()").body if function.name == "__init__" else []
    function.body = [*docstring, *start, *ast.parse("raise NotImplementedError").body]
    return function
