"""The playground's server: the page, its socket, and who may use them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from jgen1d.core.files import parse_json
from jgen1d.playground import ahead, frames, phenomena, rates
from jgen1d.playground.guard import Guard, as_bytes
from jgen1d.playground.schema import schema as described_settings
from jgen1d.playground.trainer import Trainer
from jgen1d.playground.warmup import Warmup

STATIC = Path(__file__).parent / "static"
MAX_MESSAGE = 1_100_000
"""Bytes of a message from a page: an upload of 1 MB and what is around it."""
MAX_UPLOAD = 1_000_000
MESSAGES_PER_SECOND, BURST = 20, 40
GC_THRESHOLDS = (50_000, 20, 50)
"""Of `gc.set_threshold`: JAX makes so many objects while it traces that Python's own take a tenth of the time."""
SEND_SECONDS = 5.0
"""A page that does not take a message for so long is closed."""


class Session:
    """One page's socket and its trainer."""

    def __init__(self, socket: WebSocket, warmup: Warmup | None):
        self._socket, self._loop = socket, asyncio.get_running_loop()
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()  # None stands for the newest frame
        self._frame_waits = False
        self._sender = frames.Sender()
        self._trainer = Trainer(
            lambda message: self._call(self._put, message), lambda: self._call(self._put_frame), warmup
        )

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
        elif command["type"] == "upload" and len(as_bytes(str(command.get("text")))) > MAX_UPLOAD:
            self._put({"type": "error", "field": "data", "message": f"a file has at most {MAX_UPLOAD:,} bytes here"})
        elif not self._trainer.ask(command):
            self._put({"type": "error", "field": "", "message": "too many commands at once"})
        elif command["type"] == "stop":
            self._put({"type": "status", "state": "stopping", "message": "stopping"})


def make_app(
    hosts: frozenset[str] | None, token: str | None = None, max_sessions: int = 4, warmup: Warmup | None = None
) -> Any:
    """The ASGI application.

    Args:
      hosts: the Host headers that are its own, with ports; None for any, which is safe with a token only.
      token: what a page must show; None for nothing.
      max_sessions: pages that train at once.
      warmup: compiles the programs of the page's first settings, if anything does.
    """
    described = described_settings() | rates.told(rates.stored()) | {"verdicts": phenomena.VERDICTS}
    described["limits"]["upload_bytes"] = MAX_UPLOAD
    sessions: set[Session] = set()

    async def converse(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(sessions) >= max_sessions:
            await websocket.close(1013, f"{max_sessions} pages are open already: close one")
            return
        session = Session(websocket, warmup)
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

    routes = [
        Route("/", page), Route("/schema.json", schema),
        Mount("/static", StaticFiles(directory=STATIC)), WebSocketRoute("/ws", converse),
    ]  # fmt: skip
    return Guard(GZipMiddleware(Starlette(routes=routes)), hosts, token)


def make_server(
    host: str, port: int, max_sessions: int = 4, warmup: Warmup | None = None
) -> tuple[uvicorn.Server, str]:
    """A server, and the address of its page. Addresses but this machine's own are served with a new token only."""
    is_local = host in ("127.0.0.1", "localhost", "::1")
    token = None if is_local else secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    hosts = frozenset(f"{name}:{port}" for name in (shown, "127.0.0.1", "localhost")) if is_local else None
    config = uvicorn.Config(
        make_app(hosts, token, max_sessions, warmup), host=host, port=port, log_level="warning", server_header=False,
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
    gc.set_threshold(*GC_THRESHOLDS)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
            raise ValueError(f"--host={host} --port={port}: {error.strerror}; choose another {other}") from None
        server, address = make_server(host, listener.getsockname()[1], max_sessions, Warmup())
        print(address, flush=True)
        try:
            with ahead.compiling(jax.config.values["jax_compilation_cache_dir"]):
                server.run(sockets=[listener])
        finally:
            join_trainers()
