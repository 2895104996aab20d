"""The ECS API (JSON 1.1) over `tasks`: what an operator, the CLI and the stack's own code use of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from batchmill.local.task_model import NoSuchThing, Service, Task
from batchmill.local.tasks import TaskService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_Request = Mapping[str, Any]
_STOP_CODES = {"Essential container in task exited": "EssentialContainerExited"}


class EcsApi:
    """A WSGI application, to be mounted as `ecs`.

    It knows RunTask, StopTask, ListTasks, DescribeTasks, ListServices, DescribeServices and UpdateService. A
    task's container carries its process id as `runtimeId`.
    """

    def __init__(self, tasks: TaskService) -> None:
        self._tasks = tasks
        self._operations: Mapping[str, Callable[[_Request], dict[str, Any]]] = {
            "RunTask": self._run_task,
            "StopTask": self._stop_task,
            "ListTasks": self._list_tasks,
            "DescribeTasks": self._describe_tasks,
            "ListServices": self._list_services,
            "DescribeServices": self._describe_services,
            "UpdateService": self._update_service,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The application itself."""
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        operation = self._operations.get(name)
        if operation is None:
            message = f"the embedded stack's ECS has no {name or 'operation of that name'}"
            return _answer(start_response, "400 Bad Request", _error("UnsupportedFeatureException", message))
        try:
            result = operation(json.loads(body or b"{}"))
        except NoSuchThing as error:
            return _answer(start_response, "400 Bad Request", _error(_error_name(error), str(error)))
        except (KeyError, ValueError) as error:
            message = f"{name}: {error} is missing or wrong"
            return _answer(start_response, "400 Bad Request", _error("InvalidParameterException", message))
        return _answer(start_response, "200 OK", result)

    def _run_task(self, request: _Request) -> dict[str, Any]:
        overrides = (request.get("overrides") or {}).get("containerOverrides") or [{}]
        environment = {item["name"]: item["value"] for item in overrides[0].get("environment", [])}
        started = [
            self._tasks.run(request.get("cluster", "default"), request["taskDefinition"], environment)
            for _ in range(int(request.get("count", 1)))
        ]
        return {"tasks": [self._task(task) for task in started], "failures": []}

    def _stop_task(self, request: _Request) -> dict[str, Any]:
        task = self._tasks.end(request["task"], request.get("reason", "Task stopped by user"))
        return {"task": self._task(task)}

    def _list_tasks(self, request: _Request) -> dict[str, Any]:
        desired = request.get("desiredStatus", "RUNNING")
        found = self._tasks.tasks(request.get("cluster", "default"), request.get("serviceName"))
        return {"taskArns": [task.arn for task in found if task.desired == desired]}

    def _describe_tasks(self, request: _Request) -> dict[str, Any]:
        found, failures = [], []
        for name in request["tasks"]:
            try:
                found.append(self._task(self._tasks.task(name)))
            except NoSuchThing:
                failures.append({"arn": name, "reason": "MISSING"})
        return {"tasks": found, "failures": failures}

    def _list_services(self, request: _Request) -> dict[str, Any]:
        return {"serviceArns": [service.arn for service in self._tasks.services(request.get("cluster", "default"))]}

    def _describe_services(self, request: _Request) -> dict[str, Any]:
        found, failures = [], []
        for name in request["services"]:
            try:
                found.append(self._service(self._tasks.service(request.get("cluster", "default"), name)))
            except NoSuchThing:
                failures.append({"arn": name, "reason": "MISSING"})
        return {"services": found, "failures": failures}

    def _update_service(self, request: _Request) -> dict[str, Any]:
        cluster, name = request.get("cluster", "default"), request["service"]
        current = self._tasks.service(cluster, name)
        desired = int(request.get("desiredCount", current.desired))
        return {"service": self._service(self._tasks.update(cluster, name, desired))}

    def _service(self, service: Service) -> dict[str, Any]:
        tasks = self._tasks.tasks(service.cluster, service.name)
        moving = {
            "desiredCount": service.desired,
            "runningCount": sum(task.status == "RUNNING" for task in tasks),
            "pendingCount": sum(task.status == "PENDING" for task in tasks),
            "taskDefinition": service.definition.arn,
        }
        return {
            "serviceArn": service.arn,
            "serviceName": service.name,
            "clusterArn": self._tasks.cluster_arn(service.cluster),
            "status": "ACTIVE",
            # One deployment is what `aws ecs wait services-stable` waits for, beside the workers.
            "deployments": [{"id": f"ecs-svc/{service.name}", "status": "PRIMARY", **moving}],
            **moving,
        }

    def _task(self, task: Task) -> dict[str, Any]:
        container = {
            "containerArn": f"{task.arn}/container",
            "name": task.definition.container.get("Name", "worker"),
            "lastStatus": task.status,
            "exitCode": task.exit_code,
            "runtimeId": str(task.container.pid) if task.container else None,
        }
        described = {
            "taskArn": task.arn,
            "clusterArn": self._tasks.cluster_arn(task.cluster),
            "taskDefinitionArn": task.definition.arn,
            "lastStatus": task.status,
            "desiredStatus": task.desired,
            "group": f"service:{task.service}" if task.service else "family",
            "startedAt": task.started_at or None,
            "stoppedAt": task.stopped_at or None,
            "stoppedReason": task.stop_reason or None,
            "stopCode": _stop_code(task),
            "containers": [_known(container)],
        }
        return _known(described)


def _stop_code(task: Task) -> str | None:
    return _STOP_CODES.get(task.stop_reason, "UserInitiated") if task.stop_reason else None


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _error_name(error: NoSuchThing) -> str:
    named = {"cluster": "ClusterNotFoundException", "service": "ServiceNotFoundException"}
    return named.get(error.kind, "InvalidParameterException")


def _error(name: str, message: str) -> dict[str, Any]:
    return {"__type": name, "message": message}


def _answer(start_response: StartResponse, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    content = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(content)))])
    return [content]
