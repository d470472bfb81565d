"""Traces as one HTML file that needs no server and no network: it shows what the server shows, but for live models."""

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vitrail.errors import ConfigError, OutputError, TraceError
from vitrail.trace import Trace, load_trace
from vitrail.viewer.page import Entry, about, pieces

LIMIT = 64 * 2**20
"""Bytes of a file unless asked otherwise: about what a browser opens in a second or two, and a mail still carries."""
Traces = Trace | str | PathLike[str]


@dataclass(frozen=True)
class OneFile:
    """A file that was written.

    Attributes:
        path: where.
        bytes: how long it is.
    """

    path: Path
    bytes: int

    def __str__(self) -> str:
        return f"{self.path} ({self.bytes / 2**20:.1f} MB)"


def to_html(
    traces: Traces | Sequence[Traces] | Mapping[str, Traces],
    path: str | PathLike[str],
    *,
    limit: int = LIMIT,
    title: str | None = None,
    tell: Callable[[int], None] | None = None,
) -> OneFile:
    """Write traces as one HTML file: ``vt.to_html(trace, "party.html")``.

    It holds the traces, the page and its modules; opened from the disk it shows everything but live models, and asks
    nobody for anything.

    Args:
        traces: one, several, or several by name; traces or paths of them. The first is opened.
        path: the file to write.
        limit: bytes that it may have.
        title: what the browser's tab says; the file's name unless given.
        tell: is told how many bytes it will have before it is written.

    Raises:
        ConfigError: the file would be longer than the limit, or there is no trace.
        TraceError: something is no trace.
        OutputError: the file can't be written; whatever stood there is untouched.
    """
    target = Path(path)
    with ExitStack() as stack:
        entries = embedded(traces, stack)
        nonce, title = secrets.token_urlsafe(16), title or target.stem
        bare = sum(len(piece.encode()) for piece in pieces([], nonce=nonce, modules="inlined", title=title))
        described = sum(len(str(entry.described())) for entry in entries)
        size = bare + described + sum(-(-_length(entry) // 3) * 4 for entry in entries)
        if tell is not None:
            tell(size)
        if size > limit:
            raise ConfigError(
                f"{target} would have {size / 2**20:,.1f} MB, and {limit / 2**20:,.1f} MB are allowed: capture with "
                "half precision (Wishes(half=True), --half) or without values (Wishes(values=False)), or raise "
                "the limit."
            )
        return OneFile(target, _write(target, pieces(entries, nonce=nonce, modules="inlined", title=title)))


def embedded(traces: Traces | Sequence[Traces] | Mapping[str, Traces], stack: ExitStack) -> list[Entry]:
    """Traces as entries whose bytes stand in the page; a trace in memory is saved until the stack is left.

    Raises:
        ConfigError: there is no trace.
        TraceError: something is no trace.
    """
    entries = []
    for number, (name, trace) in enumerate(named(traces)):
        if isinstance(trace, Trace):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitrail-")))
            place = trace.save(folder / "trace.safetensors")
        else:
            place = Path(trace)
            trace = load_trace(place)
        entries.append(Entry(f"t{number}", name, "embedded", about=about(trace.provenance), path=place))
    return entries


def named(traces: Traces | Sequence[Traces] | Mapping[str, Traces]) -> list[tuple[str, Traces]]:
    """Traces with the names that a page shows.

    Raises:
        ConfigError: there is none.
        TraceError: something is neither a trace nor a path.
    """
    given = list(traces.items()) if isinstance(traces, Mapping) else [("", one) for one in listed(traces)]
    if not given:
        raise ConfigError("there is no trace to show: give one that vt.attend or vt.load_trace returned.")
    for _, one in given:
        if not isinstance(one, Trace | str | PathLike):
            raise TraceError(f"{type(one).__name__} is no trace: give one that vt.attend or vt.load_trace returned.")
    return [(name or _name(one), one) for name, one in given]


def listed(traces: Traces | Sequence[Traces]) -> list[Traces]:
    """One trace or several as a list."""
    return list(traces) if isinstance(traces, Sequence) and not isinstance(traces, str) else [traces]


def _name(trace: Traces) -> str:
    """What a page calls a trace that nobody named."""
    if not isinstance(trace, Trace):
        return Path(trace).stem
    known = trace.provenance
    model = re.split(r"[\\/]", known.model.rstrip("\\/"))[-1]
    begun = " + ".join(known.texts)[:40]
    parts = [model, "untrained" if known.weights.startswith("untrained") else "", begun]
    return " · ".join(part for part in parts if part)


def _length(entry: Entry) -> int:
    return 0 if entry.path is None else entry.path.stat().st_size


def _write(target: Path, text: Iterable[str]) -> int:
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(text)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{target} can't be written ({error.strerror or error}): free some space or choose a folder that you may "
            "write to."
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target.stat().st_size
