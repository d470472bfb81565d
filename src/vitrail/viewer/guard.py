"""Who may ask: stands before everything the server answers.

A page of any other site can make a browser send requests to this machine, and by pointing its own name here (DNS
rebinding) read the answers. So the name that was asked for (``Host``) has to be ours, a request that another page
causes is refused (``Origin``, ``Sec-Fetch-Site``), and whoever serves others than this machine needs a token: it comes
in the address once and is kept in a cookie that no script reads and no other site's request carries.
"""

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer says."""
NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The policy of every answer but the page, which says its own."""


@dataclass(frozen=True)
class Door:
    """Whom a server lets in."""

    names: Collection[str] = LOOPBACK
    """Names by which it may be asked."""
    token: str | None = None
    """What a visitor has to bring; None where only this machine can ask."""

    def knows(self, host: str) -> bool:
        """Whether a ``Host`` is ours; where others may ask, an address of numbers is: no site's name can be one."""
        name = hostname(host)
        if name in self.names:
            return True
        if self.token is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def hostname(host: str) -> str:
    """The name in ``name:port`` or ``[address]:port``; empty where it is neither."""
    host = host.strip().lower()
    if host.startswith("["):
        name, closed, rest = host[1:].partition("]")
        return name if closed and (not rest or (rest[0] == ":" and rest[1:].isdigit())) else ""
    name, colon, port = host.partition(":")
    return name if not colon or port.isdigit() else ""


class Guard:
    """Lets a request through, or says in one sentence why not."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Content-Security-Policy": NOTHING}.items():
                    headers.setdefault(name, value)
            await send(message)

        answer: ASGIApp = self._refusal(scope) or self.app
        try:
            await answer(scope, receive, guarded)
        except Exception as error:
            # Nobody reads a server's standard error, and its texts are nobody else's business.
            if not begun:
                said = f"this is a fault in Vitrail ({type(error).__name__}): please report what you did\n"
                await PlainTextResponse(said, 500)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["type"] != "http":
            return PlainTextResponse("only HTTP is spoken here\n", 403)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self.door.knows(host):
            return PlainTextResponse("this server answers under other names: open the address that it printed\n", 421)
        origin = headers.get("origin")
        same = origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
        site, navigates = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode") == "navigate"
        if not same or (site in ("cross-site", "same-site") and not (navigates and scope["method"] == "GET")):
            return PlainTextResponse("another site's page asked for this, which is refused\n", 403)
        return None if self.door.token is None else self._without_token(scope, headers, self.door.token)

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        cookie = f"vitrail-{(scope.get('server') or ('', 0))[1]}"
        if scope["method"] == "GET" and _equal(QueryParams(scope["query_string"]).get("token", ""), token):
            # Onwards to the same page without the token, which then stands in no history and no screenshot.
            response = RedirectResponse("/", 303)
            response.set_cookie(cookie, token, httponly=True, samesite="strict", path="/")
            return response
        if _equal(_cookies(headers).get(cookie, ""), token):
            return None
        return PlainTextResponse("this needs the address with its token, as the server printed it\n", 403)


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
