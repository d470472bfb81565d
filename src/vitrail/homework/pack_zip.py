"""The zip that is handed in: always the same bytes for the same files, and names that every system can unpack."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from vitrail.errors import DataError
from vitrail.files import output_errors, written_beside

LARGEST = 64 * 1024**2
"""Bytes of a file beside the answers: what is larger was put there by mistake."""
LONGEST = 120
"""Characters of a name."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip: when something was packed is no part of it."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(name: str) -> str:
    """A file's name as every system can have it: no separators, no control characters, no device of Windows."""
    plain = re.sub(r"[^\w.() -]", "_", name.encode("utf-8", "replace").decode()).strip(" .")
    stem, dot, end = plain.rpartition(".")
    plain = f"{stem[: LONGEST - len(end)]}{dot}{end}"
    return f"_{plain}" if not plain or _DEVICES.fullmatch(plain) or plain.startswith("-") else plain


def file_names(paths: Iterable[PurePath]) -> dict[str, PurePath]:
    """Names for paths that no two share, not even where capitals don't count; folders are parted by "/"."""
    named: dict[str, PurePath] = {}
    taken: set[str] = set()
    for path in sorted(paths):
        plain = "/".join(map(file_name, path.parts))
        stem, dot, end = plain.rpartition(".")
        number, name = 1, plain
        while name.casefold() in taken:
            number += 1
            name = f"{stem} ({number}){dot}{end}"
        taken.add(name.casefold())
        named[name] = path
    return named


def own_files(folder: Path, ours: frozenset[str]) -> dict[str, bytes]:
    """What a student put beside the answers: plain files, also in folders; nothing hidden, and no links.

    Args:
        folder: of the answers.
        ours: names in it, of files and folders, that are not the student's.

    Returns:
        Content by name, with "/" between folders.

    Raises:
        DataError: a file is too large to be meant.
    """
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts if part.strip(".")) or path.name.endswith(".part")
        if inside.parts[0] in ours or hidden or not path.is_file() or _through_link(path, folder):
            continue
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"{path} has {path.stat().st_size / 1024**2:,.0f} MiB, and what is handed in has at most "
                f"{LARGEST // 1024**2} a file: move it out of {folder}."
            )
        found.append(inside)
    return {name: (folder / path).read_bytes() for name, path in file_names(found).items()}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a zip, in the order of their names.

    Raises:
        OutputError: it can't be written; whatever stood there is untouched.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as packed:
        for name in sorted(files):
            entry = ZipInfo(name, LONG_AGO)
            entry.compress_type, entry.create_system, entry.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
            packed.writestr(entry, files[name])
    return path


def _through_link(path: Path, folder: Path) -> bool:
    return any(part.is_symlink() for part in (path, *path.parents) if part != folder and part.is_relative_to(folder))
