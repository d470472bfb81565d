"""The trace as one ``.safetensors`` file (docs/trace-format.md): saved whole or not at all, loaded without being read.

Tensors of a first look come first (log-sum-exps, axes, digests), then q, k, v layer by layer, so that a reader over
HTTP fetches the beginning and then what is looked at. ``load_trace`` maps the file: a head that nobody asks for stays
on the disk. Arrays that several layers share, such as the bits of a mask, are written once.
"""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.errors import TraceError
from vitrail.trace.container import map_tensors, parse_object, write_tensors
from vitrail.trace.fields import Fields
from vitrail.trace.model import Trace
from vitrail.trace.reading import read_trace
from vitrail.trace.writing import Tensors, describe_trace

FORMAT, VERSION = "vitrail.trace", "1"


def save_trace(trace: Trace, path: str | PathLike[str]) -> Path:
    """Write a trace; one of 4,096 tokens needs no more memory for it than its largest array.

    Raises:
        TraceError: the texts of its tokens are too many for the header.
        OutputError: the file can't be written; whatever stood there is untouched.
    """
    target = Path(path)
    tensors = Tensors()
    described = json.dumps(describe_trace(trace, tensors), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    metadata = {"format": FORMAT, "version": VERSION, "trace": described}
    write_tensors(target, tensors.in_order(), metadata)
    return target


def load_trace(path: str | PathLike[str]) -> Trace:
    """Open a trace; its arrays are views of the file, read when they are used.

    Raises:
        TraceError: the file is missing, damaged, of a newer format, or no trace; the text says which.
    """
    source = Path(path)
    try:
        tensors, metadata = map_tensors(source)
        return _read(tensors, metadata)
    except TraceError as error:
        reason = str(error).rstrip(".")
        reason = reason if len(reason) < 400 else reason[:400] + "…"
        raise TraceError(f"{source} can't be read as a trace: {reason}; capture it again.") from error


def _read(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Trace:
    if metadata.get("format") != FORMAT:
        raise TraceError(f"its format is {str(metadata.get('format'))[:40]!r}, not {FORMAT!r}")
    if metadata.get("version") != VERSION:
        found = str(metadata.get("version"))[:20]
        raise TraceError(f"it is of version {found!r} and this Vitrail reads {VERSION!r}: update Vitrail")
    described: dict[str, Any] = parse_object(metadata.get("trace", ""), "its description")
    return read_trace(Fields(described, "its description", tensors))
