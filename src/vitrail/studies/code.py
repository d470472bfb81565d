"""A fingerprint of the code that a study's figures came from: its module, and all modules of ours that this needs.

Which these are is read from the sources, also within functions. A module that is imported by a string is missed.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1]
APART = {"vitrail", "vitrail.axes", "vitrail.errors", "vitrail.studies", "vitrail.studies.terms"}
"""Names and words alone: another study's line in them changes no figure."""


def code_fingerprint(module: str) -> str:
    """16 hex digits, which stay as long as none of the files changes.

    Args:
        module: as in ``vitrail.studies.harmonic``.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is not None and name not in found and name not in APART:
            found[name] = path
            waiting += _needed(path)
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(found):
        content = found[name].read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _file(module: str) -> Path | None:
    """Where a module of ours stands; None for a name within one."""
    inside = SOURCE.joinpath(*module.split(".")[1:])
    places = (inside.with_suffix(".py"), inside / "__init__.py")
    return next((place for place in places if place.is_file()), None)


@cache
def _needed(path: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_imports(ast.parse(path.read_text(encoding="utf-8")))))


def _imports(tree: ast.Module) -> Iterator[str]:
    """Modules of ours: of a room whose module is taken, the module alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("vitrail."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "vitrail":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file(inner) is not None else node.module
