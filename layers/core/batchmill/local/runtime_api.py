"""The Lambda Runtime API: the small HTTP server through which an execution environment gets its invocations.

Every environment has a port of its own, because the address in `AWS_LAMBDA_RUNTIME_API` cannot carry a path:
awslambdaric's native client would take one, but it reports init errors through `http.client`, which does not.
All ports are served by one event loop in one thread.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import threading
import time
import uuid
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from aiohttp import web

API_VERSION = "2018-06-01"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
"""The most bytes that a function may answer with: AWS's 6 MB and its 100 bytes of grace."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invocation:
    """How one invocation ended.

    `payload` is the answer's JSON, or an error object (`errorType`, `errorMessage`, perhaps `stackTrace`) when
    `function_error` is "Unhandled". `log` is the last 4 KB of what the environment wrote, START to REPORT.
    """

    payload: bytes
    function_error: str | None
    request_id: str = ""
    log: str = ""

    def error(self) -> tuple[str, str]:
        """Return (errorType, errorMessage) of a failed invocation; empty strings where there is none."""
        if self.function_error is None:
            return "", ""
        try:
            body = json.loads(self.payload)
        except ValueError:
            return "", ""
        if not isinstance(body, dict):
            return "", ""
        return str(body.get("errorType", "")), str(body.get("errorMessage", ""))


def failure(request_id: str, error_type: str, message: str) -> Invocation:
    """Return the outcome that AWS gives for an error that the runtime itself could not report."""
    body = {"errorType": error_type, "errorMessage": message}
    return Invocation(json.dumps(body).encode(), "Unhandled", request_id)


@dataclass
class Job:
    """One invocation on its way through an environment: offered, taken by `/next`, answered."""

    payload: bytes
    function_arn: str
    timeout_seconds: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: "Future[Invocation]" = field(default_factory=Future)
    taken: threading.Event = field(default_factory=threading.Event)
    """Set once the runtime has the event, from when the function's time-out counts."""
    moved: threading.Event = field(default_factory=threading.Event)
    """Set once the job is taken or over: what the invoker waits for first."""

    def take(self) -> dict[str, str]:
        """Start the clock, and return the headers that go with the event."""
        deadline_ms = int((time.time() + self.timeout_seconds) * 1000)
        self.taken.set()
        self.moved.set()
        return {
            # awslambdaric's native client reads this header unasked: without it the process dies of a segfault.
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": _trace_id(),
        }

    def finish(self, outcome: Invocation) -> None:
        """Fix the outcome; the first one counts."""
        with contextlib.suppress(InvalidStateError):
            self.outcome.set_result(outcome)
        self.moved.set()


class Channel:
    """The Runtime API's side of one environment: at most one job at a time.

    `address` is what the process gets as `AWS_LAMBDA_RUNTIME_API`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.address = ""
        self.ready = threading.Event()
        """Set at the first `/next`: the environment has been initialised."""
        self._loop = loop
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._lock = threading.Lock()
        self._current: Job | None = None
        self._over: tuple[str, str] | bytes | None = None

    @property
    def usable(self) -> bool:
        """Whether the environment may still be given a job."""
        return self._over is None

    def offer(self, job: Job) -> None:
        """Hand the environment a job. One whose process is gone, or failed to initialise, ends at once."""
        with self._lock:
            self._current = job
            over = self._over
        if over is not None:
            job.finish(_ending(job, over))
            return
        self._loop.call_soon_threadsafe(self._jobs.put_nowait, job)

    def end(self, error_type: str, reason: str) -> None:
        """Say that the environment takes no more: the job in flight fails as `error_type` (the first end counts)."""
        self._end((error_type, reason))

    def _end(self, over: tuple[str, str] | bytes) -> None:
        with self._lock:
            self._over = self._over or over
            job = self._current
        if job is not None:
            job.finish(_ending(job, over))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the runtime."""
        prefix = f"/{API_VERSION}/runtime/"
        step = request.path.removeprefix(prefix) if request.path.startswith(prefix) else ""
        if request.method == "GET" and step == "invocation/next":
            self.ready.set()
            job = await self._jobs.get()
            return web.Response(body=job.payload, headers=job.take())
        # read() of the stream, not of the request: that one has a size limit of its own.
        body = await request.content.read()
        if request.method == "POST" and step == "init/error":
            self._end(body)
            return _accepted()
        parts = step.split("/")
        if request.method == "POST" and len(parts) == 3 and parts[0] == "invocation":
            return self._answer(parts[1], parts[2], body)
        return web.json_response({"errorType": "InvalidPath", "errorMessage": request.path}, status=404)

    def _answer(self, request_id: str, kind: str, body: bytes) -> web.Response:
        with self._lock:
            job = self._current
        if job is None or job.request_id != request_id or job.outcome.done():
            return web.json_response(
                {"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"}, status=400
            )
        if kind == "response" and len(body) > MAX_RESPONSE_BYTES:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            job.finish(failure(request_id, "Function.ResponseSizeTooLarge", text))
            return web.json_response({"errorType": "RequestEntityTooLarge", "errorMessage": text}, status=413)
        job.finish(Invocation(body, None if kind == "response" else "Unhandled", request_id))
        return _accepted()


def _ending(job: Job, over: tuple[str, str] | bytes) -> Invocation:
    """Return the outcome of a job whose environment is over: its own init error, or what befell its process."""
    if isinstance(over, bytes):
        return Invocation(over, "Unhandled", job.request_id)
    error_type, reason = over
    return failure(job.request_id, error_type, f"RequestId: {job.request_id} Error: {reason}")


def _accepted() -> web.Response:
    return web.json_response({"status": "OK"}, status=202)


def _trace_id() -> str:
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"


class RuntimeApi:
    """The server of all channels: one thread, one event loop, one port of 127.0.0.1 a channel."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="lambda-runtime-api", daemon=True)
        self._open: dict[Channel, tuple[asyncio.AbstractServer, web.Server]] = {}
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def open(self) -> Channel:
        """Listen on a port for a new environment."""
        return asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> Channel:
        channel = Channel(self._loop)
        # Cancellation: a process that dies while it waits at /next must not leave a handler that eats a job.
        server = web.Server(channel.handle, handler_cancellation=True, access_log=None)
        listener = await self._loop.create_server(server, "127.0.0.1", 0)
        host, port = listener.sockets[0].getsockname()[:2]
        channel.address = f"{host}:{port}"
        self._open[channel] = (listener, server)
        return channel

    def close(self, channel: Channel) -> None:
        """Stop listening for an environment; harmless if that was done."""
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._unlisten(channel), self._loop).result()

    async def _unlisten(self, channel: Channel) -> None:
        listener, server = self._open.pop(channel, (None, None))
        if listener is not None and server is not None:
            listener.close()
            await server.shutdown(timeout=0.1)

    def stop(self) -> None:
        """Close every channel and end the thread."""
        if not self._loop.is_running():
            return
        for channel in list(self._open):
            self.close(channel)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
