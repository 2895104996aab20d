"""One running container of the embedded stack: a subprocess under `guard`, its output, and its end."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from batchmill.local import guard

LOG = logging.getLogger(__name__)

# What a container has to end itself in once the stack is gone without having stopped it.
ORPHAN_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class ContainerSpec:
    """What to run. `environment` is the whole environment; `log_file` also gets the output, appended."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log_file: Path | None = None


class Container:
    """A started container. Its output goes to this module's log, line by line, at DEBUG."""

    def __init__(self, spec: ContainerSpec) -> None:
        """Starts it; returns once its process id is known (0 where the command cannot be started)."""
        self.name = spec.name
        self._control_lock = threading.Lock()
        reading, writing = os.pipe()
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(writing), str(ORPHAN_GRACE_SECONDS), *spec.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=spec.folder,
                env=dict(spec.environment),
                pass_fds=[writing],
                start_new_session=True,  # a terminal's Ctrl-C is for the stack, which then stops this
            )
        finally:
            os.close(writing)
        with os.fdopen(reading) as answer:
            self.pid = int(answer.readline() or 0)
        self._output = threading.Thread(target=self._read, args=(spec.log_file,), name=f"output of {self.name}")
        self._output.start()

    def stop(self, seconds: float) -> None:
        """Asks it to end: SIGTERM now, SIGKILL after `seconds`. Does not wait; harmless once it ended."""
        with self._control_lock, contextlib.suppress(OSError, ValueError):
            self._pipe().write(f"stop {seconds}\n".encode())
            self._pipe().flush()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, as a shell gives it (137: killed), once it and all it started have ended.

        Raises subprocess.TimeoutExpired where it still runs after `timeout` seconds.
        """
        code = self._guard.wait(timeout)
        with self._control_lock, contextlib.suppress(OSError):
            self._pipe().close()
        self._output.join()
        return code

    @property
    def running(self) -> bool:
        """Whether it, or anything that it started, still runs."""
        return self._guard.poll() is None

    def _pipe(self) -> IO[bytes]:
        assert self._guard.stdin is not None
        return self._guard.stdin

    def _read(self, log_file: Path | None) -> None:
        assert self._guard.stdout is not None
        with contextlib.ExitStack() as stack:
            lines = stack.enter_context(self._guard.stdout)
            copy = stack.enter_context(log_file.open("ab")) if log_file else None
            for line in lines:
                LOG.debug("%s: %s", self.name, line.decode(errors="replace").rstrip())
                if copy:
                    copy.write(line)
                    copy.flush()
