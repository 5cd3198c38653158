"""The playground's server: the page, its socket, and who may use them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import importlib.util
import json
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from jgen1d.core.files import parse_json
from jgen1d.playground import frames, phenomena, settings
from jgen1d.playground.trainer import Trainer

STATIC = Path(__file__).parent / "static"
MAX_MESSAGE = 1_100_000
"""Bytes of a message from a page: an upload of 1 MB and what is around it."""
MAX_UPLOAD = 1_000_000
MESSAGES_PER_SECOND, BURST = 20, 40
SEND_SECONDS = 5.0
"""A page that does not take a message for so long is closed."""
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
    return hmac.compare_digest(_as_bytes(a), _as_bytes(b))


def _as_bytes(text: str) -> bytes:
    """In UTF-8, also what JSON's escapes can say and UTF-8 cannot."""
    return text.encode("utf-8", "surrogatepass")


def _query_token(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]


class Session:
    """One page's socket and its trainer."""

    def __init__(self, socket: WebSocket):
        self._socket, self._loop = socket, asyncio.get_running_loop()
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()  # None stands for the newest frame
        self._frame_waits = False
        self._sender = frames.Sender()
        self._trainer = Trainer(lambda message: self._call(self._put, message), lambda: self._call(self._put_frame))

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """From the trainer's thread: does it in the loop's."""
        with contextlib.suppress(RuntimeError):  # the loop has ended before the thread
            self._loop.call_soon_threadsafe(function, *args)

    def _put(self, message: dict[str, Any]) -> None:
        self._messages.put_nowait(message)

    def _put_frame(self) -> None:
        if not self._frame_waits:  # one place for all frames until one is sent: the older ones are dropped
            self._frame_waits = True
            self._messages.put_nowait(None)

    async def run(self) -> None:
        """Serves the page until it goes, and its trainer has ended: a program that is being compiled ends first."""
        sending = asyncio.create_task(self._send_all())
        receiving = asyncio.create_task(self._receive_all())
        code, reason = 1000, ""
        try:
            ended, _ = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            for error in filter(None, (task.exception() for task in ended)):
                if not isinstance(error, WebSocketDisconnect | TimeoutError):  # the page has gone, or takes nothing
                    code, reason = 1011, f"an error in the server: {type(error).__name__}"
        finally:
            self._trainer.close()
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            with contextlib.suppress(Exception):
                await self._socket.close(code, reason)
            while self._trainer.is_alive:
                await asyncio.sleep(0.05)

    async def _send_all(self) -> None:
        while True:
            message = await self._messages.get()
            if message is None:
                self._frame_waits = False
                frame = self._trainer.frame
                message = None if frame is None else self._sender.message(frame)
            if message is not None:
                await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(frames.plain(message), allow_nan=False, separators=(",", ":"))
        await asyncio.wait_for(self._socket.send_text(text), SEND_SECONDS)

    async def _receive_all(self) -> None:
        allowance, last = float(BURST), time.monotonic()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            now = time.monotonic()
            allowance, last = min(BURST, allowance + MESSAGES_PER_SECOND * (now - last)), now
            if allowance < 1:  # what comes too fast waits in the socket, where TCP holds the page back
                await asyncio.sleep((1 - allowance) / MESSAGES_PER_SECOND)
                allowance, last = 1, time.monotonic()
            allowance -= 1
            self._take(message.get("text") or "")  # a binary message has none

    def _take(self, text: str) -> None:
        try:
            command = parse_json(text)
        except ValueError:
            command = None
        if not isinstance(command, dict) or not isinstance(command.get("type"), str):
            self._put({"type": "error", "field": "", "message": "a message is a JSON object with a type"})
        elif command["type"] == "upload" and len(_as_bytes(str(command.get("text")))) > MAX_UPLOAD:
            self._put({"type": "error", "field": "data", "message": f"a file has at most {MAX_UPLOAD:,} bytes here"})
        elif not self._trainer.ask(command):
            self._put({"type": "error", "field": "", "message": "too many commands at once"})
        elif command["type"] == "stop":
            self._put({"type": "status", "state": "stopping", "message": "stopping"})


def make_app(hosts: frozenset[str] | None, token: str | None = None, max_sessions: int = 4) -> Any:
    """The ASGI application.

    Args:
      hosts: the Host headers that are its own, with ports; None for any, which is safe with a token only.
      token: what a page must show; None for nothing.
      max_sessions: pages that train at once.
    """
    described = settings.schema() | {"phenomena": phenomena.PHENOMENA, "verdicts": phenomena.VERDICTS}
    described["limits"]["upload_bytes"] = MAX_UPLOAD
    sessions: set[Session] = set()

    async def converse(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(sessions) >= max_sessions:
            await websocket.close(1013, f"{max_sessions} pages are open already: close one")
            return
        session = Session(websocket)
        sessions.add(session)
        try:
            await session.run()
        except WebSocketDisconnect:
            pass
        finally:
            sessions.discard(session)

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def schema(_: Request) -> Response:
        return JSONResponse(frames.plain(described))

    async def plotly(_: Request) -> Response:
        return FileResponse(_plotly(), media_type="text/javascript")

    routes = [
        Route("/", page), Route("/schema.json", schema), Route("/plotly.min.js", plotly),
        Mount("/static", StaticFiles(directory=STATIC)), WebSocketRoute("/ws", converse),
    ]  # fmt: skip
    return Guard(Starlette(routes=routes), hosts, token)


def _plotly() -> Path:
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def make_server(host: str, port: int, max_sessions: int = 4) -> tuple[uvicorn.Server, str]:
    """A server, and the address of its page. Addresses but this machine's own are served with a new token only."""
    is_local = host in ("127.0.0.1", "localhost", "::1")
    token = None if is_local else secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    hosts = frozenset(f"{name}:{port}" for name in (shown, "127.0.0.1", "localhost")) if is_local else None
    config = uvicorn.Config(
        make_app(hosts, token, max_sessions), host=host, port=port, log_level="warning", server_header=False,
        ws_max_size=MAX_MESSAGE, ws_max_queue=8, timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config), f"http://{shown}:{port}/{f'?token={token}' if token else ''}"


def join_trainers() -> None:
    """Waits for the trainers of closed pages: the interpreter must not end while one of them compiles."""
    for thread in threading.enumerate():
        if thread.name == "trainer":
            thread.join(timeout=60)


def serve(host: str, port: int, max_sessions: int) -> None:
    """Serves until it is interrupted; port 0 chooses a free one. Raises ValueError if it cannot listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
            raise ValueError(f"--host={host} --port={port}: {error.strerror}; choose another {other}") from None
        server, address = make_server(host, listener.getsockname()[1], max_sessions)
        print(address, flush=True)
        try:
            server.run(sockets=[listener])
        finally:
            join_trainers()
