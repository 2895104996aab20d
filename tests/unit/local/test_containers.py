from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchmill.local.containers import Container, ContainerSpec
from support.waiting import alive, until

DATA = Path(__file__).parent / "data"
Start = Callable[..., Container]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


@pytest.fixture
def start(log_file: Path) -> Iterator[Start]:
    started: list[Container] = []

    def begin(*arguments: str) -> Container:
        command = [sys.executable, "-m", "idle_worker", *arguments]
        container = Container(ContainerSpec("worker", command, DATA, {"EXTRA": "given"}, log_file))
        started.append(container)
        return container

    yield begin
    for container in started:
        container.stop(0)
        container.wait(10)


def test_a_container_gets_its_environment_and_nothing_else(start: Start, log_file: Path) -> None:
    container = start("crash")

    assert container.wait(10) == 3
    assert "EXTRA=given\nAWS_ENDPOINT_URL=\n" in log_file.read_text()


def test_stop_lets_the_command_end_by_itself(start: Start, log_file: Path) -> None:
    container = start()
    until(lambda: "ready" in log_file.read_text())

    container.stop(20)

    assert container.wait(10) == 0
    assert log_file.read_text().endswith("bye\n")


def test_a_command_that_ignores_sigterm_is_killed(start: Start, log_file: Path) -> None:
    container = start("deaf")
    until(lambda: "ready" in log_file.read_text())

    container.stop(0.1)

    assert container.wait(10) == 128 + signal.SIGKILL


def test_what_a_killed_command_started_ends_with_it(start: Start, log_file: Path) -> None:
    container = start("child")
    child = _child(log_file)

    os.kill(container.pid, signal.SIGKILL)

    assert container.wait(10) == 128 + signal.SIGKILL
    assert not alive(child)


def test_a_command_that_cannot_be_started_is_no_running_container(tmp_path: Path) -> None:
    container = Container(ContainerSpec("none", ["/nowhere/at/all"], tmp_path, {}))

    assert container.pid == 0
    assert container.wait(10) == 127


def test_stop_after_the_end_does_nothing(start: Start) -> None:
    container = start("crash")
    container.wait(10)

    container.stop(1)

    assert not container.running


@pytest.mark.skipif(sys.platform != "linux", reason="adoption and the death signal are Linux's")
@pytest.mark.parametrize("victim", ["stack", "guard"])
def test_no_process_outlives_a_killed_stack_or_guard(tmp_path: Path, log_file: Path, victim: str) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from batchmill.local.containers import Container, ContainerSpec\n"
        "command = [sys.executable, '-m', 'idle_worker', *sys.argv[3:]]\n"
        "c = Container(ContainerSpec('w', command, Path(sys.argv[1]), {}, Path(sys.argv[2])))\n"
        "print(c.pid, c._guard.pid, flush=True); c.wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(DATA), str(log_file), *(["child"] * (victim == "stack"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as stack:
        assert stack.stdout is not None
        worker, guard = map(int, stack.stdout.readline().split())
        until(lambda: "ready" in log_file.read_text())
        pids = [worker, guard, *([_child(log_file)] if victim == "stack" else [])]

        os.kill(stack.pid if victim == "stack" else guard, signal.SIGKILL)

        until(lambda: not any(alive(pid) for pid in pids))


def _child(log_file: Path) -> int:
    until(lambda: "ready" in log_file.read_text())
    line = next(line for line in log_file.read_text().splitlines() if line.startswith("child="))
    return int(line.removeprefix("child="))
