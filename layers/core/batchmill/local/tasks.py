"""ECS of the embedded stack: services that keep workers alive as subprocesses, and tasks that run once.

A task runs the one container of its definition on this machine: same command, same variables, this machine's
Python for `python`. `ecs_api` puts the API's clothes on what is here.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchmill.domain.errors import BatchmillError
from batchmill.local.containers import Container, ContainerSpec
from batchmill.local.intrinsics import TemplateError
from batchmill.local.task_model import (
    ARN_PREFIX,
    DEFAULT_STOP_SECONDS,
    NoSuchThing,
    Service,
    Task,
    TaskDefinition,
)

LOG = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
# A task that ran this long before it ended did start well: the next delay is the first again.
STEADY_SECONDS = 60.0


class TaskService:
    """Clusters, definitions, services and tasks. Thread-safe."""

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        read_secret: Callable[[str], str],
        log_folder: Path | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        """`project` is every container's working folder; `environment` is what each starts from, whole.

        `read_secret` gives the value behind a `ValueFrom`; `log_folder` gets a file of output for each task;
        `overrides` are variables that win over a definition's own.
        """
        self._project, self._environment = project, dict(environment)
        self._overrides = dict(overrides or {})
        self._read_secret, self._log_folder = read_secret, log_folder
        self._changed = threading.Condition()
        self._definitions: dict[str, TaskDefinition] = {}
        self._clusters: dict[str, str] = {}
        self._services: dict[str, Service] = {}
        self._tasks: dict[str, Task] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def create_cluster(self, name: str) -> str:
        """Makes a cluster; returns its ARN."""
        with self._changed:
            self._clusters[name] = f"{ARN_PREFIX}:cluster/{name}"
            return self._clusters[name]

    def register(self, family: str, containers: Sequence[Mapping[str, Any]]) -> str:
        """Registers a task definition; returns its ARN.

        Raises TemplateError unless it has exactly one container, with a command.
        """
        if len(containers) != 1:
            raise TemplateError(f"{family}: the embedded stack runs one container a task, not {len(containers)}")
        if not [*containers[0].get("EntryPoint", []), *containers[0].get("Command", [])]:
            raise TemplateError(f"{family}: a Command is needed: the image, and so its own, is not looked at here")
        with self._changed:
            revision = 1 + sum(1 for arn in self._definitions if f"/{family}:" in arn)
            arn = f"{ARN_PREFIX}:task-definition/{family}:{revision}"
            self._definitions[arn] = TaskDefinition(arn, dict(containers[0]))
            return arn

    def create_service(self, name: str, cluster: str, definition: str, desired: int) -> Service:
        """Makes a service; its tasks start once `start` has been called."""
        with self._changed:
            cluster = self.cluster_name(cluster)
            arn = f"{ARN_PREFIX}:service/{cluster}/{name}"
            self._services[arn] = Service(name, cluster, self._definition(definition), desired, arn)
            self._changed.notify_all()
            return self._services[arn]

    def start(self) -> None:
        """Begins to keep the services' tasks running."""
        self._stopping = False
        self._spawn(self._supervise, "ecs services")

    def stop(self, grace: float = DEFAULT_STOP_SECONDS) -> None:
        """Ends every task (SIGKILL after `grace` seconds at most) and returns once none is left."""
        with self._changed:
            self._stopping = True
            for task in self._tasks.values():
                self._end(task, "the stack stops", grace)
            self._changed.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join()

    def run(self, cluster: str, definition: str, environment: Mapping[str, str] | None = None) -> Task:
        """Starts one task outside any service, with some variables on top of its container's."""
        with self._changed:
            cluster = self.cluster_name(cluster)
            return self._launch(self._definition(definition), cluster, None, environment or {})

    def update(self, cluster: str, service: str, desired: int) -> Service:
        """Sets how many tasks a service keeps. Raises NoSuchThing where there is no such service."""
        with self._changed:
            found = self.service(cluster, service)
            found.desired, found.delay, found.not_before = desired, 0.0, 0.0
            self._changed.notify_all()
            return found

    def end(self, task: str, reason: str) -> Task:
        """Asks a task to stop: SIGTERM, and SIGKILL after its StopTimeout. Raises NoSuchThing."""
        with self._changed:
            found = self.task(task)
            self._end(found, reason, found.definition.stop_seconds)
            return found

    def task(self, name: str) -> Task:
        """A task by ARN or id. Raises NoSuchThing."""
        for arn, task in list(self._tasks.items()):
            if name in (arn, arn.rsplit("/", 1)[1]):
                return task
        raise NoSuchThing("task", name)

    def tasks(self, cluster: str | None = None, service: str | None = None) -> list[Task]:
        """The tasks, oldest first, stopped ones included; of one cluster or service where given."""
        name = self.cluster_name(cluster) if cluster else None
        wanted = service.rsplit("/", 1)[-1] if service else None
        found = [task for task in list(self._tasks.values()) if name in (None, task.cluster)]
        return [task for task in found if wanted in (None, task.service)]

    def service(self, cluster: str, name: str) -> Service:
        """A service by cluster and name or ARN. Raises NoSuchThing."""
        wanted, cluster = name.rsplit("/", 1)[-1], self.cluster_name(cluster)
        for service in self._services.values():
            if (service.name, service.cluster) == (wanted, cluster):
                return service
        raise NoSuchThing("service", f"{cluster}/{wanted}")

    def cluster_name(self, cluster: str) -> str:
        """The name of a cluster given by name or ARN. Raises NoSuchThing."""
        name = cluster.rsplit("/", 1)[-1]
        if name == "default" or name in self._clusters:
            return name
        raise NoSuchThing("cluster", cluster)

    def cluster_arn(self, name: str) -> str:
        """The ARN of a cluster by name."""
        return self._clusters.get(name, f"{ARN_PREFIX}:cluster/{name}")

    def services(self, cluster: str) -> list[Service]:
        """The services of a cluster."""
        return [service for service in self._services.values() if service.cluster == self.cluster_name(cluster)]

    def _definition(self, name: str) -> TaskDefinition:
        for arn, definition in reversed(self._definitions.items()):
            tail = arn.rsplit("/", 1)[1]
            if name in (arn, tail, tail.rsplit(":", 1)[0]):
                return definition
        raise NoSuchThing("task definition", name)

    def _spawn(self, target: Callable[..., None], name: str, *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=arguments, name=name)
        thread.start()
        self._threads.append(thread)

    def _supervise(self) -> None:
        with self._changed:
            while not self._stopping:
                waits = [self._reconcile(service) for service in self._services.values()]
                self._changed.wait(min((wait for wait in waits if wait is not None), default=None))

    def _reconcile(self, service: Service) -> float | None:
        """Starts or ends tasks as the service needs; returns the seconds until it wants to be asked again."""
        living = [
            task
            for task in self._tasks.values()
            if task.desired == "RUNNING" and (task.service, task.cluster) == (service.name, service.cluster)
        ]
        for task in living[service.desired :]:
            self._end(task, "scaled in", task.definition.stop_seconds)
        wait = service.not_before - time.monotonic()
        if len(living) < service.desired and wait > 0:
            return wait
        for _ in range(service.desired - len(living)):
            self._launch(service.definition, service.cluster, service.name, {})
        return None

    def _launch(self, definition: TaskDefinition, cluster: str, service: str | None, extra: Mapping[str, str]) -> Task:
        arn = f"{ARN_PREFIX}:task/{cluster}/{uuid.uuid4().hex}"
        task = self._tasks[arn] = Task(arn, definition, cluster, service)
        self._spawn(self._live, f"task {arn.rsplit('/', 1)[1]}", task, extra)
        return task

    def _live(self, task: Task, extra: Mapping[str, str]) -> None:
        """A task's whole life, on a thread of its own."""
        try:
            container = Container(self._spec(task, extra))
        except (BatchmillError, OSError) as error:
            self._stopped(task, None, f"ResourceInitializationError: {error}")
            return
        with self._changed:
            task.container, task.started_at, task.status = container, time.time(), "RUNNING"
            if task.desired == "STOPPED":
                container.stop(0)
        code = container.wait()
        self._stopped(task, code, "Essential container in task exited")

    def _stopped(self, task: Task, code: int | None, reason: str) -> None:
        with self._changed:
            unasked = task.desired == "RUNNING"
            task.status = task.desired = "STOPPED"
            task.exit_code, task.stopped_at = code, time.time()
            task.stop_reason = task.stop_reason or reason
            if unasked and task.service:
                self._back_off(self.service(task.cluster, task.service), task)
            self._changed.notify_all()

    def _back_off(self, service: Service, task: Task) -> None:
        steady = bool(task.started_at) and task.stopped_at - task.started_at >= STEADY_SECONDS
        longer = min(2 * service.delay, LONGEST_DELAY_SECONDS)
        service.delay = longer if service.delay and not steady else FIRST_DELAY_SECONDS
        service.not_before = time.monotonic() + service.delay
        LOG.info(
            "a task of %s ended (%s, status %s); the next starts in %g s",
            service.name,
            task.stop_reason,
            task.exit_code,
            service.delay,
        )

    def _end(self, task: Task, reason: str, grace: float) -> None:
        if task.desired == "RUNNING":
            task.desired, task.stop_reason = "STOPPED", reason
        if task.container is not None:
            task.container.stop(min(grace, task.definition.stop_seconds))

    def _log_file(self, container: Mapping[str, Any], task_id: str) -> Path | None:
        name = f"{container.get('Name', 'task')}-{task_id[:8]}.log"
        return self._log_folder / name if self._log_folder else None

    def _spec(self, task: Task, extra: Mapping[str, str]) -> ContainerSpec:
        container, name = task.definition.container, task.arn.rsplit("/", 1)[1]
        command = [*container.get("EntryPoint", []), *container.get("Command", [])]
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        given = {item["Name"]: str(item["Value"]) for item in container.get("Environment", [])}
        secrets = {item["Name"]: self._read_secret(item["ValueFrom"]) for item in container.get("Secrets", [])}
        return ContainerSpec(
            name=f"{task.service or 'task'}/{name[:8]}",
            command=command,
            folder=self._project,
            environment={**self._environment, **given, **secrets, **self._overrides, **extra},
            log_file=self._log_file(container, name),
        )
