"""Stands between the worker and its engine, so that no part of the engine outlives the worker, even on SIGKILL.

Run by file path, standard library only: `python engine_supervisor.py COMMAND ...`, in a session of its own, with
a pipe from the worker as standard input. When the pipe ends, the worker is gone: every process of the engine is
killed. SIGTERM and SIGINT are handed to the engine itself, which ends its own children in order; whatever is
left when it has exited (vLLM's EngineCore holds the accelerator's memory) is killed. Exits as the engine did.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run `command` to its end; returns its exit status, 128 + n if a signal n ended it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of the engine become ours, and so can be found
    engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_supervisor)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: engine.send_signal(received))
    threading.Thread(target=_watch_worker, daemon=True).start()
    status = engine.wait()
    kill_relatives()
    return status if status >= 0 else 128 - status


def kill_relatives() -> None:
    """SIGKILL every other process of this session or descended from this process, until none is left (5 s).

    Without /proc (not Linux): the process group, this process included.
    """
    if not Path("/proc/self/stat").exists():
        os.killpg(0, signal.SIGKILL)
    for _ in range(100):  # a process may fork while it is being looked for; a large one takes a while to go
        victims = _relatives(os.getpid(), os.getsid(0))
        _reap()
        if not victims:
            return
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _watch_worker() -> None:
    while os.read(0, 1):
        pass
    kill_relatives()
    os._exit(128 + signal.SIGKILL)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _relatives(me: int, session: int) -> set[int]:
    """Pids of the session or descended from `me`, zombies and `me` left out."""
    processes: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it has gone since
        if rest[0] not in "ZX":
            processes[pid] = (int(rest[1]), int(rest[3]))
    kin = {pid for pid, (_, its_session) in processes.items() if its_session == session}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in processes.items() if parent in kin or parent == me} - kin
        kin |= more
        grown = bool(more)
    return kin - {me}


def _die_with_supervisor() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
