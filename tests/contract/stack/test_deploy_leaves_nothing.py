"""What a stack leaves behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batchmill.local.stack import Stack, StackOptions
from support.waiting import alive, until

PROGRAM = """
import json, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
from batchmill.local.stack import Stack, StackOptions

with Stack(StackOptions(Path(sys.argv[1]), workers=1)) as stack:
    name = stack.host.stacks["batchmill"].outputs["EchoFunction"]
    stack.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    tasks = stack.host.tasks
    while not [task for task in tasks.tasks() if task.container]:
        time.sleep(0.05)
    pids = [task.container.pid for task in tasks.tasks()] + stack.host.functions.pids()
    sys.stdout.write(json.dumps(pids) + chr(10))
    sys.stdout.flush()
    time.sleep(600)
"""

TEMPLATE = Path(__file__).parents[2] / "unit/local/data/small.yaml"


def test_a_stack_leaves_no_process_and_can_be_started_again(tmp_path: Path) -> None:
    pids: list[int] = []
    for workers in (2, 0):
        options = StackOptions(TEMPLATE, workers=workers, log_folder=tmp_path)
        stack = Stack(options)
        with stack:
            outputs = stack.host.stacks["batchmill"].outputs
            stack.client("lambda").invoke(FunctionName=outputs["EchoFunction"], Payload=json.dumps({}))
            until(lambda count=workers, of=stack: len(_pids(of)) == count)  # type: ignore[misc]
            pids += [*_pids(stack), *stack.host.functions.pids()]
        stack.stop()

    assert len(pids) == 4
    assert not [pid for pid in pids if alive(pid)]
    assert "TOKEN=opened" in "".join(path.read_text() for path in tmp_path.glob("*.log"))


def _pids(stack: Stack) -> list[int]:
    return [task.container.pid for task in stack.host.tasks.tasks() if task.container]


@pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is seen by Linux's means")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_is_left_after_ctrl_c_or_a_kill(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", PROGRAM, str(TEMPLATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as program:
        assert program.stdout is not None
        pids = json.loads(program.stdout.readline())
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)

        program.send_signal(number)

        until(lambda: not any(alive(pid) for pid in pids))
        program.communicate(timeout=30)
    assert program.returncode == -number
