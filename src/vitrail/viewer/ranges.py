"""One range of bytes of a file, as a reader over HTTP asks for it (RFC 9110, section 14).

Several ranges at once are answered with the whole file, as the standard allows; what is no range is a mistake that the
reader is told of.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

CHUNK = 2**20
"""Bytes that are read and sent at once."""
_RANGE = re.compile(r"bytes=\s*(\d{0,15})-(\d{0,15})\s*")


class NoRangeError(ValueError):
    """What was sent as a range is none."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Where a range begins and ends (not included); None where none of its bytes are in the file.

    Raises:
        NoRangeError: it is no single range.
    """
    matched = _RANGE.fullmatch(header)
    if matched is None or matched[1] == matched[2] == "":
        raise NoRangeError("a range reads bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT")
    if not matched[1]:
        start, end = max(0, size - int(matched[2])), size
    else:
        start = int(matched[1])
        end = min(size, int(matched[2]) + 1) if matched[2] else size
        if matched[2] and int(matched[2]) < start:
            raise NoRangeError("a range ends where it begins, or after")
    return (start, end) if start < end else None


async def send_file(path: Path, request: Request) -> Response:
    """Answer a request for a file, or for a range of it."""
    try:
        size = (await to_thread.run_sync(path.stat)).st_size
        header = request.headers.get("range", "")
        found = parse_range(header, size) if header and "," not in header else (0, size)
    except OSError:
        return PlainTextResponse("this file is gone: load the page again\n", 404)
    except NoRangeError as error:
        return PlainTextResponse(f"{error}\n", 400)
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if found is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, end = found
    status = 200
    if header and "," not in header:
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers={**headers, "Content-Length": str(end - start)})
    if end - start <= CHUNK:
        return Response(await to_thread.run_sync(_read, path, start, end), status, headers)
    return StreamingResponse(_parts(path, start, end), status, {**headers, "Content-Length": str(end - start)})


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


async def _parts(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:  # opened here, so that a reader who leaves before the first part leaves nothing open
        file.seek(start)
        while start < end:
            part = await to_thread.run_sync(file.read, min(CHUNK, end - start))
            if not part:  # cut off meanwhile
                return
            start += len(part)
            yield part
