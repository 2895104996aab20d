"""Ctrl-C as a person presses it: on a real process with real children."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import subprocess, sys, time
from batchmill.commands import processes
from batchmill.commands.signals import Interrupts

processes.adopt_orphans()
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
nested = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
subprocess.run([sys.executable, "-c", nested], start_new_session=True, check=True)  # its child becomes an orphan
with Interrupts(lambda: print("first", flush=True)) as interrupts:
    interrupts.wait(60)
    code = interrupts.exit_code
    {then}
sys.exit(code)
"""
ORDERLY = "processes.kill_descendants()"
STUCK = "time.sleep(60)"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def start(then: str) -> subprocess.Popen[str]:
    package = str(Path(__file__).parents[3] / "layers" / "core")
    code = PARENT.replace("{then}", then)
    environment = {**os.environ, "PYTHONPATH": package}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def said(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == line + "\n"


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(task) for task in tasks]


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or " Z " in state.read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_for_an_orderly_end(number: signal.Signals, code: int) -> None:
    with start(ORDERLY) as process:
        said(process, "up")
        (orphan,) = children(process.pid)
        process.send_signal(number)
        said(process, "first")
        assert process.wait(10) == code
        assert gone(orphan)


def test_the_second_signal_ends_all_at_once_and_leaves_nothing() -> None:
    with start(STUCK) as process:
        said(process, "up")
        (orphan,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        said(process, "first")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert gone(orphan)
