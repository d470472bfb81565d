"""A ``.safetensors`` file, written tensor by tensor, and mapped from the disk instead of read.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header, the header, the tensors
without gaps. The library of that name writes from memory and copies what it reads; a trace of 4,096 tokens should need
neither, so both directions stand here, and the tests open our files with that library and the reverse.

Everything in the header of a file from elsewhere is doubted: lengths, offsets, shapes, types and depth.
"""

import json
import math
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.errors import TraceError
from vitrail.files import written_beside

HEADER_LIMIT = 8 * 2**20
"""Bytes of header that are written and read; the texts of some 500,000 tokens."""
PARTS_LIMIT = 2**18
"""Lists and objects in a JSON that is read: each takes 64 bytes for two characters."""
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}
"""The types of numbers that a trace has."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors in this order, without gaps; they need not be in memory together.

    Raises:
        TraceError: the header would be larger than what is read.
        OutputError: the file can't be written; whatever stood there is untouched.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise TraceError(
            f"the header of {path} would have {len(text):,} bytes, and {HEADER_LIMIT:,} are read: "
            "leave out the texts of tokens."
        )
    with written_beside(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).data)


def map_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a file as views of the disk, and its metadata; nothing but the header is read.

    Raises:
        TraceError: the file is missing, cut off, or no ``.safetensors`` file of numbers that a trace has.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 8:
                raise TraceError(f"it has {size} bytes, and the length of its header alone takes 8")
            length = int.from_bytes(file.read(8), "little")
            if length > min(HEADER_LIMIT, size - 8):
                raise TraceError(
                    f"its header should have {length:,} bytes; {size - 8:,} are left, and {HEADER_LIMIT:,} are read"
                )
            header = parse_object(file.read(length), "its header")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise TraceError(f"it can't be opened ({error.strerror or error})") from error
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise TraceError("its metadata aren't texts by name")
    places = {name: _place(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, begin, stop) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != end:
            raise TraceError(f"its tensor {name!r} begins at {begin:,}, where the one before ends at {end:,}")
        end = stop
    if end != size - 8 - length:
        raise TraceError(f"its tensors have {end:,} bytes, but {size - 8 - length:,} follow the header")
    tensors = {
        name: np.frombuffer(mapped, dtype, math.prod(shape), 8 + length + begin).reshape(shape)
        for name, (dtype, shape, begin, _) in places.items()
    }
    return tensors, metadata


def parse_object(text: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object, however hostile.

    Raises:
        TraceError: it is no JSON, no object, nested too deep or of too many parts.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise TraceError(f"{what} is no UTF-8") from error
    if text.count("[") + text.count("{") > PARTS_LIMIT:
        raise TraceError(f"{what} has more than {PARTS_LIMIT:,} lists and objects")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise TraceError(f"{what} is nested too deep") from error
    except ValueError as error:  # numbers of thousands of digits included
        raise TraceError(f"{what} is no JSON") from error
    if not isinstance(value, dict):
        raise TraceError(f"{what} is no JSON object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _place(name: str, entry: object) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type, shape, first byte and end of a tensor."""
    if not isinstance(entry, dict):
        raise TraceError(f"its tensor {name!r} has no type, shape and offsets")
    kind, shape, offsets = str(entry.get("dtype")), _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if kind not in DTYPES:
        raise TraceError(f"its tensor {name!r} is of {kind[:20]!r}, and one of {', '.join(DTYPES)} is read")
    if shape is None or offsets is None or len(offsets) != 2 or len(shape) > 8 or 0 in shape:
        raise TraceError(f"the shape or the offsets of its tensor {name!r} aren't counts")
    begin, end = offsets
    if end - begin != math.prod(shape) * DTYPES[kind].itemsize:
        raise TraceError(f"its tensor {name!r} has {end - begin:,} bytes, which aren't {kind} {list(shape)}")
    return DTYPES[kind], shape, begin, end


def _counts(value: object) -> tuple[int, ...] | None:
    """A list of counts as JSON has it; None for anything else."""
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one < 2**48 for one in value):
        return None
    return tuple(value)
