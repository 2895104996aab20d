"""Where what functions print goes: a logger of their own, one file a function, and the tail of each invocation."""

import fcntl
import logging
import os
import tempfile
import threading
from pathlib import Path

TAIL_BYTES = 4096
"""How much of its log an invocation carries: what AWS's LogResult holds."""
_TRUNCATE_AT = 4 * 1024 * 1024


class OutputFile:
    """An unnamed file that is the standard output of one environment.

    A file and not a pipe: all that a handler wrote before it answered is there when the answer is, whether or not
    anybody was reading, and no thread is spent on it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115 (closed by close())
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        # Appending, so that the file can be emptied while the process has it open.
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)
        self._read = 0
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor to hand to the process."""
        return self._file.fileno()

    def take(self) -> str:
        """Return what was written since the last call."""
        with self._lock:
            if self._file.closed:
                return ""
            size = os.fstat(self._file.fileno()).st_size
            new = os.pread(self._file.fileno(), size - self._read, self._read)
            self._read += len(new)
            if self._read > _TRUNCATE_AT:
                self._file.truncate(0)
                self._read = 0
        # awslambdaric joins the lines of an error with carriage returns, so that CloudWatch keeps them in one event.
        return new.decode("utf-8", "replace").replace("\r", "\n")

    def close(self) -> None:
        """Drop the file."""
        with self._lock:
            self._file.close()


class FunctionLog:
    """The log of one function: lines go to `batchmill.local.lambda.<name>` at DEBUG, and to a file if asked for."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self._logger = logging.getLogger(f"batchmill.local.lambda.{name}")
        self._path = None if folder is None else folder / f"{name}.log"
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Log `text`, line by line; one call's lines stand together in the file."""
        if not text:
            return
        for line in text.splitlines():
            self._logger.debug("%s", line)
        if self._path is not None:
            with self._lock, self._path.open("a", encoding="utf-8") as file:
                file.write(text if text.endswith("\n") else text + "\n")


def tail(text: str) -> str:
    """Return the last 4 KB of a log, whole characters only."""
    return text.encode()[-TAIL_BYTES:].decode("utf-8", "ignore")
