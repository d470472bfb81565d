"""What the server answers: the page, its modules, the list of traces, their bytes by ranges, and live models.

::

    GET  /              the page
    GET  /static/NAME   a module or the style
    GET  /api/traces    what is offered, as the page's own list
    GET  /traces/ID     a trace's bytes; Range
    POST /api/attend    live: a text or an image through a model → {id, name, …}          (live.py)
    POST /api/ablate    live: a head taken away → what that does to the output
"""

import secrets
from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from vitrail.viewer.guard import Door, Guard
from vitrail.viewer.library import Library
from vitrail.viewer.live import Desk
from vitrail.viewer.page import KINDS, escaped, page, policy, static_files
from vitrail.viewer.ranges import send_file


def application(
    library: Library, *, desk: Desk | None = None, door: Door | None = None, title: str = "Vitrail"
) -> Guard:
    """The server's answers, as an ASGI application.

    Args:
        library: the traces.
        desk: live models; None without.
        door: who may ask; only this machine by default.
        title: what the browser's tab says.
    """

    async def show(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        live = None if desk is None else desk.described()
        text = page(library.entries(), nonce=nonce, live=live, title=title, growing=library.growing)
        return HTMLResponse(text, headers={"Content-Security-Policy": policy(nonce)})

    async def static(request: Request) -> Response:
        path = static_files().get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("there is no such file\n", 404)
        text = await to_thread.run_sync(path.read_bytes)
        return Response(text, headers={"Content-Type": KINDS[path.suffix]})

    async def traces(request: Request) -> Response:
        entries = [entry.described() for entry in library.entries()]
        return answer({"sources": entries, "growing": library.growing})

    async def trace(request: Request) -> Response:
        listed = library.get(request.path_params["identity"])
        if listed is None:
            return PlainTextResponse("there is no such trace: load the page again\n", 404)
        return await send_file(listed.path, request)

    routes = [
        Route("/", show),
        Route("/static/{name:path}", static),
        Route("/api/traces", traces),
        Route("/traces/{identity}", trace),
    ]
    if desk is not None:
        routes.append(Route("/api/attend", desk.attend, methods=["POST"]))
        routes.append(Route("/api/ablate", desk.ablate, methods=["POST"]))
    return Guard(Starlette(routes=routes), door or Door())


def answer(content: Mapping[str, Any], status: int = 200) -> Response:
    """JSON, in which nothing could be taken for markup."""
    return Response(escaped(content), status, media_type="application/json")
