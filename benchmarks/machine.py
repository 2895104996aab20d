"""What the operating system says of processes and of the machine. Numbers of processes: Linux only, else None."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_PROC = Path("/proc")


def peak_rss(pid: int) -> int | None:
    """The most memory (bytes) that a process has held since it started its program."""
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * 1024 if found else None


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process, of all its threads, in user and system mode."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else None


def family(pid: int) -> list[int]:
    """A process and all that descend from it, the process first."""
    parents = {int(path.name): _parent(int(path.name)) for path in _PROC.glob("[0-9]*")}
    found = [pid]
    for member in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == member]
    return found


def command(pid: int) -> str:
    """Its command line; "" where it has none, or has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def describe() -> dict[str, object]:
    """The machine: system, processor, cores that this process may use, Python."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def load() -> float:
    """How many processes wanted to run, on the mean over the last minute."""
    return round(os.getloadavg()[0], 2)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty where the process has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _processor() -> str:
    try:
        lines = (_PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
