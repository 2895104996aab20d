"""The processes below this one: so that none of them outlives a command, whatever has happened."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 100
_PAUSE_S = 0.02


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, so that they can be found. Linux; else nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> set[int]:
    """Pids of every living process below this one. Empty where there is no /proc."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it has gone since
        if rest[0] not in "ZX":
            parents[pid] = int(rest[1])
    kin = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in kin} - kin
        kin |= more
        grown = bool(more)
    return kin - {os.getpid()}


def kill_descendants() -> int:
    """SIGKILL every process below this one until none is left (2 s at most); returns how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):  # a process may fork while it is being looked for
        found = descendants()
        if not found:
            break
        killed |= found
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_PAUSE_S)
    return len(killed)
