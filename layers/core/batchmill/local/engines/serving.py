"""Runs an aiohttp application: as a process of its own that says when it is ready, or inside a test."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable

from aiohttp import web

from batchmill.local.engines.wire import RequestRefused, error


@web.middleware
async def refusals(request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
    """Turns RequestRefused, and unknown paths and methods, into errors in OpenAI's shape."""
    try:
        return await handler(request)  # type: ignore[misc,no-any-return]
    except RequestRefused as refusal:
        return error(str(refusal), refusal.status, refusal.param)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return error(f"this engine does not answer {request.method} {request.path}", 404)


class Listener:
    """An application listening on 127.0.0.1."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
        self.port = 0
        """The port listened on; 0 before `start`."""

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError if the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end the connections."""
        await self._runner.cleanup()


async def run_until_signal(
    app: web.Application, port: int, model: str, on_signal: Callable[[], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT. Once listening, one JSON line goes to stdout: event, url, port, model."""
    listener = Listener(app)
    await listener.start(port)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    ready = {"event": "ready", "url": listener.url, "port": listener.port, "model": model}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await ended.wait()
    if on_signal is not None:
        on_signal()
    await listener.stop()
