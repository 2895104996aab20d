"""Runs one command the way a container does: what it started ends with it, and it ends with the embedded stack.

A script of its own, started as `python -I guard.py STATUS_FD GRACE COMMAND…`; it imports nothing but the
standard library. It reads lines from its standard input: `stop SECONDS` sends SIGTERM to the command, and
SIGKILL that many seconds later; end of file (the stack ended, in whatever way) does the same with GRACE. It
writes the command's process id to STATUS_FD, and exits as the command did (128 + signal where one killed it).

On Linux it adopts what the command leaves behind, whatever session that moved to, and kills it; and should the
guard itself be killed, the kernel kills the command. Elsewhere it kills the command's process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.05


def main(arguments: list[str]) -> int:
    """Runs the command to its end; returns its exit status as a shell gives it."""
    status, grace, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the stack decides, through the pipe
    _control(_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Safe here: this process has one thread.
            preexec_fn=_in_child,
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error}\n")
        return 127
    with os.fdopen(status, "w") as answer:
        answer.write(f"{child.pid}\n")
    code = _watch(child, grace)
    _end_descendants(child.pid)
    return code if code >= 0 else 128 - code


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _in_child() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)
    _control(_SET_PDEATHSIG, signal.SIGKILL)


def _watch(child: subprocess.Popen[bytes], grace: float) -> int:
    """Waits for the command's end, obeying the standard input meanwhile."""
    deadline: float | None = None
    buffered, source = b"", [sys.stdin.fileno()]
    # Readable once the command has ended; where there is no such thing, ask often.
    ended = [os.pidfd_open(child.pid)] if hasattr(os, "pidfd_open") else []
    while child.poll() is None:
        if deadline is not None and time.monotonic() >= deadline:
            child.kill()
            return child.wait()
        ready = select.select([*source, *ended], [], [], _patience(ended, deadline))[0]
        if not source or source[0] not in ready:
            continue
        read = os.read(source[0], 4096)
        buffered += read
        seconds = _requested(buffered) if read else grace
        source = source if read else []
        if seconds is not None:
            buffered = b""
            child.terminate()
            deadline = min(deadline or float("inf"), time.monotonic() + seconds)
    return child.returncode


def _patience(ended: list[int], deadline: float | None) -> float | None:
    """How long to wait for something to happen, in seconds; None: for ever."""
    if not ended:
        return _POLL_SECONDS
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _requested(buffered: bytes) -> float | None:
    for line in buffered.decode().splitlines():
        word, _, seconds = line.partition(" ")
        if word == "stop" and buffered.endswith(b"\n"):
            return float(seconds)
    return None


def _end_descendants(pid: int) -> None:
    """Kills and reaps what the command left: on Linux by adoption, elsewhere by process group."""
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        for orphan in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Process ids whose parent is this process, by /proc; none where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything; the state and the parent follow it.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
