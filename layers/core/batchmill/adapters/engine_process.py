"""The engine as the worker's child: started, watched, restarted, and ended with all of its processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from batchmill.adapters import engine_supervisor
from batchmill.adapters.engine import AiohttpEngine
from batchmill.domain.errors import EngineStartFailed

_log = logging.getLogger(__name__)
_POLL_S = 0.2
_PROGRESS_S = 5.0

Progress = Callable[[float, str], None]
"""Called while the engine starts: seconds so far, and the last line of its log."""


class EngineProcess:
    """An OpenAI-compatible server as a child process, on 127.0.0.1.

    It runs under a supervisor in a session of its own: it ends when this process does, however that ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        start_limit_s: float = 1800.0,
        port: int = 0,
    ) -> None:
        """`command`: program and arguments, with `{port}` where the port goes; the log is appended to.

        `environment` is added to this process's; `port` 0 takes a free one, which stays over restarts.
        """
        self._port = port or _free_port()
        self._command = [part.replace("{port}", str(self._port)) for part in command]
        self._log_path = log_path
        self._environment = dict(environment or {})
        self._start_limit_s = start_limit_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int | None:
        """Process id of the supervisor, and id of the engine's session and process group; None before a start."""
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """Whether the process runs; says nothing of its health."""
        return self._process is not None and self._process.poll() is None

    async def start(self, on_progress: Progress | None = None) -> None:
        """Start it and wait until it is healthy. Raises EngineStartFailed; then nothing of it is left running."""
        if self.alive():
            return
        self._spawn()
        try:
            await self._wait_healthy(on_progress)
        except BaseException:
            await self.stop(grace_s=0)
            raise

    async def stop(self, grace_s: float = 20.0) -> int | None:
        """SIGTERM, so many seconds' grace, then SIGKILL to all of it. Returns the exit status, None if not started.

        vLLM answers SIGTERM by aborting what is in flight: stop sending first.
        """
        process = self._process
        if process is None:
            return None
        if grace_s > 0 and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            await _exited(process, grace_s)
        if process.stdin is not None:
            process.stdin.close()  # the supervisor takes it for our end, and kills what is left
        ended = await _exited(process, 10.0)
        if not ended or (process.returncode or 0) < 0:  # the supervisor itself hangs, or was killed
            _kill_group(process.pid)
            await _exited(process, 5.0)
        return process.poll()

    async def restart(self, on_progress: Progress | None = None, grace_s: float = 0.0) -> None:
        """Stop, at once by default (it is sick or dead), and start again on the same port."""
        await self.stop(grace_s)
        await self.start(on_progress)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the log; "" if there is none."""
        if not self._log_path.exists():
            return ""
        with self._log_path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def _spawn(self) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        supervisor = [sys.executable, "-I", str(Path(engine_supervisor.__file__).resolve())]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*supervisor, *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        _log.info("engine started", extra={"pid": self._process.pid, "port": self._port})

    async def _wait_healthy(self, on_progress: Progress | None) -> None:
        started = time.monotonic()
        told = started
        engine = AiohttpEngine(self.url)
        try:
            while not await engine.healthy():
                now = time.monotonic()
                if not self.alive():
                    raise self._failed("exited while starting", now - started)
                if now - started > self._start_limit_s:
                    raise self._failed("was not healthy in time", now - started)
                if on_progress is not None and now - told >= _PROGRESS_S:
                    on_progress(now - started, self.log_tail(1))
                    told = now
                await asyncio.sleep(_POLL_S)
            if not self.alive():  # another server may hold the port
                raise self._failed("exited while starting", time.monotonic() - started)
        finally:
            await engine.close()

    def _failed(self, what: str, seconds: float) -> EngineStartFailed:
        status = self._process.poll() if self._process else None
        tail = self.log_tail() or "(nothing)"
        return EngineStartFailed(
            f"the engine {what} (exit status {status}, after {seconds:.0f} s). Command: {self._command}. "
            f"The end of its log, {self._log_path.name}:\n{tail}"
        )


async def _exited(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
