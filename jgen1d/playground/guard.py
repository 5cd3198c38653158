"""Who may use the page: itself, from this machine or with a token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Refuses what does not come from the page itself with 403.

    The Host header must name an address that the server was started for, which stops DNS rebinding; a request that has
    an Origin must have that one, and a socket must have it. Where there is a token, it must be in the query or in the
    cookie that the first answer sets.
    """

    def __init__(self, app: Any, hosts: frozenset[str] | None, token: str | None):
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._is_own(scope, headers):
            await self._refuse(scope, receive, send)
            return
        fresh = self._token and _are_equal(_query_token(scope), self._token)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = HEADERS | ({"Set-Cookie": f"token={self._token}; HttpOnly; SameSite=Strict"} if fresh else {})
                names = {name.lower().encode() for name in extra}
                kept = [pair for pair in message["headers"] if pair[0].lower() not in names]
                message["headers"] = [*kept, *((k.lower().encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _is_own(self, scope: Scope, headers: Headers) -> bool:
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if len(headers.getlist("host")) != 1 or (self._hosts is not None and host not in self._hosts):
            return False
        if origin is None:
            if scope["type"] == "websocket":
                return False
        elif origin.lower() not in (f"http://{host}", f"https://{host}"):
            return False
        if self._token is None:
            return True
        cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
        return any(_are_equal(given, self._token) for given in (_query_token(scope), cookies.get("token", "")))

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        response = PlainTextResponse("403: not from this page\n", status_code=403)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)


def _are_equal(a: str, b: str) -> bool:
    """Whether two texts are equal, told in a time that does not depend on where they differ."""
    return hmac.compare_digest(as_bytes(a), as_bytes(b))


def as_bytes(text: str) -> bytes:
    """In UTF-8, also what JSON's escapes can say and UTF-8 cannot."""
    return text.encode("utf-8", "surrogatepass")


def _query_token(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
