from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batchmill.local import tasks as module
from batchmill.local.intrinsics import TemplateError
from batchmill.local.task_model import NoSuchThing, Task
from batchmill.local.tasks import TaskService
from support.waiting import alive, until

DATA = Path(__file__).parent / "data"
Define = Callable[..., str]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TaskService]:
    found = TaskService(DATA, {"AWS_ENDPOINT_URL": "http://here"}, {"secret:token": "opened"}.__getitem__, tmp_path)
    found.create_cluster("pools")
    found.start()
    yield found
    found.stop(grace=5)
    assert not [task for task in found.tasks() if task.container and alive(task.container.pid)]


@pytest.fixture
def define(service: TaskService) -> Define:
    def register(*arguments: str, **more: Any) -> str:
        container = {"Name": "worker", "Command": ["python", "-m", "idle_worker", *arguments], **more}
        return service.register("worker", [container])

    return register


def _running(service: TaskService) -> list[Task]:
    return [task for task in service.tasks() if task.status == "RUNNING"]


def _output(task: Task, folder: Path) -> str:
    return (folder / f"worker-{task.arn.rsplit('/', 1)[1][:8]}.log").read_text()


def test_a_service_keeps_as_many_tasks_as_it_is_told(service: TaskService, define: Define) -> None:
    service.create_service("pool", "pools", define(), 2)
    until(lambda: len(_running(service)) == 2)

    service.update("pools", "pool", 1)
    until(lambda: len(_running(service)) == 1)

    service.update("pools", "pool", 0)
    until(lambda: not _running(service))


def test_a_container_gets_variables_secrets_and_the_endpoint(
    service: TaskService, define: Define, tmp_path: Path
) -> None:
    definition = define(
        Environment=[{"Name": "TABLE", "Value": "shards"}, {"Name": "QUEUE_URL", "Value": 5}],
        Secrets=[{"Name": "TOKEN", "ValueFrom": "secret:token"}],
    )

    task = service.run("pools", definition, {"EXTRA": "more"})
    until(lambda: "ready" in _output(task, tmp_path))

    told = _output(task, tmp_path).splitlines()
    assert told[:5] == [
        "QUEUE_URL=5",
        "TABLE=shards",
        "TOKEN=opened",
        "EXTRA=more",
        "AWS_ENDPOINT_URL=http://here",
    ]


def test_a_killed_worker_is_replaced(service: TaskService, define: Define) -> None:
    service.create_service("pool", "pools", define(), 1)
    until(lambda: len(_running(service)) == 1)
    first = _running(service)[0]
    assert first.container

    os.kill(first.container.pid, signal.SIGKILL)

    until(lambda: [task.arn for task in _running(service)] not in ([], [first.arn]))
    assert (first.status, first.exit_code) == ("STOPPED", 137)


def test_a_stopped_task_ends_by_sigterm_and_is_replaced_at_once(
    service: TaskService, define: Define, tmp_path: Path
) -> None:
    service.create_service("pool", "pools", define(), 1)
    until(lambda: service.tasks() and "ready" in _output(service.tasks()[0], tmp_path))
    first = service.tasks()[0]

    service.end(first.arn, "a spot reclaim")

    until(lambda: first.status == "STOPPED")
    assert (first.exit_code, first.stop_reason) == (0, "a spot reclaim")
    until(lambda: len(_running(service)) == 1)
    assert service.service("pools", "pool").delay == 0


def test_a_worker_that_ignores_sigterm_is_killed_after_its_stop_time_out(
    service: TaskService, define: Define, tmp_path: Path
) -> None:
    task = service.run("pools", define("deaf", StopTimeout=1))
    until(lambda: "ready" in _output(task, tmp_path))

    service.end(task.arn, "enough")

    until(lambda: task.exit_code == 137)


def test_the_delay_grows_while_workers_crash(
    service: TaskService, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LONGEST_DELAY_SECONDS", 0.03)

    pool = service.create_service("pool", "pools", define("crash"), 1)

    until(lambda: pool.delay == 0.03)
    assert {task.exit_code for task in service.tasks() if task.status == "STOPPED"} == {3}


def test_a_secret_that_cannot_be_read_stops_the_task_with_the_reason(service: TaskService) -> None:
    def refuse(name: str) -> str:
        raise NoSuchThing("secret", name)

    service._read_secret = refuse
    secrets = [{"Name": "TOKEN", "ValueFrom": "gone"}]
    definition = service.register("worker", [{"Command": ["python"], "Secrets": secrets}])

    task = service.run("pools", definition)

    until(lambda: task.status == "STOPPED")
    assert task.stop_reason == "ResourceInitializationError: there is no secret gone"


def test_stop_ends_what_is_only_just_starting(service: TaskService, define: Define) -> None:
    started = [service.run("pools", define()) for _ in range(2)]

    service.stop(grace=5)

    assert {task.status for task in started} == {"STOPPED"}


@pytest.mark.parametrize("containers", [[], [{"Command": ["a"]}, {"Command": ["b"]}], [{"Image": "x"}]])
def test_a_definition_that_cannot_run_here_is_refused(service: TaskService, containers: Any) -> None:
    with pytest.raises(TemplateError, match="worker"):
        service.register("worker", containers)


def test_what_does_not_exist_is_named(service: TaskService) -> None:
    with pytest.raises(NoSuchThing, match="cluster nowhere"):
        service.cluster_name("nowhere")
    with pytest.raises(NoSuchThing, match="service pools/none"):
        service.update("pools", "none", 1)
    with pytest.raises(NoSuchThing, match="task none"):
        service.end("none", "")
    with pytest.raises(NoSuchThing, match="task definition none"):
        service.run("pools", "none")
